package backbone

import (
	"context"

	"edgeloop/backbone/custody"
	"edgeloop/backbone/names"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/store"
	"edgeloop/backbone/uplog"
)

// What the packages below say, for whoever uses the whole.
type (
	// State says whether the log takes records.
	State = servers.State
	// Durability says what must have happened before a record counts as durable.
	Durability = servers.Durability
	// Access is what servers elsewhere ask of this node, and how they are known.
	Access = servers.Access
	// AccessError says which file of Access cannot be used.
	AccessError = servers.AccessError
	// Sync says what is known of whether the log has synced what it confirms.
	Sync = servers.Sync
	// Difference is a setting of a shared stream that is not what this node's flags say.
	Difference = servers.Difference
	// Record is one message of a device on its way into the log.
	Record = uplog.Record
	// Completion hears what became of a record.
	Completion = uplog.Completion
	// Placer is a Completion that hears where a record with Retain lies.
	Placer = uplog.Placer
	// Last is where the log stands with a device.
	Last = uplog.Last
	// Known is a device that the log has something of.
	Known = uplog.Known
	// Writers says who writes the log.
	Writers = uplog.Writers
	// LogSettings is what an operator chooses of the log.
	LogSettings = uplog.LogSettings
	// LogCounts are what the log counts.
	LogCounts = uplog.Stats
	// LogInfo says what the log is.
	LogInfo = uplog.LogInfo
	// Usage is what the log takes of its room, and how long the rest lasts.
	Usage = uplog.Usage
	// WhenFull says what a log at MaxBytes does.
	WhenFull = uplog.WhenFull
	// OnDamage says what Open does about damage in the log that nobody has decided about.
	OnDamage = uplog.OnDamage
	// DamageError says that what was acknowledged is damaged.
	DamageError = uplog.DamageError
	// Ban keeps a device out.
	Ban = store.Ban
	// Revocation takes tokens back.
	Revocation = store.Revocation
	// Waiting is a command that waits for its device.
	Waiting = store.Waiting
	// Presence is whether a device is here.
	Presence = store.Presence

	// Will is what is published of a client that has gone, when it is due.
	Will = store.Will
	// Place says how far a reader with a name has come.
	Place = store.Place
	// Letter is a record that a sink's destination refused.
	Letter = store.Letter
	// LetterFilter chooses letters.
	LetterFilter = store.LetterFilter
	// ReadOptions choose what Read gives.
	ReadOptions = reader.Options
	// PositionError says that a position is of another log.
	PositionError = reader.PositionError
	// Reader reads the log under a name, and its place is kept.
	Reader = reader.Kept
	// Start says where a reader with a new name begins.
	Start = reader.Start
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

// Values of Writers, WhenFull and OnDamage, and the bounds of LogSettings.
const (
	WhoeverCan = uplog.WhoeverCan
	Alone      = uplog.Alone
	Several    = uplog.Several

	AsItIs     = uplog.AsItIs
	DropOldest = uplog.DropOldest
	Stop       = uplog.Stop

	DamageUnready = uplog.DamageUnready
	DamageStop    = uplog.DamageStop
	DamageServe   = uplog.DamageServe
	NumDamages    = uplog.NumDamages

	MinMaxBytes = uplog.MinMaxBytes
	MinMaxAge   = uplog.MinMaxAge
)

// Where a reader with a new name begins.
const (
	Oldest = reader.Oldest
	Newest = reader.Newest
)

// MaxRevocations is how many revocations are kept.
const MaxRevocations = store.MaxRevocations

// StreamUp is the stream of the log.
const StreamUp = names.StreamUp

// Errors of the packages below.
var (
	ErrClosed    = servers.ErrClosed
	ErrInUse     = servers.ErrInUse
	ErrMoved     = servers.ErrMoved
	ErrNameTaken = servers.ErrNameTaken
	// ErrFull is the cause of a State where the log is at its bound and told to stop there.
	ErrFull         = servers.ErrFull
	ErrCommandsFull = store.ErrCommandsFull
	// ErrDeviceCommandsFull is ErrCommandsFull of one device.
	ErrDeviceCommandsFull = store.ErrDeviceCommandsFull
	// ErrTenantCommandsFull is ErrCommandsFull of one tenant.
	ErrTenantCommandsFull = store.ErrTenantCommandsFull
	ErrDisk               = uplog.ErrDisk
	ErrNewer              = custody.ErrNewer
	ErrReaderTaken        = store.ErrTaken
	// ErrRevocationsFull: MaxRevocations are kept.
	ErrRevocationsFull = store.ErrRevocationsFull
)

// SetLog changes what s chooses of the log of the server that c names, and nothing
// else, and says what it was before and is then. Nodes that run need no restart.
func SetLog(ctx context.Context, c Config, s LogSettings) (before, after LogSettings, err error) {
	if c, err = c.withDefaults(); err != nil {
		return before, after, err
	}
	if err := s.Check(c.BatchBytes + c.MaxRecord); err != nil {
		return before, after, err
	}
	return uplog.SetLog(ctx, c.servers(), s)
}

// VerifyLog reads the whole embedded log under c.DataDir and changes nothing. A node
// may be running on it.
func VerifyLog(c Config) (*custody.Verdict, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return uplog.VerifyLog(c.log())
}

// ClosedLog is the log of a node that is not running.
type ClosedLog = uplog.Closed

// OpenClosedLog opens the log under a data directory on which no node runs, to be read from its
// files; it changes nothing. ErrInUse: a node runs. See uplog.OpenClosed.
func OpenClosedLog(dataDir string) (*ClosedLog, error) {
	return uplog.OpenClosed(uplog.Config{DataDir: dataDir})
}

// AcceptDamage notes that somebody decided to go on with a damaged log, and says of
// how many reports nobody had. A running node sees it within moments.
func AcceptDamage(dataDir string) (int, error) { return custody.Accept(dataDir) }
