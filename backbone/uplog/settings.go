package uplog

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// LogSettings is what an operator chooses of the log. Zero: not chosen, so that a new
// log gets the default, and one that is there stays as it is.
type LogSettings struct {
	// MaxBytes bounds the log on disk, in bytes, at least MinMaxBytes; negative: by
	// the disk only. Default of an embedded log: see defaultMaxBytes.
	MaxBytes int64
	// MaxAge is how long records are kept, at least MinMaxAge; negative: for ever,
	// the default.
	MaxAge time.Duration
	// WhenFull says what happens at MaxBytes. Default DropOldest.
	WhenFull WhenFull
	// Replicas is how many servers of a cluster have the log. Default 1.
	Replicas int
}

// Floors of what may be chosen. Below them a device would hear of a record that is
// durable, and find it gone: a batch would push out its own first records, or they
// would be too old when a slow disk has synced them.
const (
	MinMaxBytes = 16 * mib // a batch of 8 MiB and the largest record
	MinMaxAge   = time.Minute
	maxReplicas = 5
)

// Check allows lower bounds than the floors where batch is smaller, for tests.
func (s LogSettings) Check(batch int) error {
	switch {
	case s.MaxBytes > 0 && s.MaxBytes < int64(batch):
		return fmt.Errorf("backbone: MaxBytes %d is less than a batch may take, %d: it would push out its own records", s.MaxBytes, batch)
	case s.MaxAge > 0 && s.MaxAge < time.Second:
		return fmt.Errorf("backbone: MaxAge %s would lose records before they are read", s.MaxAge)
	case s.WhenFull >= numWhenFull:
		return fmt.Errorf("backbone: when-full %d is unknown", s.WhenFull)
	case s.Replicas < 0 || s.Replicas > maxReplicas:
		return fmt.Errorf("backbone: %d replicas: give 1 to %d", s.Replicas, maxReplicas)
	}
	return nil
}

// applyTo changes what was chosen, and nothing else.
func (s LogSettings) applyTo(c *jetstream.StreamConfig) {
	if s.MaxBytes != 0 {
		c.MaxBytes = max(s.MaxBytes, -1)
	}
	if c.Duplicates == c.MaxAge {
		c.Duplicates = servers.DedupeWindow // it was cut by the old age
	}
	if s.MaxAge != 0 {
		c.MaxAge = max(s.MaxAge, 0)
	}
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge) // the server insists
	}
	switch s.WhenFull {
	case DropOldest:
		c.Discard = jetstream.DiscardOld
	case Stop:
		c.Discard = jetstream.DiscardNew
	}
	if s.Replicas != 0 {
		c.Replicas = s.Replicas
	}
}

// settingsOf is what a stream has.
func settingsOf(c *jetstream.StreamConfig) LogSettings {
	s := LogSettings{MaxBytes: c.MaxBytes, MaxAge: c.MaxAge, WhenFull: whenFullOf(c), Replicas: max(c.Replicas, 1)}
	if s.MaxBytes <= 0 {
		s.MaxBytes = -1
	}
	if s.MaxAge <= 0 {
		s.MaxAge = -1
	}
	return s
}

func whenFullOf(c *jetstream.StreamConfig) WhenFull {
	if c.Discard == jetstream.DiscardNew {
		return Stop
	}
	return DropOldest
}

// defaultMaxBytes bounds a new log where nobody has chosen: half of the file system
// that it lies on. The whole would leave nothing for others and for the store's own
// index, and the log would stop at a full disk instead of going on with the newest.
// What others have on it may make that more than there is room for; then
// Config.DiskReserve stops the log.
func defaultMaxBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("size of the disk of %s: %w", dir, err)
	}
	return max(int64(s.Blocks)*s.Bsize/2, MinMaxBytes), nil //nolint:gosec // of a disk
}

// LogInfo says what the log is, as of the start.
type LogInfo struct {
	LogSettings
	Compressed  bool
	Differences []servers.Difference // of a shared log's streams, from what this node's flags say
	Sync        servers.Sync
}

// LogInfo says what the log is, as of the start.
func (l *Log) LogInfo() LogInfo {
	return LogInfo{
		LogSettings: settingsOf(&l.logWas), Compressed: l.logWas.Compression != jetstream.NoCompression,
		Differences: l.srv.Differences(), Sync: l.sync,
	}
}

// SetLog changes what s chooses of the log of the servers that where names, and nothing
// else, and says what it was before and is then. Nodes that run need no restart.
func SetLog(ctx context.Context, where servers.Config, s LogSettings) (before, after LogSettings, err error) {
	conn, err := servers.Dial(ctx, where, "settings")
	if err != nil {
		return before, after, err
	}
	defer conn.NC.Close()
	have, err := conn.JS.Stream(ctx, names.StreamUp)
	if err != nil {
		return before, after, fmt.Errorf("stream %s: %w", names.StreamUp, err)
	}
	to := have.CachedInfo().Config
	before = settingsOf(&to)
	s.applyTo(&to)
	if settingsOf(&to) == before {
		return before, before, nil
	}
	now, err := conn.JS.UpdateStream(ctx, to)
	if err != nil {
		return before, before, fmt.Errorf("stream %s: %w", names.StreamUp, err)
	}
	return before, settingsOf(&now.CachedInfo().Config), nil
}

// logStream is the durable log as this node makes it where there is none. What only
// several writers need (atomic.go) is the duplicate window, the atomic batches,
// and the rollup for the mark.
func logStream(c *Config) servers.Want {
	w := servers.Want{
		Stream: jetstream.StreamConfig{
			Name:               names.StreamUp,
			Description:        "what devices sent, in order",
			Subjects:           []string{names.Up + ">", names.Sync + ">"},
			Storage:            jetstream.FileStorage,
			Discard:            jetstream.DiscardOld,
			Duplicates:         servers.DedupeWindow,
			AllowAtomicPublish: c.Writers == Several,
			AllowRollup:        c.Writers == Several,
			AllowDirect:        true,
		},
		Apply: c.applyTo,
	}
	c.applyTo(&w.Stream)
	if c.DataDir != "" && c.MaxBytes == 0 {
		w.Fresh = func(s *jetstream.StreamConfig) (err error) {
			s.MaxBytes, err = defaultMaxBytes(c.DataDir)
			return err
		}
	}
	return w
}
