package admin

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"edgeloop/admin/api"
)

// NewEarly builds a server for a node that still starts, with the limits of cfg: /healthz says
// that it lives, /readyz why it is not ready, and everything else is 503. HandOver gives its
// listener to the Server that takes its place. starting may be called from any goroutine.
func NewEarly(cfg Config, starting func() []api.Reason) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	none := func() []api.Reason { return nil }
	s, err := build(cfg, Backends{Node: askedNode{ready: starting, warnings: none}}, (*Server).earlyRoutes)
	if err != nil {
		return nil, err
	}
	if err := s.SetPrincipals(cfg.Principals...); err != nil {
		return nil, err
	}
	s.http.SetKeepAlivesEnabled(false) // who asks again asks the Server that took over
	return s, nil
}

func (s *Server) earlyRoutes() []route {
	return append(s.health(), route{"/", everybody, "", func(http.ResponseWriter, *http.Request) error {
		return kindUnavailable.problem("the node is still starting, /readyz says what it waits for")
	}})
}

// HandOver ends accepting and returns the listener, which stays open: clients that connect from
// now on wait for the Server that has it as Config.Listener. Those already connected get one
// answer, so nobody is cut; Stop ends those that never ask.
func (s *Server) HandOver() (net.Listener, error) {
	s.mu.Lock()
	ln, served := s.listener, s.served
	s.mu.Unlock()
	ln.kept.Store(true)
	if err := ln.Close(); err != nil {
		return nil, errors.Join(err, ln.TCPListener.Close())
	}
	<-served
	return ln.TCPListener, ln.SetDeadline(time.Time{})
}

// ownListener is one that can be let go of without being closed.
type ownListener struct {
	*net.TCPListener

	// Atomic.
	kept atomic.Bool // Close ends Accept, and no more
}

// Accept implements net.Listener.
func (l *ownListener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil && l.kept.Load() {
		return nil, net.ErrClosed // not a timeout, after which one would try again
	}
	return c, err
}

// Close implements net.Listener.
func (l *ownListener) Close() error {
	if l.kept.Load() {
		return l.SetDeadline(time.Now())
	}
	return l.TCPListener.Close()
}
