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
	// Look asks the log what it is.
	Look func(context.Context) (State, error)
	// Durable is how far the log is durable; nil: as far as the servers show it.
	Durable Durable
	// Missed hears of records that retention took before a named reader came to them.
	Missed func(records uint64)
	Logger *zap.Logger
}

// State is what a log is.
type State struct {
	Identity    string
	First, Last uint64
}

// Durable is a position that moves. Any goroutine may ask.
type Durable interface {
	Position() uint64
	// Wait returns when the log is durable up to a position, or with why not.
	Wait(ctx context.Context, position uint64) error
}

// within ends with the node too.
func (s *Source) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.Servers.Context(), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// look is Look, with Last where the log is durable.
func (s *Source) look(ctx context.Context) (State, error) {
	is, err := s.Look(ctx)
	if err == nil && s.Durable != nil {
		is.Last = min(is.Last, s.Durable.Position())
	}
	return is, err
}
