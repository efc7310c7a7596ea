package servers

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"edgeloop/backbone/names"
)

// ErrClosed is returned by every call on a node that is closing or closed.
var ErrClosed = errors.New("backbone: closed")

// Durability says what must have happened before a record counts as durable.
type Durability uint8

const (
	// Power means written and synced, which survives the loss of power. An external
	// server needs its own setting for that (`sync_interval: always`, or replicas).
	Power Durability = iota
	// Process means written to the operating system, which survives the end of the
	// process by any signal. A loss of power loses what was confirmed in about the last
	// second, the interval at which the log is then synced.
	Process

	// NumDurabilities is their number.
	NumDurabilities
)

// String returns the word of the --durability flag.
func (d Durability) String() string {
	switch d {
	case Power:
		return "power"
	case Process:
		return "process"
	}
	return "unknown"
}

// Config says where the servers are. All of it has been checked.
type Config struct {
	DataDir string // of the server in this process
	URL     string // of those elsewhere; "": in this process
	Access  Access // to those elsewhere
	// OnWait, if set, hears of each attempt to connect at the start that failed, with a
	// *NoServerError. It must not block.
	OnWait      func(error)
	Node        string
	Durability  Durability
	DiskReserve int64 // bytes that must stay free under DataDir; not positive: no check
	// SyncAlways makes the server in this process sync each batch before it answers. If
	// this node alone writes, the writer syncs instead, which is cheaper.
	SyncAlways bool
	// Shared says that the streams belong to several nodes.
	Shared bool
	Logger *zap.Logger
	Seams  Seams
}

// Seams lets tests interfere. The zero value changes nothing.
type Seams struct {
	Synced  func(path string) // a file or directory at the start
	Silence time.Duration     // instead of pullSilence
	Timeout time.Duration     // instead of RequestTimeout
}

// Between lets tests come between the sender of a message and its connection.
type Between = func(m *nats.Msg, next func(*nats.Msg) error) error

// Hearing lets tests change an answer; if it returns nil, the answer is lost.
type Hearing = func(m *nats.Msg) *nats.Msg

// State says whether a server takes writes.
type State struct {
	// Since is when it stopped; zero while it takes them.
	Since time.Time
	// Cause is why, from the latest attempt; nil while it takes them.
	Cause error
}

// OK is true while it does.
func (s State) OK() bool { return s.Cause == nil }

// Servers holds a node's servers and its connections to them. Its methods may be called from
// any goroutine, except those that start and stop it.
type Servers struct {
	// Immutable after Start.
	Reader *Conn // for all who read streams, so that they do not delay answers
	Asker  *Conn // for all questions

	cfg        Config
	patience   time.Duration   // of one question
	ctx        context.Context // ends when the node closes
	cancel     context.CancelFunc
	embedded   *embedded // nil elsewhere
	lock       *dirLock  // on the data directory; nil elsewhere
	writable   func() error
	background sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	conns       []*Conn
	differences []Difference // of shared streams from what this node's flags say

	// Atomic.
	silent   atomic.Int32 // questions in a row without an answer, see NoteAnswer
	reopened atomic.Uint64
}

// New locks the data directory if the server is in this process. The caller must call Stop
// and Unlock, whatever Start returns.
func New(cfg Config) (*Servers, error) {
	s := &Servers{cfg: cfg, patience: cmp.Or(cfg.Seams.Timeout, RequestTimeout), writable: func() error { return nil }}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if !s.Here() {
		return s, nil
	}
	dir := StoreDir(cfg.DataDir)
	if err := makeDir(dir); err != nil {
		return s, err
	}
	var err error
	if s.lock, err = lockDirs(cfg.Node, cfg.DataDir, dir); err != nil {
		return s, err
	}
	s.writable = s.lock.check
	if cfg.DiskReserve > 0 {
		free := diskFree(dir, cfg.DiskReserve)
		s.writable = func() error {
			if err := s.lock.check(); err != nil {
				return err
			}
			return free()
		}
	}
	return s, nil
}

// Start starts the server of this process, or waits for those elsewhere until ctx ends, and
// connects.
func (s *Servers) Start(ctx context.Context) (err error) {
	if s.Here() {
		if s.embedded, err = startEmbedded(&s.cfg); err != nil {
			return err
		}
	}
	if s.Asker, err = s.Dial(ctx, "asker"); err != nil {
		return err
	}
	if s.Reader, err = s.Dial(ctx, "reader"); err != nil {
		return err
	}
	s.Reader.silence = cmp.Or(s.cfg.Seams.Silence, pullSilence)
	if !s.Here() {
		return s.claimName(ctx)
	}
	return nil
}

// Here returns true if the server is in this process, with its files under DataDir.
func (s *Servers) Here() bool { return s.cfg.URL == "" }

// Shared returns true if the streams belong to several nodes.
func (s *Servers) Shared() bool { return s.cfg.Shared }

// Context returns a context that ends when the node closes.
func (s *Servers) Context() context.Context { return s.ctx }

// Go starts a goroutine that must end with Context; Stop waits for it.
func (s *Servers) Go(f func()) { s.background.Go(f) }

// Writable returns why nothing may be written now, or nil.
func (s *Servers) Writable() error { return s.writable() }

// Dial makes another connection, which Stop closes.
func (s *Servers) Dial(ctx context.Context, name string) (*Conn, error) {
	c, err := dial(ctx, &s.cfg, s.embedded, name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return c, nil
}

// Conns returns all connections, in the order in which they were made.
func (s *Servers) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Restart opens the store in this process again.
func (s *Servers) Restart() error { return s.embedded.restart() }

// Reopened returns how often NoteAnswer opened the store again.
func (s *Servers) Reopened() uint64 { return s.reopened.Load() }

// Differences returns where shared streams differ from what this node would make.
func (s *Servers) Differences() []Difference {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.differences)
}

// BlocksDir returns where the server of this process keeps the messages of a stream.
func (s *Servers) BlocksDir(stream string) string { return BlocksDir(s.cfg.DataDir, stream) }

// closeGrace is how long the goroutines of Go may take to finish with an external server;
// one that stands still would hold them up.
const closeGrace = 2 * time.Second

// Cancel ends Context.
func (s *Servers) Cancel() { s.cancel() }

// Stop ends Context, waits for the goroutines of Go, and closes connections and server, whose
// files are closed when it returns. The data directory stays locked.
func (s *Servers) Stop() {
	s.cancel()
	conns := s.Conns()
	hurry := time.AfterFunc(closeGrace, func() {
		for _, c := range conns {
			if c.dial != nil {
				c.dial.abort()
			}
		}
	})
	defer hurry.Stop()
	s.background.Wait()
	for _, c := range conns {
		c.NC.Close()
	}
	if s.embedded != nil {
		s.embedded.stop()
	}
}

// Unlock releases the data directory.
func (s *Servers) Unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.close()
}

// SyncStore syncs what an earlier process has left of the streams, if Durability asks for
// it: from then on that counts as durable.
func (s *Servers) SyncStore() error {
	if !s.Here() || s.cfg.Durability != Power {
		return nil
	}
	return syncStore(s.cfg.DataDir, StoreDir(s.cfg.DataDir), s.cfg.Seams.syncer())
}

// SyncNewStream does the same for one stream that was made while the node runs.
func (s *Servers) SyncNewStream(stream string) error {
	if !s.Here() || s.cfg.Durability != Power {
		return nil
	}
	return syncStream(StoreDir(s.cfg.DataDir), stream, s.cfg.Seams.syncer())
}

// syncer returns the function that syncs one file or directory at the start.
func (s *Seams) syncer() func(path string) error {
	if s.Synced == nil {
		return SyncPath
	}
	return func(path string) error {
		s.Synced(path)
		return SyncPath(path)
	}
}

// StoreDir returns where the server of this process keeps everything.
func StoreDir(dataDir string) string { return filepath.Join(dataDir, "nats") }

// msgsDir is the directory of the messages within that of a stream.
const msgsDir = "msgs"

// streamDir returns where the store keeps a stream.
func streamDir(storeDir, stream string) string { return filepath.Join(StreamsDir(storeDir), stream) }

// StreamsDir returns where the store keeps all streams.
func StreamsDir(storeDir string) string {
	return filepath.Join(storeDir, "jetstream", "$G", "streams")
}

// BlocksDir returns where the store under a data directory keeps the messages of a stream.
func BlocksDir(dataDir, stream string) string {
	return filepath.Join(streamDir(StoreDir(dataDir), stream), msgsDir)
}

// allStreams returns the streams whose files are synced at a start.
func allStreams() []string { return append([]string{names.StreamUp}, names.Beside()...) }
