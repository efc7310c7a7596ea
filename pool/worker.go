package pool

// source is where workers get tasks: a lane, or a place of a Queue. It stands in the ready
// queue at most once.
type source struct {
	// Immutable after construction.

	runner runner
	group  *group
}

// runner handles one batch of a source and says whether the source holds more.
type runner interface {
	run(w *worker) (more bool)
}

// group counts the sources of one Lanes that are not empty, for WaitEmpty.
type group struct {
	// Guarded by mu of the Pool.

	active  int
	emptied []chan struct{} // closed when active comes to 0
}

// worker is one long-lived goroutine of the ants pool.
type worker struct {
	// Immutable after construction.

	pool *Pool
	wake chan struct{} // holds one token; sent only to a worker taken from parked

	// Owned by the worker goroutine.

	scratch []any // the batch buffer of each Lanes, by its number

	// Guarded by mu of the Pool.

	below *worker // next in the stack of parked workers, or in a chain to wake
}

// work handles one source after another until the worker is to leave.
func (w *worker) work() {
	for s := w.pool.next(w, nil, false); s != nil; {
		s = w.pool.next(w, s, s.runner.run(w))
	}
}

// next gives back the source that was handled and waits for another. Giving back and
// taking are one step under the lock, because at full load they always come together.
// nil tells the worker to leave.
func (p *Pool) next(w *worker, done *source, more bool) *source {
	p.mu.Lock()
	var chain *worker
	if done != nil && more {
		p.ready.push(done)
	} else if done != nil {
		chain = p.settleLocked(done.group)
	}
	s, leave := p.takeLocked()
	for s == nil && !leave {
		w.below, p.parked = p.parked, w
		p.idle++
		p.mu.Unlock()
		wake(chain)
		<-w.wake
		p.mu.Lock()
		p.waking--
		chain = nil
		s, leave = p.takeLocked()
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
	return s
}

// takeLocked returns the source at the front, or says that the worker is to leave.
func (p *Pool) takeLocked() (s *source, leave bool) {
	if p.closed || p.running > p.target {
		return nil, true
	}
	return p.ready.pop(), false
}

// schedule puts a source that got its first task into the ready queue. ok is false when
// the pool is stopping. The caller wakes the worker returned, if any, after releasing its
// own lock.
func (p *Pool) schedule(s *source) (w *worker, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping.Load() {
		return nil, false
	}
	p.active++
	s.group.active++
	p.ready.push(s)
	return p.unparkLocked(), true
}

// settleLocked notes that a source is empty. It returns the workers to wake if Stop was
// waiting for that alone.
func (p *Pool) settleLocked(g *group) (chain *worker) {
	p.active--
	g.active--
	if g.active == 0 {
		for _, c := range g.emptied {
			close(c)
		}
		g.emptied = nil
	}
	return p.closeIfDoneLocked()
}

// closeIfDoneLocked makes the workers leave if the pool is stopping and has nothing left
// to do. The caller wakes those returned.
func (p *Pool) closeIfDoneLocked() (chain *worker) {
	if p.closed || p.active > 0 || !p.stopping.Load() {
		return nil
	}
	p.closed = true
	return p.unparkAllLocked()
}

// unparkLocked picks a worker to wake if a source is ready. Only one is on its way at a
// time: it wakes the next one itself if it then finds more than one source. Waking one for
// each source would wake many for work that the first has done by the time they run. No
// wake-up is lost, because of an invariant: while sources are ready, a worker is on its
// way or none is parked.
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

// wake sends a chain of workers, taken from parked, on their way. The caller must hold no
// lock.
func wake(w *worker) {
	for w != nil {
		below := w.below
		w.below = nil
		w.wake <- struct{}{}
		w = below
	}
}

// readyQueue is a ring of sources, guarded by mu of the Pool. It never overflows: it has
// room for every source, and each is in it at most once.
type readyQueue struct {
	slots   []*source // length a power of two
	head, n int
}

func (q *readyQueue) push(s *source) {
	if q.n == len(q.slots) {
		panic("pool: a source is in the ready queue twice")
	}
	q.slots[(q.head+q.n)&(len(q.slots)-1)] = s
	q.n++
}

func (q *readyQueue) pop() *source {
	if q.n == 0 {
		return nil
	}
	s := q.slots[q.head]
	q.slots[q.head] = nil
	q.head = (q.head + 1) & (len(q.slots) - 1)
	q.n--
	return s
}

// reserve makes room for n more sources.
func (q *readyQueue) reserve(n int) {
	slots := make([]*source, ceilPow2(len(q.slots)+n))
	kept := q.n
	for i := range kept {
		slots[i] = q.pop()
	}
	*q = readyQueue{slots: slots, n: kept}
}
