package pool

// task is one lane as the pool sees it. It is in the ready queue at most once.
type task struct {
	// Immutable after construction.

	runner runner
	group  *group
}

// runner handles one batch of a lane and says whether the lane holds more.
type runner interface {
	run(w *worker) (more bool)
}

// group counts the lanes of one Lanes for its Drain.
type group struct {
	// Guarded by mu of the Pool.

	active  int
	drained []chan struct{} // closed when active comes to 0
}

// worker is one long-lived ants task.
type worker struct {
	// Immutable after construction.

	pool *Pool
	wake chan struct{} // holds one token; sent only to a worker taken from parked

	// Owned by the worker goroutine.

	scratch []any // the batch buffer of each Lanes, by its number

	// Guarded by mu of the Pool.

	below *worker // next in the stack of parked workers, or in a chain to wake
}

// drain is the life of a worker.
func (w *worker) drain() {
	for t := w.pool.next(w, nil, false); t != nil; {
		t = w.pool.next(w, t, t.runner.run(w))
	}
}

// next gives back the lane that was handled, and waits for another. Giving back
// and taking are one step under the lock, because at full load they always come
// together. nil means that the worker is to leave.
func (p *Pool) next(w *worker, done *task, more bool) *task {
	p.mu.Lock()
	var chain *worker
	if done != nil && more {
		p.ready.push(done)
	} else if done != nil {
		chain = p.settleLocked(done.group)
	}
	t, leave := p.takeLocked()
	for t == nil && !leave {
		w.below, p.parked = p.parked, w
		p.idle++
		p.mu.Unlock()
		wake(chain)
		<-w.wake
		p.mu.Lock()
		p.waking--
		chain = nil
		t, leave = p.takeLocked()
	}
	if leave {
		p.running--
		if p.running == 0 {
			close(p.exited)
		}
	}
	if chain == nil {
		chain = p.unparkLocked()
	}
	p.mu.Unlock()
	wake(chain)
	return t
}

// takeLocked is the lane at the front, or whether the worker is to leave.
func (p *Pool) takeLocked() (t *task, leave bool) {
	if p.closed || p.running > p.target {
		return nil, true
	}
	return p.ready.pop(), false
}

// schedule puts an idle lane into the ready queue. ok is false when the pool is
// stopping. The caller wakes the worker it is given, if any, once it has let go
// of its own lock.
func (p *Pool) schedule(t *task) (w *worker, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping.Load() {
		return nil, false
	}
	p.active++
	t.group.active++
	p.ready.push(t)
	return p.unparkLocked(), true
}

// settleLocked notes that a lane is empty, and returns the workers to wake when
// that was the last thing that Stop waited for.
func (p *Pool) settleLocked(g *group) (chain *worker) {
	p.active--
	g.active--
	if g.active == 0 {
		for _, c := range g.drained {
			close(c)
		}
		g.drained = nil
	}
	return p.closeIfDoneLocked()
}

// closeIfDoneLocked sends the workers home when the pool is stopping and has
// nothing left to do. The caller wakes those returned.
func (p *Pool) closeIfDoneLocked() (chain *worker) {
	if p.closed || p.active > 0 || !p.stopping.Load() {
		return nil
	}
	p.closed = true
	return p.unparkAllLocked()
}

// unparkLocked picks a worker to wake when a lane is ready. Only one is on its
// way at a time: it wakes the next one itself if it then finds more than one
// lane. Waking one for each lane would wake many for work that the first has
// done by the time they run. No wake-up is lost by that, because always: lanes
// are ready → a worker is on its way, or none is parked.
func (p *Pool) unparkLocked() *worker {
	if p.ready.n == 0 || p.waking > 0 || p.parked == nil {
		return nil
	}
	w := p.parked
	p.parked, w.below = w.below, nil
	p.idle--
	p.waking++
	return w
}

// unparkAllLocked takes all parked workers, chained by below.
func (p *Pool) unparkAllLocked() *worker {
	w := p.parked
	p.waking += p.idle
	p.parked, p.idle = nil, 0
	return w
}

// wake sends a chain of workers, taken from parked, on their way. It must not
// be called with a lock held.
func wake(w *worker) {
	for w != nil {
		below := w.below
		w.below = nil
		w.wake <- struct{}{}
		w = below
	}
}

// readyQueue is a ring of lanes. It never overflows: it has a place for every
// lane, and each is in it at most once.
type readyQueue struct {
	slots   []*task // length a power of two
	head, n int
}

func (q *readyQueue) push(t *task) {
	if q.n == len(q.slots) {
		panic("pool: a lane is in the ready queue twice")
	}
	q.slots[(q.head+q.n)&(len(q.slots)-1)] = t
	q.n++
}

func (q *readyQueue) pop() *task {
	if q.n == 0 {
		return nil
	}
	t := q.slots[q.head]
	q.slots[q.head] = nil
	q.head = (q.head + 1) & (len(q.slots) - 1)
	q.n--
	return t
}

// reserve makes places for n lanes more.
func (q *readyQueue) reserve(n int) {
	slots := make([]*task, ceilPow2(len(q.slots)+n))
	kept := q.n
	for i := range kept {
		slots[i] = q.pop()
	}
	*q = readyQueue{slots: slots, n: kept}
}
