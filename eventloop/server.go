package eventloop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"edgeloop/internal/bytebuf"
	"edgeloop/wsproto"
)

// readBufferCap is the read buffer of one loop: one read takes no more.
const readBufferCap = 64 << 10

// ErrEngineReturned says that the engine ended without having been asked to.
var ErrEngineReturned = errors.New("eventloop: the engine stopped by itself")

// A Server is the engine with all its connections.
type Server struct {
	// Immutable after construction.
	cfg       Config
	acceptor  Acceptor
	log       *zap.Logger
	decode    *wsproto.DecoderConfig
	handshake wsproto.HandshakeConfig
	memory    *bytebuf.Budget
	start     time.Time
	backlog   int64 // newcomers that the kernel keeps waiting
	listeners []*listener
	stopping  chan struct{} // closed by Stop, or when the engine ends by itself
	booted    chan struct{} // closed when the socket listens
	looping   chan struct{} // closed when the engine has all its loops, and may be given connections
	ended     chan struct{} // closed when Run returns

	// Set by OnBoot, before any connection and before booted is closed.
	engine  gnet.Engine
	bootErr error

	// Guarded by mu.
	mu sync.Mutex // held to add to loopList, and while the loops end

	// Atomic.
	running        atomic.Bool // Run was called
	rescued        atomic.Bool // gnet's acceptor has failed
	asked          atomic.Bool // Stop was called
	loopList       atomic.Pointer[[]*loop]
	nextID         atomic.Uint64
	open           atomic.Int64 // connections
	seats          atomic.Int64 // of them, those that are admitted or may yet be
	handshakes     atomic.Int64 // connections that are not decided
	accepted       atomic.Uint64
	acceptFailures atomic.Uint64
	limit          atomic.Int64 // MaxConnections, which may change while running

	// Safe for concurrent use.
	deflate wsproto.Deflater
	hellos  sync.Pool
	halting sync.Once
	begin   sync.Once      // closes looping
	wait    sync.WaitGroup // for the turnstile, and for who rings a loop's bell
}

// New checks cfg and prepares a server; Run starts it.
func New(cfg Config, a Acceptor) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		acceptor:  a,
		log:       cfg.Logger.Named("eventloop"),
		memory:    cfg.Memory,
		handshake: handshakeOf(&cfg),
		start:     time.Now(),
		stopping:  make(chan struct{}),
		booted:    make(chan struct{}),
		looping:   make(chan struct{}),
		ended:     make(chan struct{}),
	}
	s.decode, err = wsproto.NewDecoderConfig(wsproto.Limits{MaxMessage: cfg.MaxMessage}, &s.memory.Parts)
	if err != nil {
		return nil, fmt.Errorf("eventloop: %w", err)
	}
	s.loopList.Store(&[]*loop{})
	s.learnBacklog()
	s.makeListeners()
	s.limit.Store(int64(cfg.MaxConnections))
	return s, nil
}

// Run serves until Stop; it may be called once. nil means that Stop was called
// and everything is closed; any other end is an error and should be fatal.
func (s *Server) Run() error {
	defer close(s.ended)
	s.running.Store(true)
	if s.asked.Load() {
		return nil
	}
	for _, l := range s.listeners {
		s.wait.Go(l.runTurnstile)
	}
	err := gnet.Rotate(&handler{s: s}, s.addresses(),
		gnet.WithNumEventLoop(s.cfg.Loops),
		gnet.WithLoadBalancing(gnet.LeastConnections),
		gnet.WithReuseAddr(true),
		gnet.WithTicker(true),
		gnet.WithReadBufferCap(readBufferCap),
		gnet.WithLogger(&engineLogger{s.log.Named("gnet").Sugar(), s.parkAcceptor}),
	)
	s.halt()
	s.wait.Wait()
	for _, l := range s.loops() {
		l.sweep()
	}
	for _, l := range s.listeners {
		if l.lnfd >= 0 && !l.lnfdTaken {
			_ = unix.Close(l.lnfd) // it kept the port
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("eventloop: listen on %s: %w", strings.Join(s.addresses(), ", "), err)
	case s.bootErr != nil:
		return fmt.Errorf("eventloop: boot: %w", s.bootErr)
	case !s.asked.Load():
		return ErrEngineReturned
	}
	return nil
}

// Stop closes every connection without a word, has Run return and waits for
// that. For a gentle end, close the connections first (gateway does).
// Any goroutine. A Run that follows returns at once.
func (s *Server) Stop(ctx context.Context) error {
	s.asked.Store(true)
	s.halt()
	if !s.running.Load() {
		return nil
	}
	select {
	case <-s.booted:
		// Only the request counts: gnet would poll for the end twice a second.
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.engine.Stop(now)
	default: // OnBoot looks at stopping after it closed booted
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("eventloop: stop: %w", ctx.Err())
	}
}

// halt tells our own goroutines that the end has come.
func (s *Server) halt() { s.halting.Do(func() { close(s.stopping) }) }

// Booted is closed when the server listens; Addrs is valid from then on.
func (s *Server) Booted() <-chan struct{} { return s.booted }

// StopAccepting refuses new dials from now on; open connections stay.
func (s *Server) StopAccepting() {
	for _, l := range s.listeners {
		if err := l.gate.end(); err != nil {
			s.log.Warn("cannot close the accept gate", zap.String("listener", l.row.Name), zap.Error(err))
		}
	}
}

// SetMaxConnections changes the limit while running.
func (s *Server) SetMaxConnections(n int) {
	s.limit.Store(int64(n))
	s.minding()
}

// MaxConnections is the limit in force.
func (s *Server) MaxConnections() int { return int(s.limit.Load()) }

func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

func (s *Server) loops() []*loop { return *s.loopList.Load() }

// loopOf finds our half of el, and makes it with el's first connection.
func (s *Server) loopOf(el gnet.EventLoop) *loop {
	for _, l := range s.loops() {
		if l.el == el {
			return l
		}
	}
	l := newLoop(s, el)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := append(append([]*loop(nil), s.loops()...), l)
	s.loopList.Store(&list)
	if s.isStopping() {
		l.end() // OnShutdown has been here already
	}
	return l
}

// endLoops has no more posts taken, before gnet closes what they write to.
func (s *Server) endLoops() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.loops() {
		l.end()
	}
}

// Lag is how long the slowest loop has been behind with what it does each tick, 0 if none is; its
// resolution is a tick. Any goroutine, also before Run.
func (s *Server) Lag() (most time.Duration) {
	now := s.now()
	for _, l := range s.loops() {
		if asked := l.asked.Load(); l.late.Load() && asked <= now {
			most = max(most, time.Duration(now-asked)*s.cfg.Tick)
		}
	}
	return most
}

// now is the present in ticks since the server was made.
func (s *Server) now() uint32 {
	return uint32(time.Since(s.start) / s.cfg.Tick) //nolint:gosec // 136 years of seconds
}

// ticks rounds d up to ticks, one at the least.
func (s *Server) ticks(d time.Duration) uint32 {
	return uint32(max(1, (d+s.cfg.Tick-1)/s.cfg.Tick)) //nolint:gosec // bounded by the flags
}
