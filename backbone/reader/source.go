package reader

import (
	"context"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
)

// Source is the log as a reader sees it.
type Source struct {
	// Immutable after construction.
	Servers *servers.Servers
	// Look asks the server for the state of the log.
	Look func(context.Context) (State, error)
	// Durable tells how far the log is durable; nil: as far as the servers show it.
	Durable Durable
	// Outlet, if set, is a way to the log that does not go over a connection. Durable is set, too.
	Outlet func() (*servers.Outlet, error)
	// Missed is called with the number of records that retention took before a named
	// reader came to them.
	Missed func(records uint64)
	Logger *zap.Logger
}

// State describes a log.
type State struct {
	Identity    string
	First, Last uint64
}

// Durable is a position that moves. Any goroutine may ask.
type Durable interface {
	Position() uint64
	// Wait returns nil once the log is durable up to a position, or an error.
	Wait(ctx context.Context, position uint64) error
}

// within returns a context that also ends when the node closes.
func (s *Source) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.Servers.Context(), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// look is Look, with Last at the durable position.
func (s *Source) look(ctx context.Context) (State, error) {
	is, err := s.Look(ctx)
	if err == nil && s.Durable != nil {
		is.Last = min(is.Last, s.Durable.Position())
	}
	return is, err
}
