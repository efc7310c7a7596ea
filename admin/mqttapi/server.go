package mqttapi

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/backbone/store"
	"edgeloop/eventloop"
)

// Server lets applications in. It is an eventloop.Acceptor before that of the devices.
type Server struct {
	// Immutable after construction.
	cfg      Config
	log      *zap.Logger
	auditLog *zap.Logger
	started  time.Time
	looks    *looks // for what is retained

	// Atomic.
	roster atomic.Pointer[access.Roster] // nil: nobody is let in yet, or any more
	counts counts

	mu sync.Mutex
	// Guarded by mu.
	clients  map[string]*client // by the name of the place
	groups   map[string]*group  // by the name of the place
	byToken  map[string]int     // connections, by the name of the token
	running  sync.WaitGroup     // added to while stopping is false
	present  int                // connections, those that end included
	stopping bool
	swept    chan struct{} // closed when the sweeper has ended; nil: it has not begun
	endSweep context.CancelFunc
}

// New makes a server that gives every connection to Config.Devices, until Start.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	return &Server{
		cfg: cfg, log: cfg.Logger.Named("mqttapi"), auditLog: cfg.Audit.Named("mqttapi"), started: time.Now(),
		looks: newLooks(), clients: map[string]*client{}, groups: map[string]*group{}, byToken: map[string]int{},
	}
}

// Start lets in who is in a roster. It is called once.
func (s *Server) Start(r *access.Roster) {
	ctx, cancel := context.WithCancel(context.Background())
	swept := make(chan struct{})
	s.mu.Lock()
	s.swept, s.endSweep = swept, cancel
	s.mu.Unlock()
	go func() {
		defer close(swept)
		s.sweep(ctx)
	}()
	s.roster.Store(r)
}

// Stop ends all connections of applications, keeps their sessions, and waits until that is
// done, or ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	for _, c := range s.clients {
		c.end(errStopping)
	}
	swept, end := s.swept, s.endSweep
	s.mu.Unlock()
	if swept != nil {
		end()
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.running.Wait()
		if swept != nil {
			<-swept
		}
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mqttapi: applications are still connected: %w", ctx.Err())
	}
}

// join notes a client, which ends the one that has its session. Whoever replaces a connection of
// his own, which may be half open, is not one more. [MQTT-3.1.4-3]
func (s *Server) join(c *client) *eventloop.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := placeName(c.tenant, c.id)
	before := s.clients[name]
	more := before == nil || before.who.Name != c.who.Name
	switch {
	case s.stopping:
		return s.later(refusedConnections, "this node is going away")
	case more && s.present >= s.cfg.MaxConnections:
		return s.later(refusedConnections, fmt.Sprintf("%d applications are connected, which is the limit", s.present))
	case more && s.byToken[c.who.Name] >= s.cfg.MaxTokenConnections:
		return s.later(refusedConnections, fmt.Sprintf("%d applications are connected with the token %s, which is the limit", s.byToken[c.who.Name], c.who.Name))
	}
	s.present++
	s.byToken[c.who.Name]++
	s.running.Add(1)
	s.clients[name] = c
	if before != nil {
		c.before = before.done
		before.end(store.ErrTaken)
	}
	return nil
}

// await waits until the client before is gone, so that it has kept what it has to keep.
func (s *Server) await(ctx context.Context, c *client) error {
	if c.before == nil {
		return nil
	}
	select {
	case <-c.before:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// replaced says whether another client has the session at this node: it waits for c.
func (s *Server) replaced(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[placeName(c.tenant, c.id)] != c
}

// part forgets a client that is gone.
func (s *Server) part(c *client) {
	c.end(errGone)
	close(c.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present--
	if s.byToken[c.who.Name]--; s.byToken[c.who.Name] == 0 {
		delete(s.byToken, c.who.Name)
	}
	if name := placeName(c.tenant, c.id); s.clients[name] == c {
		delete(s.clients, name)
	}
	s.running.Done()
}

// later refuses who may come again.
func (s *Server) later(why Refused, text string) *eventloop.Refusal {
	s.counts.refused[why].Add(1)
	return &eventloop.Refusal{Reason: eventloop.ReasonQuota, Text: text, RetryAfter: eventloop.Spread(s.cfg.RetryAfter)}
}

func (s *Server) comeBack() string {
	return fmt.Sprintf("retry=%d", eventloop.Spread(s.cfg.RetryAfter)/time.Second)
}

// room refuses a session more where as many are kept as may be.
func (s *Server) room(ctx context.Context, tenant string) (*eventloop.Refusal, error) {
	all, ofTenant := 0, 0
	err := s.cfg.Log.Places(ctx, func(name string, _ store.Place) {
		if strings.HasPrefix(name, namePrefix) {
			all++
		}
		if strings.HasPrefix(name, placeName(tenant, "")) {
			ofTenant++
		}
	})
	switch {
	case err != nil:
		return nil, err //nolint:wrapcheck // the log says what it could not do
	case ofTenant >= s.cfg.MaxTenantSessions:
		return s.refuse(refusedSessions, eventloop.ReasonQuota, fmt.Sprintf("%d sessions of this tenant are kept, which is the limit: connect with one of their client identifiers, or without a session", ofTenant)), nil
	case all >= s.cfg.MaxSessions:
		return s.refuse(refusedSessions, eventloop.ReasonQuota, fmt.Sprintf("%d sessions are kept, which is the limit: connect with one of their client identifiers, or without a session", all)), nil
	}
	return nil, nil
}

// sweep forgets sessions that are over, until ctx ends.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var over []string
		err := s.cfg.Log.Places(ctx, func(name string, at store.Place) {
			if kept, ok := readSession(at.Note); strings.HasPrefix(name, namePrefix) && ok && kept.over(time.Now(), s.started) {
				over = append(over, name)
			}
		})
		for _, name := range over {
			if err == nil && !s.here(name) {
				err = s.cfg.Log.Forget(ctx, name)
			}
		}
		if err == nil {
			err = s.sweepGroups(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("cannot look for sessions that are over", zap.Error(err))
		}
	}
}
