package api

import "time"

// LogTrim says what is to leave the log: what lies up to To, or what was stored before Before.
type LogTrim struct {
	To     Position
	Before time.Time
	// PastSinks takes what sinks have not read, too, and ForgetDevices the last records of
	// devices.
	PastSinks, ForgetDevices bool
}

// LogTrimmed says what has left.
type LogTrimmed struct {
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"`
	// First is the position of the oldest record that there is.
	First string `json:"first"`
}
