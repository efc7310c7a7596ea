package uplog

import (
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
)

// WhenFull says what a log at MaxBytes does.
type WhenFull uint8

const (
	// AsItIs has not been chosen: DropOldest for a new log, and what it was for one
	// that is there.
	AsItIs WhenFull = iota
	// DropOldest forgets the oldest records: a window over the newest MaxBytes.
	DropOldest
	// Stop refuses new records until the operator makes room: appends stall and
	// devices are held back, but nothing that was confirmed leaves the log.
	Stop

	numWhenFull
)

// String is the word used by the --when-full flag.
func (w WhenFull) String() string {
	switch w {
	case AsItIs:
		return "as it is"
	case DropOldest:
		return "drop-oldest"
	case Stop:
		return "stop"
	}
	return "unknown"
}

// Writers says who writes the log. It is another question than where its servers are.
type Writers uint8

const (
	// WhoeverCan has not been chosen: Alone with the server in this process, which
	// nobody else reaches, and Several with servers elsewhere.
	WhoeverCan Writers = iota
	// Alone is this node and no other: records are stored by a call of the server, one
	// behind the other, and batches are synced by us. It needs the server in this process.
	Alone
	// Several nodes write: atomic batches, a fence for each device, and servers that
	// sync before they answer.
	Several

	// NumWriters is how many there are.
	NumWriters
)

// BatchMost is nats-server's limit for one atomic batch.
const BatchMost = 1000

const mib = 1 << 20

// Config is what the log is made of. All of it has been checked; backbone.Config says what
// each means.
type Config struct {
	DataDir    string // of the server in this process; "": elsewhere
	Node       string
	Durability servers.Durability
	Writers    Writers
	LogSettings
	OnDamage       OnDamage
	BatchMax       int
	CommitInterval time.Duration
	BatchBytes     int
	PendingMax     int
	PendingBytes   int
	MaxRecord      int
	Logger         *zap.Logger

	Seams         Seams
	AnswerTimeout time.Duration // of a batch; 0: the default
}
