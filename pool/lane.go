package pool

import (
	"math"
	"math/bits"
	"runtime/debug"
	"sync"
)

// A lane is shared by devices and lets them take turns.
//
// Its tasks lie in numQueues queues. Each queue keeps an account of what its tasks have
// cost, and a worker takes a share from the queue whose account is lowest. The lane's own
// account, level, is that of the queue that comes next, so the queues that always hold
// tasks are all close to it. Credit does not grow without end: a queue that was empty
// starts at most one share behind level. So a queue that sends less than its part comes
// before those that send more, however small its messages are, and each gets its part.
//
// The tasks of one key wait in one queue, which keeps their order. A key has a queue to
// itself, the one that its hash names or else any empty one, as long as there is one; the
// 65th key that waits in a lane shares a queue.
type lane[T any] struct {
	// Immutable after construction.

	source
	lanes *Lanes[T]

	// Guarded by mu.

	mu        sync.Mutex
	scheduled bool      // in the ready queue or with a worker
	block     *block[T] // nil until first used
	queues    [numQueues]queue
	busy      uint64              // by bit, the queues that are not empty
	shared    uint64              // of those, the ones that hold tasks of several keys
	away      uint64              // the queues whose key has its home elsewhere
	level     int64               // the account of the queues that always hold tasks
	n         int                 // tasks that wait
	waiters   map[Waiter]struct{} // while there are any, the lane accepts nothing
	posted    uint64
	refused   uint64
}

// numQueues is the number of queues in a lane: as many as busy has bits.
const (
	queueBits = 6
	numQueues = 1 << queueBits
)

// queue is a list of slots in the lane's block, first to last.
type queue struct {
	key         uint64 // whose it is, or was
	had         int64  // its account: what its tasks have cost
	first, last int32
}

// roomLocked returns how many tasks the lane would accept.
func (ln *lane[T]) roomLocked() int {
	if len(ln.waiters) > 0 {
		return 0
	}
	return max(0, ln.lanes.cfg.Depth-ln.n) // PostLast goes beyond
}

// queueOfLocked returns the number of the queue for tasks of key. home is the queue that
// its hash names, which key gets to itself if possible.
func (ln *lane[T]) queueOfLocked(key uint64, home int) int {
	if ln.queues[home].key == key {
		return home
	}
	for away := ln.away; away != 0; away &= away - 1 {
		q := bits.TrailingZeros64(away)
		switch {
		case ln.queues[q].key == key:
			return q
		case ln.busy>>q&1 == 0 && ln.queues[q].had <= ln.level: // it need not be known again
			ln.away &^= 1 << q
		}
	}
	q, bit := home, uint64(1)<<home
	if ln.busy&bit == 0 {
		ln.away &^= bit
	} else {
		if ln.busy == math.MaxUint64 {
			ln.shared |= bit
		}
		if ln.shared&bit != 0 {
			return home // until it is empty: some of key's may be in it
		}
		q = ln.leastLocked(^ln.busy)
		ln.away |= 1 << q
	}
	ln.queues[q].key = key
	return q
}

// leastLocked returns which of some queues, at least one, has the lowest account.
func (ln *lane[T]) leastLocked(some uint64) int {
	least := bits.TrailingZeros64(some)
	for some &= some - 1; some != 0; some &= some - 1 {
		if q := bits.TrailingZeros64(some); ln.queues[q].had < ln.queues[least].had {
			least = q
		}
	}
	return least
}

// putLocked appends ts to queue q; the caller has seen that there is room for them.
func (ln *lane[T]) putLocked(q int, ts []T) {
	if ln.block == nil || ln.n+len(ts) > len(ln.block.slots) {
		ln.growLocked(ln.n + len(ts))
	}
	queue, bit := &ln.queues[q], uint64(1)<<q
	for i := range ts {
		at := ln.block.take()
		ln.block.slots[at].task = ts[i]
		if ln.busy&bit == 0 {
			ln.busy |= bit
			queue.had = max(queue.had, ln.level-int64(ln.lanes.share))
			queue.first = at
		} else {
			ln.block.slots[queue.last].next = at
		}
		queue.last = at
	}
	ln.n += len(ts)
}

// growLocked moves the tasks to a block of at least need slots; each keeps its index.
func (ln *lane[T]) growLocked(need int) {
	bigger := ln.lanes.blocks.get(max(need, minSlots))
	if old := ln.block; old != nil {
		copy(bigger.slots, old.slots)
		bigger.used, bigger.free = old.used, old.free
		ln.lanes.blocks.put(old)
	}
	ln.block = bigger
}

// takeLocked moves tasks to dst, one share of a queue at a time, until dst is full or
// their cost reaches most. It moves at least one and returns how many.
func (ln *lane[T]) takeLocked(dst []T, most int) (n int) {
	cost := int32(0)
	for n < len(dst) && ln.busy != 0 && (n == 0 || int(cost) < most) {
		q := ln.leastLocked(ln.busy)
		ln.level = max(ln.level, ln.queues[q].had)
		for had := int32(0); n < len(dst) && ln.busy>>q&1 != 0 && had < ln.lanes.share; n++ {
			c := ln.shiftLocked(q, &dst[n])
			cost, had = cost+c, had+c
			ln.queues[q].had += int64(c)
		}
	}
	ln.n -= n
	return n
}

// shiftLocked moves the first task of queue q, which is not empty, to dst and returns its
// cost.
func (ln *lane[T]) shiftLocked(q int, dst *T) int32 {
	at := ln.queues[q].first
	slot := &ln.block.slots[at]
	*dst = slot.task
	cost := ln.lanes.costOf(&slot.task)
	if at == ln.queues[q].last {
		ln.busy &^= 1 << q
		ln.shared &^= 1 << q
	} else {
		ln.queues[q].first = slot.next
	}
	ln.block.give(at)
	return cost
}

// discardLocked empties a lane that the pool, stopping, would not schedule.
func (ln *lane[T]) discardLocked() {
	ln.block.reset()
	ln.n, ln.busy, ln.shared, ln.away = 0, 0, 0, 0
}

// run handles one batch. Only run takes tasks out, and the scheduled flag lets one worker
// at a time into it.
func (ln *lane[T]) run(w *worker) (more bool) {
	l := ln.lanes
	batch := scratchFor(w, l)
	ln.mu.Lock()
	n := ln.takeLocked(batch, l.most)
	var released map[Waiter]struct{}
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
	ln.block.reset()
	if len(ln.block.slots) > minSlots {
		l.blocks.put(ln.block)
		ln.block = nil
	}
	return false
}

// tellWaiters calls those who waited for room. A panic of one does not keep the others
// from being called.
func (l *Lanes[T]) tellWaiters(released map[Waiter]struct{}) {
	for w := range released {
		if v, stack := l.try(func([]T) { w.LaneReady() }, nil); stack != nil {
			l.pool.tell(nil, v, stack)
		}
	}
}

// handleAll handles a batch and, if that panics, its tasks one by one.
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

// try calls f and catches its panic; stack is nil if there was none. It is the worker's
// recover.
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

// abandon gives a task up and counts it.
func (p *Pool) abandon(task, v any, stack []byte) {
	p.abandoned.Add(1)
	p.tell(task, v, stack)
}

func (p *Pool) tell(task, v any, stack []byte) {
	if p.cfg.OnPanic != nil {
		p.cfg.OnPanic(task, v, stack)
	}
}

// scratchFor returns the worker's own buffer for batches of l.
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

// addTo adds the lane's figures to a snapshot.
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
	if ln.block != nil {
		s.Slots += len(ln.block.slots)
	}
}
