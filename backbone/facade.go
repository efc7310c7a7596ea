package backbone

import (
	"edgeloop/backbone/names"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/store"
)

// What the packages below say, for whoever uses the whole.
type (
	// State says whether the log takes records.
	State = servers.State
	// Durability says what must have happened before a record counts as durable.
	Durability = servers.Durability
	// Sync says what is known of whether the log has synced what it confirms.
	Sync = servers.Sync
	// Difference is a setting of a shared stream that is not what this node's flags say.
	Difference = servers.Difference
	// Ban keeps a device out.
	Ban = store.Ban
	// Presence is whether a device is here.
	Presence = store.Presence

	// ReadOptions choose what Read gives.
	ReadOptions = reader.Options
	// PositionError says that a position is of another log.
	PositionError = reader.PositionError
	// Reader reads the log under a name, and its place is kept.
	Reader = reader.Kept
	// Entry is one record as a Reader gives it.
	Entry = reader.Entry

	// TooLargeError says that a record or a command is larger than what is stored.
	TooLargeError = servers.TooLargeError
	// UnavailableError says that nobody can be asked now.
	UnavailableError = servers.UnavailableError
	// DiskFullError says that less than DiskReserve bytes are free.
	DiskFullError = servers.DiskFullError
)

// Values of Durability and Sync.
const (
	Power   = servers.Power
	Process = servers.Process

	SyncUnknown    = servers.SyncUnknown
	Synced         = servers.Synced
	SyncReplicated = servers.SyncReplicated
	Unsynced       = servers.Unsynced
	NumSyncs       = servers.NumSyncs
)

// Where a reader begins whose name is new.
const (
	Oldest = reader.Oldest
	Newest = reader.Newest
)

// StreamUp is the stream of the log.
const StreamUp = names.StreamUp

// Errors of the packages below.
var (
	ErrClosed       = servers.ErrClosed
	ErrInUse        = servers.ErrInUse
	ErrMoved        = servers.ErrMoved
	ErrNameTaken    = servers.ErrNameTaken
	ErrCommandsFull = store.ErrCommandsFull
	ErrReaderTaken  = store.ErrTaken
)
