package api

// Tenant is what one tenant may use, and what it does use: the body of
// GET /v1/tenants/{tenant}.
type Tenant struct {
	Tenant string `json:"tenant"`
	// Named: it has quotas of its own; else they are those of all others.
	Named bool `json:"named"`
	// Limits are its quotas; 0 is none.
	Limits []Limit `json:"limits"`
	// Connections of the tenant, and of these Waiting ones, from which nothing is read
	// until the rate allows it.
	Connections int64 `json:"connections"`
	Waiting     int   `json:"waiting_connections"`
	// Commands that wait for its devices, as far as the node knows.
	Commands int64 `json:"stored_commands"`
	// StoredBytes of the log, as far as the node knows.
	StoredBytes int64 `json:"stored_bytes"`
	// Groups that its connected devices are in.
	Groups int `json:"groups"`
	// OverQuota is how often a quota was found used up, by its name; of tenants that are
	// named alone.
	OverQuota map[string]uint64 `json:"over_quota,omitempty"`
}
