package api

import (
	"encoding/json"
	"time"
)

// Sink is one way out of the log, and how it stands.
type Sink struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// State is starting, running, waiting, paused, stopped, misplaced, elsewhere or ended.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Breaker is closed, half-open or open.
	Breaker string `json:"breaker"`
	// Place is the position up to which the destination has confirmed all.
	Place string `json:"place,omitempty"`
	// Next is the position of the first record that was read and is not confirmed.
	Next string `json:"next,omitempty"`
	// LagRecords is about how many records lie behind Place, and LagBytes how many bytes;
	// nil: it is not known.
	LagRecords *uint64 `json:"lag_records,omitempty"`
	LagBytes   *uint64 `json:"lag_bytes,omitempty"`
	// RecordsPerSecond is how many records a second its destination confirmed in about the last 10 s.
	RecordsPerSecond float64 `json:"records_per_second"`
	// PacedPerSecond is how many records a second it may read now, so that devices are served
	// while it catches up; 0: it is not held to any rate.
	PacedPerSecond float64 `json:"paced_per_second,omitempty"`
	// Oldest is when the node got the record of Next.
	Oldest *time.Time `json:"oldest,omitempty"`

	// Records and Bytes that were confirmed, since the node started.
	Records  uint64 `json:"records"`
	Bytes    uint64 `json:"bytes"`
	Attempts uint64 `json:"attempts"`
	Failures uint64 `json:"failures"`
	// Refused records went to the dead letters, but for Unkept ones, whose device had its share
	// of those; Filtered ones the filter kept back.
	Refused  uint64 `json:"refused"`
	Unkept   uint64 `json:"unkept"`
	Filtered uint64 `json:"filtered"`
	// Missed records were taken by retention first, in all the sink's life.
	Missed uint64 `json:"missed"`

	LastError   string     `json:"last_error,omitempty"`
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
	// RetryAt is when the next attempt is due, while it waits.
	RetryAt *time.Time `json:"retry_at,omitempty"`
}

// Sinks is all sinks, in the order of the configuration.
type Sinks struct {
	Sinks []Sink `json:"sinks"`
}

// SinkAction is what an operator may do with a sink.
type SinkAction string

// The actions.
const (
	SinkPause  SinkAction = "pause"
	SinkResume SinkAction = "resume"
	SinkRewind SinkAction = "rewind"
	SinkSkip   SinkAction = "skip"
	SinkResend SinkAction = "resend"
)

// SinkChange is one action on one sink.
type SinkChange struct {
	Name   string
	Action SinkAction
	// To is where a rewind goes to: oldest, newest, a time, or a position, behind which
	// the sink goes on.
	To string
	// Position is of the record that a skip leaves out.
	Position string
	// Letters are those that a resend sends.
	Letters LetterFilter
}

// LetterFilter chooses dead letters; what is empty does not matter.
type LetterFilter struct {
	Tenant, Device string
	// Reason is a part of what the destination said.
	Reason string
}

// DeadLettersRemoved says how many were.
type DeadLettersRemoved struct {
	Removed int `json:"removed"`
}

// DeadLetter is a record that a destination refused.
type DeadLetter struct {
	Number   uint64          `json:"number"`
	Position string          `json:"position"`
	Reason   string          `json:"reason"`
	At       time.Time       `json:"at"`
	Record   json.RawMessage `json:"record"`
}

// DeadLetterPage is one page of a sink's dead letters, oldest first.
type DeadLetterPage struct {
	DeadLetters []DeadLetter `json:"dead_letters"`
	// Next is given to ?after= for the following page; absent on the last.
	Next string `json:"next,omitempty"`
}
