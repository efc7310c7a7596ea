package pool

import (
	"runtime/debug"
	"sync"
)

// minSlots is the size of ring that a lane keeps while it is empty, once it has
// been used: most of what comes is a message or two.
const minSlots = 4

// lane is one FIFO queue.
type lane[T any] struct {
	// Immutable after construction.

	task
	lanes *Lanes[T]

	// Guarded by mu.

	mu        sync.Mutex
	scheduled bool      // in the ready queue or with a worker
	ring      *block[T] // nil until first used
	head, n   int       // ring.slots[head:head+n], around the end, wait
	waiters   []Waiter  // while there are any, the lane takes nothing
	posted    uint64
	refused   uint64
}

// room is how many tasks the lane would take. It needs the lock.
func (ln *lane[T]) room() int {
	if len(ln.waiters) > 0 {
		return 0
	}
	return ln.lanes.cfg.Depth - ln.n
}

// put appends ts, for which there is room. It needs the lock.
func (ln *lane[T]) put(ts []T) {
	if need := ln.n + len(ts); ln.ring == nil || need > len(ln.ring.slots) {
		ln.grow(need)
	}
	slots := ln.ring.slots
	tail := (ln.head + ln.n) & (len(slots) - 1)
	if len(ts) == 1 {
		slots[tail] = ts[0]
	} else {
		copied := copy(slots[tail:], ts)
		copy(slots, ts[copied:])
	}
	ln.n += len(ts)
}

// grow moves the tasks to a ring with at least need slots.
func (ln *lane[T]) grow(need int) {
	old := ln.ring
	bigger := ln.lanes.blocks.get(max(need, minSlots))
	if old != nil {
		copied := copy(bigger.slots, old.slots[ln.head:min(ln.head+ln.n, len(old.slots))])
		copy(bigger.slots[copied:], old.slots[:ln.n-copied])
		clear(old.slots)
		ln.lanes.blocks.put(old)
	}
	ln.ring, ln.head = bigger, 0
}

// take moves up to len(dst) tasks to dst. It needs the lock.
func (ln *lane[T]) take(dst []T) int {
	slots := ln.ring.slots
	n := min(ln.n, len(dst))
	first := slots[ln.head:min(ln.head+n, len(slots))]
	rest := slots[:n-len(first)]
	copy(dst, first)
	copy(dst[len(first):], rest)
	clear(first)
	clear(rest)
	ln.head = (ln.head + n) & (len(slots) - 1)
	ln.n -= n
	return n
}

// discard empties a lane that the stopping pool would not schedule.
func (ln *lane[T]) discard() {
	clear(ln.ring.slots)
	ln.n = 0
}

// run handles one batch. It is the only code that takes tasks out, and the
// scheduled flag sees to it that one worker at a time is in it.
func (ln *lane[T]) run(w *worker) (more bool) {
	l := ln.lanes
	batch := scratchFor(w, l)
	ln.mu.Lock()
	n := ln.take(batch)
	var released []Waiter
	if len(ln.waiters) > 0 && ln.n <= l.cfg.Depth/2 {
		released, ln.waiters = ln.waiters, nil
	}
	ln.mu.Unlock()

	l.tellWaiters(released)
	l.handleAll(batch[:n])
	clear(batch[:n])

	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.n > 0 {
		return true
	}
	ln.scheduled = false
	if len(ln.ring.slots) > minSlots {
		l.blocks.put(ln.ring)
		ln.ring, ln.head = nil, 0
	}
	return false
}

// tellWaiters calls those who waited for room; their panics cost nobody else.
func (l *Lanes[T]) tellWaiters(released []Waiter) {
	for _, w := range released {
		if v, stack := l.try(func([]T) { w.LaneReady() }, nil); stack != nil {
			l.pool.tell(nil, v, stack)
		}
	}
}

// handleAll handles a batch, and if that panics, its tasks one by one.
func (l *Lanes[T]) handleAll(batch []T) {
	v, stack := l.try(l.handle, batch)
	if stack == nil {
		return
	}
	guilty := len(batch) == 1
	if guilty {
		l.pool.abandon(batch[0], v, stack)
		return
	}
	for i := range batch {
		if v, stack := l.try(l.handle, batch[i:i+1]); stack != nil {
			l.pool.abandon(batch[i], v, stack)
			guilty = true
		}
	}
	if !guilty {
		l.pool.tell(nil, v, stack)
	}
}

// try calls f and catches its panic; stack is nil when there was none. It is
// the worker's recover.
func (l *Lanes[T]) try(f func([]T), batch []T) (v any, stack []byte) {
	panicked := true
	defer func() {
		if panicked {
			v, stack = recover(), debug.Stack()
			l.pool.panics.Add(1)
		}
	}()
	f(batch)
	panicked = false
	return nil, nil
}

// abandon counts a task that is given up.
func (p *Pool) abandon(task, v any, stack []byte) {
	p.abandoned.Add(1)
	p.tell(task, v, stack)
}

func (p *Pool) tell(task, v any, stack []byte) {
	if p.cfg.OnPanic != nil {
		p.cfg.OnPanic(task, v, stack)
	}
}

// scratchFor is the worker's own buffer for the batches of l.
func scratchFor[T any](w *worker, l *Lanes[T]) []T {
	for len(w.scratch) <= l.number {
		w.scratch = append(w.scratch, nil)
	}
	batch, ok := w.scratch[l.number].(*[]T)
	if !ok {
		made := make([]T, l.cfg.Batch)
		batch = &made
		w.scratch[l.number] = batch
	}
	return *batch
}

// addTo adds the lane to a snapshot.
func (ln *lane[T]) addTo(s *LaneStats) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	s.Queued += ln.n
	s.Waiting += len(ln.waiters)
	s.Posted += ln.posted
	s.Refused += ln.refused
	if ln.scheduled {
		s.Active++
	}
	if ln.ring != nil {
		s.Slots += len(ln.ring.slots)
	}
}
