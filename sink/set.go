package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"
)

// Set is the sinks of a node. Its methods may be called from any goroutine.
type Set struct {
	// Immutable after construction.
	node Node
	turn chan struct{} // capacity 1: held by who changes what runs

	mu sync.Mutex
	// Guarded by mu.
	runs   []*runner // in the order of the configuration
	closed bool
}

var errStopped = errors.New("sink: the node stops")

// NewSet is a set without sinks.
func NewSet(node Node) *Set {
	if node.Logger == nil {
		node.Logger = zap.NewNop()
	}
	node.Logger = node.Logger.Named("sink")
	return &Set{node: node, turn: make(chan struct{}, 1)}
}

// inTurn has do change what runs, while nobody else does.
func (s *Set) inTurn(ctx context.Context, do func() error) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errStopped
	}
	return do()
}

// Apply has the sinks run that specs say: new ones begin, those that changed begin again
// where they were, those that are gone end. The others are left alone. It waits for what
// is on its way to be confirmed, until ctx ends.
func (s *Set) Apply(ctx context.Context, specs []Spec) error {
	return s.inTurn(ctx, func() error {
		was := s.running()
		var stale []*runner
		for _, r := range was {
			if !slices.ContainsFunc(specs, func(n Spec) bool { return n.Name == r.spec.Name && n.same(&r.spec) }) {
				stale = append(stale, r)
			}
		}
		err := end(ctx, stale)
		var runs []*runner
		for _, spec := range specs {
			i := slices.IndexFunc(was, func(r *runner) bool { return r.spec.Name == spec.Name })
			switch {
			case i >= 0 && !slices.Contains(stale, was[i]):
				runs = append(runs, was[i])
			case i >= 0:
				runs = append(runs, start(spec, s.node, was[i].status.read().Counts, was[i].paused))
			default:
				runs = append(runs, start(spec, s.node, Counts{}, false))
			}
		}
		s.put(runs)
		return err
	})
}

func (s *Set) running() []*runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

// put has runs be what runs. Those that a change began while the node stopped, Stop has not
// seen: they end here.
func (s *Set) put(runs []*runner) {
	s.mu.Lock()
	s.runs = runs
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		return
	}
	for _, r := range runs {
		r.cut()
		<-r.done
	}
}

// end ends runners, all at a time. What is on its way when ctx ends is cut, and comes
// again.
func end(ctx context.Context, runs []*runner) (err error) {
	for _, r := range runs {
		r.stop()
	}
	for _, r := range runs {
		select {
		case <-r.done:
		case <-ctx.Done():
			r.cut()
			<-r.done
			err = errors.Join(err, fmt.Errorf("sink %s: what was on its way was cut and will be sent again", r.spec.Name))
		}
	}
	return err
}

// Stop ends all sinks; none begins any more.
func (s *Set) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	runs := s.runs
	s.mu.Unlock()
	return end(ctx, runs)
}

// Status is what is known of the sinks, in the order of the configuration.
func (s *Set) Status() []Status {
	runs := s.running()
	out := make([]Status, len(runs))
	for i, r := range runs {
		out[i] = r.status.read()
	}
	return out
}
