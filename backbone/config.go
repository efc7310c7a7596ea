package backbone

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
	"edgeloop/backbone/uplog"
)

// Config is everything a Backbone is built from. The zero value of a field
// means its default.
type Config struct {
	// DataDir is the directory of the embedded log. Required without NATSURL.
	DataDir string
	// NATSURL, when set, is the external server (nats://host:port, several
	// separated by commas); nothing is embedded then.
	NATSURL string
	// NATSAccess is what that server asks for, and how it is known.
	NATSAccess Access
	// OnWait, if set, hears why that server cannot be reached yet while Open waits for
	// it, once for each attempt. It must not block.
	OnWait func(error)
	// Writers says who writes the log. Default: by where its servers are.
	Writers Writers
	// Node names this process in presence. Default: the host name.
	Node string
	// Durability is what a confirmation is worth. Default Power.
	Durability Durability
	// LogSettings are what is chosen of the log. An embedded log gets it at every
	// start. One that is shared (NATSURL) gets it when it is made; after that SetLog
	// changes it, and a node only says where it differs.
	LogSettings
	// DiskReserve is how many bytes must stay free under DataDir; with less the
	// log stalls before the disk is really full, which the store would not
	// survive without being opened again. Default 64 MiB; negative: no check.
	DiskReserve int64
	// OnDamage says what Open does about damage in the embedded log that nobody has
	// decided about. Default DamageUnready.
	OnDamage OnDamage
	// CommandMaxAge is the longest a command waits for its device. Default 7 days.
	CommandMaxAge time.Duration
	// CommandsPerDevice bounds the waiting commands of one device. Default 64.
	CommandsPerDevice int
	// CommandBytes bounds all waiting commands on disk. Default 256 MiB.
	CommandBytes int64
	// CommandQuota is how many commands may wait for the devices of a tenant, 0 for any
	// number. It is called from any goroutine and must not block. Default: any number.
	CommandQuota func(tenant string) int64
	// PresenceBytes bounds the kept last states on disk; the oldest go first.
	// Default 256 MiB.
	PresenceBytes int64
	// OnBan, if set, hears of each ban, of this node and of others, and of those
	// kept from before. It must not block.
	OnBan func(Ban)
	// OnRevoke, if set, hears of each revocation in the same way.
	OnRevoke func(Revocation)
	// BatchMax is how many records one batch may hold, at most 1000 (the
	// server's limit). Smaller costs CPU per record, not latency. Default 1000.
	BatchMax int
	// CommitInterval is the least time from the begin of one batch to the next,
	// unless a whole batch is waiting. Longer: less CPU for each record of a
	// moderate load, acknowledgements later by up to that. Default 4 ms; negative: none.
	CommitInterval time.Duration
	// BatchBytes bounds the bytes of one batch. Default 2 MiB.
	BatchBytes int
	// PendingMax is how many records may wait for the log before Append blocks; what
	// one call of Append brought comes on top. They are stored in the order they
	// came, so what waits here is what everybody waits for. Smaller than BatchMax
	// keeps batches small. Default 2048: a batch on its way and the next.
	PendingMax int
	// PendingBytes bounds their bytes likewise. Default 4 MiB.
	PendingBytes int
	// MaxRecord is the largest record in bytes as stored. Default 4 MiB.
	MaxRecord int
	// Seams is where tests come in.
	Seams Seams
	// Logger gets what the embedded server and the connections have to say.
	// Default: nothing is logged.
	Logger *zap.Logger

	restoring bool // by RestoreBackup
}

const mib = 1 << 20

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" && c.NATSURL == "" {
		return c, errors.New("backbone: DataDir is required without NATSURL")
	}
	if c.Durability >= servers.NumDurabilities {
		return c, fmt.Errorf("backbone: durability %d is unknown", c.Durability)
	}
	if c.Node == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("backbone: name this node: %w", err)
		}
		c.Node = host
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Writers == WhoeverCan && c.NATSURL == "" {
		c.Writers = Alone
	}
	orDefault(&c.Writers, Several)
	orDefault(&c.DiskReserve, 64*mib)
	orDefault(&c.CommandMaxAge, 7*24*time.Hour)
	orDefault(&c.CommandsPerDevice, 64)
	orDefault(&c.CommandBytes, 256*mib)
	orDefault(&c.PresenceBytes, 256*mib)
	orDefault(&c.BatchMax, uplog.BatchMost)
	orDefault(&c.CommitInterval, 4*time.Millisecond)
	orDefault(&c.BatchBytes, 2*mib)
	orDefault(&c.PendingMax, 2048)
	orDefault(&c.PendingBytes, 4*mib)
	orDefault(&c.MaxRecord, 4*mib)
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case c.Writers >= uplog.NumWriters:
		return fmt.Errorf("backbone: writers %d are unknown", c.Writers)
	case c.Writers == Alone && c.NATSURL != "":
		return errors.New("backbone: with servers elsewhere other nodes can write, and the syncs are not ours: writers must be Several")
	case c.BatchMax < 1 || c.BatchMax > uplog.BatchMost:
		return fmt.Errorf("backbone: BatchMax %d is not within 1..%d", c.BatchMax, uplog.BatchMost)
	case c.PendingMax < 1 || c.PendingBytes < 1 || c.BatchBytes < 1:
		return errors.New("backbone: PendingMax, PendingBytes and BatchBytes must be positive")
	case c.MaxRecord < 1 || c.MaxRecord > servers.MaxPayload-servers.RecordOverhead:
		return fmt.Errorf("backbone: MaxRecord %d is not within 1..%d", c.MaxRecord, servers.MaxPayload-servers.RecordOverhead)
	case c.CommandMaxAge < time.Second || c.CommandsPerDevice < 1:
		return errors.New("backbone: CommandMaxAge below a second or CommandsPerDevice below 1")
	}
	return c.Check(c.BatchBytes + c.MaxRecord)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// servers says where they are.
func (c *Config) servers() servers.Config {
	return servers.Config{
		DataDir: c.DataDir, URL: c.NATSURL, Access: c.NATSAccess, OnWait: c.OnWait, Node: c.Node,
		Durability: c.Durability, DiskReserve: c.DiskReserve, Logger: c.Logger,
		Shared: c.Writers == Several, SyncAlways: c.Writers == Several && c.Durability == Power,
		Seams: servers.Seams{Synced: c.Seams.Synced, Silence: c.Seams.Silence, Timeout: c.Seams.Timeout},
	}
}

// log is what the log is made of.
func (c *Config) log() uplog.Config {
	l := uplog.Config{
		Node: c.Node, Durability: c.Durability, Writers: c.Writers, LogSettings: c.LogSettings, OnDamage: c.OnDamage,
		BatchMax: c.BatchMax, CommitInterval: c.CommitInterval, BatchBytes: c.BatchBytes,
		PendingMax: c.PendingMax, PendingBytes: c.PendingBytes, MaxRecord: c.MaxRecord,
		Logger: c.Logger, Seams: uplog.Seams{Store: c.Seams.Store, Publish: c.Seams.Publish, Hear: c.Seams.Hear, Sync: c.Seams.Sync}, AnswerTimeout: c.Seams.Timeout,
	}
	if c.NATSURL == "" {
		l.DataDir = c.DataDir
	}
	return l
}

// Seams is where tests lose, delay and falsify what passes between the node and its
// servers. The zero value changes nothing.
type Seams struct {
	// Store is for a record on the embedded log: next says where the log ends then.
	Store   func(next func() (last uint64, err error)) (last uint64, err error)
	Publish servers.Between               // of records, to servers elsewhere
	Hear    servers.Hearing               // an answer of them
	Sync    func(next func() error) error // of a batch
	Tell    servers.Between               // of states of presence
	Synced  func(path string)             // a file or directory at the start
	Silence time.Duration                 // after which a server counts as silent
	Timeout time.Duration                 // of answers and questions
}
