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

// ErrClosed is returned by every call on what is closing or closed.
var ErrClosed = errors.New("backbone: closed")

// Durability says what must have happened before a record counts as durable.
type Durability uint8

const (
	// Power is written and synced: it survives the loss of power. An external
	// server must be told so itself (`sync_interval: always`, or replicas).
	Power Durability = iota
	// Process is written to the operating system: it survives the end of the
	// process by any signal. A loss of power loses what was confirmed in about the
	// last second, the interval at which the log is synced then.
	Process

	// NumDurabilities is how many there are.
	NumDurabilities
)

// String is the word used by the --durability flag.
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
	DataDir     string // of the server in this process
	URL         string // of those elsewhere; "": in this process
	Creds       string // the file with the credentials for them; "": none
	Node        string
	Durability  Durability
	DiskReserve int64 // bytes that must stay free under DataDir; not positive: no check
	// SyncAlways has the server in this process sync each batch before it answers. What
	// is written by this node alone is synced by the writer, which is cheaper.
	SyncAlways bool
	// Shared says that other nodes use the streams, too: they belong to all of them.
	Shared bool
	Logger *zap.Logger
	Seams  Seams
}

// Seams is where tests come in. The zero value changes nothing.
type Seams struct {
	Synced  func(path string) // a file or directory at the start
	Silence time.Duration     // instead of pullSilence
	Timeout time.Duration     // instead of RequestTimeout
}

// Between is where tests come in between who sends a message and its connection.
type Between = func(m *nats.Msg, next func(*nats.Msg) error) error

// Hearing is where tests change an answer; nil: it is not heard.
type Hearing = func(m *nats.Msg) *nats.Msg

// State says whether a server takes what is written.
type State struct {
	// Since is when it stopped; zero while it takes them.
	Since time.Time
	// Cause is why, from the latest attempt; nil while it takes them.
	Cause error
}

// OK is true while it does.
func (s State) OK() bool { return s.Cause == nil }

// Servers is what a node knows of its servers. Its methods may be called from any
// goroutine, but those of start and stop.
type Servers struct {
	// Immutable after Start.
	Reader *Conn // of all who read streams, so that they delay nobody's answers
	Asker  *Conn // of all questions

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

// New takes the data directory, where the servers are in this process. Close must be
// called, whatever comes.
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

// Start starts the server of this process, or waits until ctx ends for those
// elsewhere, and connects.
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

// Here is true when the server is in this process, with its files under DataDir.
func (s *Servers) Here() bool { return s.cfg.URL == "" }

// Context ends when the node closes.
func (s *Servers) Context() context.Context { return s.ctx }

// Go starts a worker that ends with Context; Stop waits for it.
func (s *Servers) Go(f func()) { s.background.Go(f) }

// Writable says why nothing may be written now; nil: it may.
func (s *Servers) Writable() error { return s.writable() }

// Dial makes a connection of its own, which Stop closes.
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

// Conns are all connections, in the order in which they were made.
func (s *Servers) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Restart opens the store in this process anew.
func (s *Servers) Restart() error { return s.embedded.restart() }

// Reopened is how often NoteAnswer had the store opened anew.
func (s *Servers) Reopened() uint64 { return s.reopened.Load() }

// Differences of the streams of servers elsewhere from what this node would make.
func (s *Servers) Differences() []Difference {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.differences)
}

// BlocksDir is where the server of this process keeps the messages of a stream.
func (s *Servers) BlocksDir(stream string) string { return BlocksDir(s.cfg.DataDir, stream) }

// closeGrace is how long the workers may take to end in peace with an external
// server. One that stands still would hold them up.
const closeGrace = 2 * time.Second

// Cancel ends Context.
func (s *Servers) Cancel() { s.cancel() }

// Stop ends Context, waits for the workers, and ends connections and server: its files
// are closed when it returns. The data directory stays locked.
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

// Unlock gives the data directory back.
func (s *Servers) Unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.close()
}

// SyncStore makes what an earlier process has left of the streams safe against the loss
// of power, where that is asked for: it counts as durable from then on.
func (s *Servers) SyncStore() error {
	if !s.Here() || s.cfg.Durability != Power {
		return nil
	}
	return syncStore(s.cfg.DataDir, StoreDir(s.cfg.DataDir), s.cfg.Seams.syncer())
}

// SyncNewStream does it for one stream that was made while the node runs.
func (s *Servers) SyncNewStream(stream string) error {
	if !s.Here() || s.cfg.Durability != Power {
		return nil
	}
	return syncStream(StoreDir(s.cfg.DataDir), stream, s.cfg.Seams.syncer())
}

// syncer syncs one file or directory at the start.
func (s *Seams) syncer() func(path string) error {
	if s.Synced == nil {
		return SyncPath
	}
	return func(path string) error {
		s.Synced(path)
		return SyncPath(path)
	}
}

// StoreDir is where the server of this process keeps everything.
func StoreDir(dataDir string) string { return filepath.Join(dataDir, "nats") }

// msgsDir is the directory of a stream's messages in its own.
const msgsDir = "msgs"

// streamDir is where the store keeps a stream.
func streamDir(storeDir, stream string) string { return filepath.Join(StreamsDir(storeDir), stream) }

// StreamsDir is where the store keeps all streams.
func StreamsDir(storeDir string) string {
	return filepath.Join(storeDir, "jetstream", "$G", "streams")
}

// BlocksDir is where the store under a data directory keeps the messages of a stream.
func BlocksDir(dataDir, stream string) string {
	return filepath.Join(streamDir(StoreDir(dataDir), stream), msgsDir)
}

// allStreams are those whose files are synced at a start.
func allStreams() []string { return append([]string{names.StreamUp}, names.Beside()...) }
