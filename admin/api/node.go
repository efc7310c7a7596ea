package api

import "time"

// NodeState is the state of a node.
type NodeState string

// The states of a node, in the order in which it goes through them.
const (
	NodeStarting NodeState = "starting"
	NodeRunning  NodeState = "running"
	NodeDraining NodeState = "draining"
	NodeDrained  NodeState = "drained"
)

// Node is what a node says about itself.
type Node struct {
	// Name of the node, as other nodes know it.
	Name    string    `json:"name"`
	Version string    `json:"version"`
	State   NodeState `json:"state"`
	Started time.Time `json:"started"`
	// Uptime is filled in by the admin server.
	Uptime Duration   `json:"uptime"`
	Counts NodeCounts `json:"counts"`
	// Limits by name, filled in by the admin server; see GET /v1/limits for
	// their ranges.
	Limits map[string]any `json:"limits"`
	// Log is what the log keeps, its settings as of the start.
	Log *NodeLog `json:"log,omitempty"`
	// Load is how the node stands with what it has to do.
	Load *NodeLoad `json:"load,omitempty"`
	// Drain is the progress of a drain, absent when none was asked for.
	Drain *DrainProgress `json:"drain,omitempty"`
	// NotReady lists why the node is not ready, absent when it is; filled in by
	// the admin server.
	NotReady []Reason `json:"not_ready,omitempty"`
	// Warnings list what will keep the node from being ready if nobody does anything;
	// filled in by the admin server.
	Warnings []Reason `json:"warnings,omitempty"`
}

// NodeLog is what a log keeps and how safe that is.
type NodeLog struct {
	// MaxBytes and MaxAge bound it; absent: not bounded.
	MaxBytes int64    `json:"max_bytes,omitempty"`
	MaxAge   Duration `json:"max_age,omitempty"`
	// WhenFull is "drop-oldest" or "stop".
	WhenFull   string `json:"when_full"`
	Replicas   int    `json:"replicas"`
	Compressed bool   `json:"compressed"`
	// Sync is what is known of whether records are synced before they are confirmed:
	// "synced", "replicated", "unsynced" or "unknown".
	Sync string `json:"sync"`
	// Differences of a shared log's streams from what the node's flags say, which
	// they do not follow.
	Differences []LogDifference `json:"differences,omitempty"`
	// Usage is of some seconds ago; absent while the log has not said.
	Usage *LogUsage `json:"usage,omitempty"`
}

// LogUsage is what a log takes of its room, and how long the rest lasts.
type LogUsage struct {
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"`
	// Oldest is when the oldest record was stored; absent: there is none.
	Oldest *time.Time `json:"oldest,omitempty"`
	// DiskFree are the bytes that are free on the log's disk; absent where that is elsewhere.
	DiskFree *int64 `json:"disk_free_bytes,omitempty"`
	// Room are the bytes until a bound is reached, of the log or of its disk; absent: no
	// bound is known. AtFull is what happens then: "stops" or "forgets".
	Room   *int64 `json:"room_bytes,omitempty"`
	AtFull string `json:"at_full,omitempty"`
	// Rate is how many bytes a second came in the last hour, or since the start.
	Rate float64 `json:"bytes_per_second"`
	// FullIn is how long the room lasts at that rate; absent: it is not known yet, or the
	// records leave by their age before.
	FullIn *Duration `json:"full_in,omitempty"`
}

// LogDifference is one setting of a shared stream.
type LogDifference struct {
	Stream  string `json:"stream"`
	Setting string `json:"setting"`
	Has     string `json:"has"`
	Flags   string `json:"flags"`
}

// NodeCounts are totals since the start, and how many there are now.
type NodeCounts struct {
	// Connections that are open, handshakes included.
	Connections int `json:"connections"`
	// DevicesOnline and DevicesRemembered count sessions.
	DevicesOnline     int `json:"devices_online"`
	DevicesRemembered int `json:"devices_remembered"`
	// QueuedMessages wait in lanes.
	QueuedMessages int `json:"queued_messages"`
	// PendingRecords wait for the log.
	PendingRecords int `json:"pending_records"`

	// MessagesReceived, MessagesAcknowledged, CommandsSent and MessagesRefused
	// are totals since the start.
	MessagesReceived     uint64 `json:"messages_received"`
	MessagesAcknowledged uint64 `json:"messages_acknowledged"`
	MessagesRefused      uint64 `json:"messages_refused"`
	CommandsSent         uint64 `json:"commands_sent"`
}

// NodeLoad says whether a node has more to do than it can; docs/overload.md has the states.
type NodeLoad struct {
	// State is "well", "busy", "strained" or "overloaded".
	State string `json:"state"`
	// Since is when the state was entered; absent: at the start.
	Since *time.Time `json:"since,omitempty"`
	// Cause is what runs short, and Detail says it in words; absent in a node that is well.
	Cause  string `json:"cause,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Refuses lists the loads that are refused now.
	Refuses []string `json:"refuses,omitempty"`
}

// DrainProgress says how far a drain has come.
type DrainProgress struct {
	Started time.Time `json:"started"`
	// Window is the time over which the closes are spread.
	Window Duration `json:"window"`
	// Connections still open, of the Total that there were at the start.
	Connections int `json:"connections"`
	Total       int `json:"total"`
	// Pending records that are not durable yet.
	Pending int `json:"pending"`
	// Done: no connection is left and the log is flushed.
	Done bool `json:"done"`
}

// DrainRequest is the body of a drain, which may be left out.
type DrainRequest struct {
	// Window over which the closes are spread; 0 uses the node's own.
	Window Duration `json:"window,omitempty"`
}

// Reason says why a node is not ready.
type Reason struct {
	// Code is a short constant name: "draining", "log_stalled", "gate_closed".
	Code string `json:"code"`
	// Detail says it in words, to who shows a token for GET /v1/node.
	Detail string `json:"detail"`
}

// Readiness is the body of GET /readyz.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []Reason `json:"reasons,omitempty"`
	// Warnings do not keep it from being ready yet.
	Warnings []Reason `json:"warnings,omitempty"`
}

// Health is the body of GET /healthz.
type Health struct {
	Status string `json:"status"`
}
