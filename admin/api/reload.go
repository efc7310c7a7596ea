package api

// Reloaded is the body of POST /v1/reload: settings by the names of their flags.
type Reloaded struct {
	// Changed are in force now as they are given.
	Changed []string `json:"changed"`
	// Kept stay as PATCH /v1/limits has changed them.
	Kept []string `json:"kept"`
	// Fixed differ from what was given at the start, and change with a restart.
	Fixed []string `json:"fixed"`
}
