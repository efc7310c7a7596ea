package archive

import (
	"encoding/json"
	"time"
)

// Format is the number of the format that is written. It grows when an older program could not
// read a backup any more; a newer one reads all older formats.
const Format = 1

// Manifest says what a backup holds.
type Manifest struct {
	Format int       `json:"format"`
	By     string    `json:"by"`   // the version of edgeloop that made it
	Node   string    `json:"node"` // that it is of
	Made   time.Time `json:"made"` // when it was begun
	Log    string    `json:"log"`  // the identity of the log
	// Durable is the position up to which all was acknowledged when it was begun. All of
	// it is in the backup, and perhaps more.
	Durable uint64   `json:"durable"`
	Streams []Stream `json:"streams"` // in their order in the backup
}

// Stream is one stream of a backup.
type Stream struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"config"` // as the server has it
	State  json.RawMessage `json:"state"`  // as the server said at the begin
	// Messages, First and Last are of that state.
	Messages uint64 `json:"messages"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Bytes    int64  `json:"bytes"`  // of the snapshot
	SHA256   string `json:"sha256"` // of the snapshot
}

// Error says why something is not a backup, or not a whole one.
type Error struct{ Reason string }

func (e *Error) Error() string { return "backup: " + e.Reason }

// Names of entries that are no part of a snapshot.
const (
	manifestName = "manifest.json"
	failureName  = "FAILED"
)

// partSize is the largest part of a snapshot, in bytes.
const partSize = 1 << 20
