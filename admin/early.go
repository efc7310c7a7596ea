package admin

import (
	"context"
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
	return build(cfg, Backends{Node: startingNode{reasons: starting}}, (*Server).earlyRoutes)
}

// startingNode is a Node of which nobody asks more than why it is not ready.
type startingNode struct {
	Node
	reasons func() []api.Reason
}

func (n startingNode) Ready() []api.Reason  { return n.reasons() }
func (startingNode) Warnings() []api.Reason { return nil }

func (s *Server) earlyRoutes() []route {
	return []route{
		{"GET /healthz", everybody, "", s.healthz},
		{"GET /readyz", everybody, "", s.readyz},
		{"/", everybody, "", func(http.ResponseWriter, *http.Request) error {
			return kindUnavailable.problem("the node is still starting, /readyz says what it waits for")
		}},
	}
}

// HandOver stops the server and returns its listener, which stays open: who connects
// meanwhile waits for the Server that has it as Config.Listener. Requests that are being
// answered may finish until ctx ends.
func (s *Server) HandOver(ctx context.Context) (net.Listener, error) {
	s.mu.Lock()
	ln := s.listener
	s.mu.Unlock()
	ln.kept.Store(true)
	if err := s.Stop(ctx); err != nil {
		return nil, errors.Join(err, ln.TCPListener.Close())
	}
	return ln.TCPListener, ln.SetDeadline(time.Time{})
}

// ownListener is one that can be let go of without being closed.
type ownListener struct {
	*net.TCPListener

	// Atomic.
	kept atomic.Bool // Close ends Accept, and no more
}

// Close implements net.Listener.
func (l *ownListener) Close() error {
	if l.kept.Load() {
		return l.SetDeadline(time.Now())
	}
	return l.TCPListener.Close()
}
