package uplog

import (
	"context"
	"sync"
	"sync/atomic"
)

// frontier is how far the log is durable. The committer moves it, readers wait for
// it.
type frontier struct {
	// Atomic.
	at      atomic.Uint64
	waiting atomic.Int32 // readers that wait, or are about to

	mu sync.Mutex
	// Guarded by mu.
	moved chan struct{} // closed when it has moved
}

func newFrontier(at uint64) *frontier {
	f := &frontier{moved: make(chan struct{})}
	f.at.Store(at)
	return f
}

func (f *frontier) Position() uint64 { return f.at.Load() }

// move is called by the committer.
func (f *frontier) move(at uint64) {
	f.at.Store(at)
	if f.waiting.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.moved)
	f.moved = make(chan struct{})
}

// Wait returns when the log is durable up to a position, or with why not.
func (f *frontier) Wait(ctx context.Context, position uint64) error {
	if f.Position() >= position {
		return nil
	}
	f.waiting.Add(1)
	defer f.waiting.Add(-1)
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		if f.Position() >= position {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
