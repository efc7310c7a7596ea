package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"go.uber.org/zap"

	"edgeloop/admin/access"
)

// ErrRemote is returned for a listen address that others can reach, when
// neither TLS nor Config.AllowRemote says that this is meant.
var ErrRemote = errors.New("admin: not a loopback address, set TLS or allow remote access")

// Server is the admin HTTP server of one node.
type Server struct {
	// Immutable after construction.
	cfg      Config
	node     Backends
	log      *zap.Logger
	auditLog *zap.Logger
	mux      *http.ServeMux
	byRoute  map[string]route
	http     *http.Server
	stopping context.Context // the context of every request; ended by Stop
	endWaits context.CancelFunc
	tails    chan struct{} // one place per running tail
	// boundTails has a place for each of them whose reader is bound to a tenant.
	boundTails chan struct{}
	counters   *counters

	// Guarded by mu.
	mu       sync.Mutex
	listener *ownListener
	door     *door
	served   chan struct{} // closed when the goroutine of Start has ended

	// Safe for concurrent use.
	roster access.Roster
}

// New builds a server; nothing listens before Start or Serve.
func New(cfg Config, node Backends) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := node.check(); err != nil {
		return nil, err
	}
	s, err := build(cfg, node, (*Server).routes)
	if err != nil {
		return nil, err
	}
	if err := s.SetPrincipals(cfg.Principals...); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes a server of what has been checked; nobody has a token yet.
func build(cfg Config, node Backends, routes func(*Server) []route) (*Server, error) {
	s := &Server{
		cfg:        cfg,
		node:       node,
		log:        cfg.Logger.Named("admin"),
		auditLog:   cfg.Audit.Named("admin"),
		mux:        http.NewServeMux(),
		byRoute:    make(map[string]route),
		tails:      make(chan struct{}, cfg.MaxTails),
		boundTails: make(chan struct{}, max(1, cfg.MaxTails*3/4)),
		counters:   new(counters),
	}
	s.stopping, s.endWaits = context.WithCancel(context.Background())
	for _, r := range routes(s) {
		s.byRoute[r.pattern] = r
		s.mux.Handle(r.pattern, s.adapt(r))
	}
	errorLog, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("admin: error log: %w", err)
	}
	spoken := new(http.Protocols)
	spoken.SetHTTP1(true) // HTTP/2 has many requests on a connection: limits are by connection
	s.http = &http.Server{
		Protocols:         spoken,
		Handler:           s,
		ReadHeaderTimeout: cfg.ReadTimeout,
		// ReadTimeout stays unset: it would end long replies; bodies have a deadline
		// of their own, see ServeHTTP.
		IdleTimeout:    2 * cfg.WriteTimeout,
		MaxHeaderBytes: 16 << 10,
		TLSConfig:      cfg.TLS,
		BaseContext:    func(net.Listener) context.Context { return s.stopping },
		ConnContext:    withVisitor,
		ErrorLog:       errorLog,
	}
	return s, nil
}

// Start listens on Config.Listen, or takes Config.Listener, and serves in a goroutine of its
// own until Stop. The address is taken when Start returns.
func (s *Server) Start() error {
	tcp := s.cfg.Listener
	if tcp == nil {
		fresh, err := net.Listen("tcp", s.cfg.Listen)
		if err != nil {
			return fmt.Errorf("admin: %w", err)
		}
		tcp = fresh
	}
	ln := &ownListener{TCPListener: tcp.(*net.TCPListener)} //nolint:forcetypeassert // of "tcp"
	served := make(chan struct{})
	s.mu.Lock()
	s.listener, s.served = ln, served
	s.mu.Unlock()
	go func() {
		defer close(served)
		if err := s.Serve(ln); err != nil {
			s.log.Error("serving ended", zap.Error(err))
		}
	}()
	return nil
}

// Serve serves on a listener it is given, with the same limits as Start, and
// closes it. It returns nil after Stop or HandOver.
func (s *Server) Serve(ln net.Listener) error {
	d := newDoor(ln, s.cfg.MaxConnections, &s.counters.evicted)
	s.mu.Lock()
	s.door = d
	s.mu.Unlock()
	var err error
	if s.cfg.TLS != nil {
		err = s.http.ServeTLS(d, "", "")
	} else {
		err = s.http.Serve(d)
	}
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("admin: %w", err)
}

// Addr is where Start listens, nil before it.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Stop ends the streams with a last event and what else waits with a problem,
// lets running requests finish until ctx ends, then cuts what is left. It waits
// for the goroutine of Start.
func (s *Server) Stop(ctx context.Context) error {
	s.endWaits()
	s.mu.Lock()
	served, d := s.served, s.door
	s.mu.Unlock()
	if d != nil {
		d.dismiss()
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("admin: requests were cut: %w", err), s.http.Close())
	}
	if served != nil {
		<-served
	}
	return err
}
