package pool

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// A Queue hands its tasks, one by one and in the order they were posted, to whichever
// worker of its pool is free. A slow handler holds up one worker and no other task. Every
// method may be called from any goroutine.
type Queue[T any] struct {
	// Immutable after construction.

	pool   *Pool
	depth  int
	handle func(T)
	group  *group

	// Guarded by mu.

	mu      sync.Mutex
	free    []*place[T]
	places  int // made so far
	started int // tasks whose handler runs
	posted  uint64
	refused uint64
}

// place holds one task. To the pool it is a source of one task.
type place[T any] struct {
	source
	queue *Queue[T]
	v     T
}

// QueueStats is a snapshot of a Queue.
type QueueStats struct {
	Queued  int    // tasks that wait for a worker
	Active  int    // tasks that are being handled
	Posted  uint64 // tasks accepted
	Refused uint64 // tasks not accepted, because the queue was full
}

// NewQueue makes a queue in which at most depth tasks wait or are being handled. A task
// over which handle panics is given up.
func NewQueue[T any](p *Pool, depth int, handle func(T)) (*Queue[T], error) {
	if depth < 1 || depth > maxDepth {
		return nil, fmt.Errorf("pool: queue depth %d: want 1 to %d", depth, maxDepth)
	}
	q := &Queue[T]{pool: p, depth: depth, handle: handle, group: &group{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping.Load() {
		return nil, ErrStopped
	}
	p.ready.reserve(depth)
	return q, nil
}

// Post appends a task. It returns false if the queue is full, and after Stop. It never
// blocks.
func (q *Queue[T]) Post(v T) bool {
	q.mu.Lock()
	pl := q.placeLocked()
	if pl == nil {
		q.refused++
		q.mu.Unlock()
		return false
	}
	pl.v = v
	sleeper, ok := q.pool.schedule(&pl.source)
	if ok {
		q.posted++
	} else {
		q.putLocked(pl)
	}
	q.mu.Unlock()
	wake(sleeper)
	return ok
}

func (q *Queue[T]) placeLocked() *place[T] {
	if n := len(q.free); n > 0 {
		pl := q.free[n-1]
		q.free = q.free[:n-1]
		return pl
	}
	if q.places == q.depth {
		return nil
	}
	q.places++
	pl := &place[T]{queue: q}
	pl.source = source{runner: pl, group: q.group}
	return pl
}

func (q *Queue[T]) putLocked(pl *place[T]) {
	var zero T
	pl.v = zero
	q.free = append(q.free, pl)
}

// run handles the task. Post may use the place again before the pool has taken it back:
// then it stands in the ready queue for the new task and is counted twice.
func (pl *place[T]) run(*worker) (more bool) {
	q := pl.queue
	v := pl.v
	q.mu.Lock()
	q.started++
	q.mu.Unlock()
	q.try(v)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.started--
	q.putLocked(pl)
	return false
}

// try handles v; a panic costs v and nothing else.
func (q *Queue[T]) try(v T) {
	panicked := true
	defer func() {
		if panicked {
			what, stack := recover(), debug.Stack()
			q.pool.panics.Add(1)
			q.pool.abandon(v, what, stack)
		}
	}()
	q.handle(v)
	panicked = false
}

// Stats takes a snapshot.
func (q *Queue[T]) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return QueueStats{
		Queued: q.places - len(q.free) - q.started, Active: q.started,
		Posted: q.posted, Refused: q.refused,
	}
}
