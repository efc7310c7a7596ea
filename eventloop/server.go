package eventloop

import (
	"context"
	"errors"
	"fmt"
	"net"
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
var ErrEngineReturned = errors.New("eventloop: the engine returned by itself")

// A Server is the engine with all its connections.
type Server struct {
	// Immutable after construction.
	cfg      Config
	acceptor Acceptor
	log      *zap.Logger
	decode   *wsproto.DecoderConfig
	start    time.Time
	rescue   chan struct{}
	stopping chan struct{} // closed by Stop
	booted   chan struct{} // closed when the socket listens

	// Set by OnBoot, before any connection.
	engine gnet.Engine
	lnfd   int // a duplicate of the listening socket, ours
	addr   *net.TCPAddr

	// Guarded by mu.
	mu sync.Mutex // only for adding to loopList

	// Atomic.
	loopList       atomic.Pointer[[]*loop]
	nextID         atomic.Uint64
	open           atomic.Int64
	handshakes     atomic.Int64
	accepted       atomic.Uint64
	acceptFailures atomic.Uint64
	limit          atomic.Int64 // MaxConnections, which may change while running

	// Safe for concurrent use.
	gate    gate
	buffers bytebuf.Pool
	deflate wsproto.Deflater
	hellos  sync.Pool
	stop    sync.Once
	wait    sync.WaitGroup
}

// New checks cfg and prepares a server; Run starts it.
func New(cfg Config, a Acceptor) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		acceptor: a,
		log:      cfg.Logger.Named("eventloop"),
		start:    time.Now(),
		rescue:   make(chan struct{}, 1),
		stopping: make(chan struct{}),
		booted:   make(chan struct{}),
	}
	s.decode, err = wsproto.NewDecoderConfig(wsproto.Limits{MaxMessage: cfg.MaxMessage}, &s.buffers)
	if err != nil {
		return nil, fmt.Errorf("eventloop: %w", err)
	}
	s.loopList.Store(&[]*loop{})
	s.limit.Store(int64(cfg.MaxConnections))
	return s, nil
}

// Run serves until Stop; it may be called once. nil means that Stop was called
// and everything is closed; any other end is an error and should be fatal.
func (s *Server) Run() error {
	s.wait.Add(1)
	go s.runRescue()
	err := gnet.Run(&handler{s: s}, "tcp://"+s.cfg.Listen,
		gnet.WithNumEventLoop(s.cfg.Loops),
		gnet.WithLoadBalancing(gnet.LeastConnections),
		gnet.WithReuseAddr(true),
		gnet.WithTicker(true),
		gnet.WithReadBufferCap(readBufferCap),
		gnet.WithLogger(&engineLogger{s.log.Named("gnet").Sugar(), s.parkAcceptor}),
	)
	asked := s.isStopping()
	s.stop.Do(func() { close(s.stopping) })
	s.wait.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("eventloop: listen on %s: %w", s.cfg.Listen, err)
	case !asked:
		return ErrEngineReturned
	}
	return nil
}

// Stop closes every connection without a word and has Run return. Whoever wants
// a gentle end closes the connections first (gateway does). Any goroutine.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() { close(s.stopping) })
	select {
	case <-s.booted:
	default:
		return nil
	}
	if err := s.engine.Stop(ctx); err != nil {
		return fmt.Errorf("eventloop: stop: %w", err)
	}
	return nil
}

// Booted is closed when the server listens; Addr is valid from then on.
func (s *Server) Booted() <-chan struct{} { return s.booted }

// Addr is where the server listens.
func (s *Server) Addr() *net.TCPAddr { return s.addr }

// StopAccepting refuses new dials from now on; who is connected stays.
func (s *Server) StopAccepting() {
	if err := s.gate.end(); err != nil {
		s.log.Warn("accept gate does not close", zap.Error(err))
	}
}

// SetMaxConnections changes the limit while running.
func (s *Server) SetMaxConnections(n int) {
	s.limit.Store(int64(n))
	s.minding()
}

// MaxConnections is the limit in force.
func (s *Server) MaxConnections() int { return int(s.limit.Load()) }

// Buffers are the server's pooled buffers, for those who copy out of Receive.
func (s *Server) Buffers() *bytebuf.Pool { return &s.buffers }

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
func (s *Server) loopOf(el gnet.EventLoop, fd int) *loop {
	for _, l := range s.loops() {
		if l.el == el {
			return l
		}
	}
	l := newLoop(s, el)
	epfd, err := epollOf(fd)
	if err != nil {
		s.log.Error("reading cannot be paused, slow lanes will not hold devices back", zap.Error(err))
	}
	l.pauser.epfd = epfd
	s.mu.Lock()
	defer s.mu.Unlock()
	list := append(append([]*loop(nil), s.loops()...), l)
	s.loopList.Store(&list)
	return l
}

// now is the present in ticks since the server was made.
func (s *Server) now() uint32 {
	return uint32(time.Since(s.start) / s.cfg.Tick) //nolint:gosec // 136 years of seconds
}

// ticks rounds d up to ticks, one at the least.
func (s *Server) ticks(d time.Duration) uint32 {
	return uint32(max(1, (d+s.cfg.Tick-1)/s.cfg.Tick)) //nolint:gosec // bounded by the flags
}

// full says whether a newcomer, already counted as open, is one too many.
func (s *Server) full() bool { return s.open.Load() > s.limit.Load() }

// roomForMore says whether another connection may be accepted.
func (s *Server) roomForMore() bool {
	return s.open.Load() < s.limit.Load()+int64(s.cfg.RefuseReserve) &&
		s.handshakes.Load() < int64(s.cfg.MaxHandshakes)
}

// minding sets the gate by what is open now. After closing it looks again: the
// last one may have left in between, and nobody else would open it.
func (s *Server) minding() {
	open := s.roomForMore()
	shut, _ := s.gate.state()
	if open == !shut {
		return
	}
	if err := s.gate.set(open); err != nil {
		s.log.Warn("accept gate is stuck", zap.Error(err))
		return
	}
	if !open && s.roomForMore() {
		s.minding()
	}
}

func (s *Server) handshakeDone() {
	if s.handshakes.Add(-1) <= int64(s.cfg.MaxHandshakes)/2 {
		s.minding()
	}
}

func (s *Server) closed() {
	s.open.Add(-1)
	s.minding()
}

func (s *Server) getHello() *Hello {
	if h, ok := s.hellos.Get().(*Hello); ok {
		return h
	}
	return new(Hello)
}

// keepBlock is the largest header block whose memory is kept for the next.
const keepBlock = 4 << 10

func (s *Server) putHello(h *Hello) {
	if h != nil && cap(h.block) <= keepBlock {
		s.hellos.Put(h)
	}
}

// learnAddr reads where the listening socket is bound.
func (s *Server) learnAddr() error {
	fd, err := s.engine.Dup()
	if err != nil {
		return fmt.Errorf("duplicate the listening socket: %w", err)
	}
	s.lnfd = fd
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("name of the listening socket: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		s.addr = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *unix.SockaddrInet6:
		s.addr = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	}
	return nil
}
