package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"
)

// Store keeps one command, durable when it returns nil. A *Refusal is definite; all else is of
// the moment. It may be called from any goroutine; the command is borrowed until return.
type Store func(ctx context.Context, c Command) error

// Set is the sources of a node. Its methods may be called from any goroutine.
type Set struct {
	// Immutable after construction.
	store Store
	log   *zap.Logger
	turn  chan struct{} // capacity 1: held by who changes what runs

	mu sync.Mutex
	// Guarded by mu.
	runs   []*runner // in the order of the configuration
	closed bool
}

// NewSet is a set without sources.
func NewSet(store Store, logger *zap.Logger) *Set {
	if logger == nil {
		logger = zap.NewNop()
	}
	return &Set{store: store, log: logger.Named("intake"), turn: make(chan struct{}, 1)}
}

var errStopped = errors.New("intake: the node stops")

// Apply has the sources run that specs say: new ones begin, those that changed begin again,
// those that are gone end. The others are left alone.
func (s *Set) Apply(ctx context.Context, specs []Spec) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	was := s.running()
	stays := func(r *runner) bool {
		return slices.ContainsFunc(specs, func(n Spec) bool { return n.Name == r.spec.Name && n.same(&r.spec) })
	}
	err := end(ctx, slices.DeleteFunc(slices.Clone(was), stays))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errStopped
	}
	s.runs = nil
	for _, spec := range specs {
		i := slices.IndexFunc(was, func(r *runner) bool { return r.spec.Name == spec.Name })
		if i >= 0 && stays(was[i]) {
			s.runs = append(s.runs, was[i])
			continue
		}
		var counts Counts
		if i >= 0 {
			counts = was[i].read().Counts
		}
		s.runs = append(s.runs, start(spec, s.store, s.log, counts))
	}
	return err
}

func (s *Set) running() []*runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

// end ends runners, all at a time. A command that is on its way is not acknowledged, and comes
// again.
func end(ctx context.Context, runs []*runner) (err error) {
	for _, r := range runs {
		r.stop()
	}
	for _, r := range runs {
		select {
		case <-r.done:
		case <-ctx.Done():
			err = errors.Join(err, fmt.Errorf("commands of %s: the source does not end: %w", r.spec.Name, ctx.Err()))
		}
	}
	return err
}

// Stop ends all sources; none begins any more.
func (s *Set) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	runs := s.runs
	s.mu.Unlock()
	return end(ctx, runs)
}

// Status is what is known of the sources, in the order of the configuration.
func (s *Set) Status() []Status {
	runs := s.running()
	out := make([]Status, len(runs))
	for i, r := range runs {
		out[i] = r.read()
	}
	return out
}
