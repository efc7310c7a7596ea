package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// ErrStopped is returned by NewLanes after Stop.
var ErrStopped = errors.New("pool: stopped")

const maxLanes, maxDepth, maxBatch = 1 << 20, 1 << 20, 1 << 12

// LaneConfig shapes the lanes of one Lanes. The zero value is usable.
type LaneConfig struct {
	// Lanes is their number; default 1024. A lane occupies at most one worker at a time,
	// so the number should be well above that of the workers.
	Lanes int

	// Depth is the largest number of tasks that wait in one lane; default 1024. If it is
	// too small, short bursts pause devices. Depth times Lanes times the size of a task
	// is the memory that can wait.
	Depth int

	// Batch is the largest number of tasks that are handled at once; default 64. A larger
	// one costs less per task and makes other lanes wait longer.
	Batch int

	// BatchCost bounds the cost of a batch (see Weigh); its last task may exceed it.
	// Default no bound.
	BatchCost int
}

func (c LaneConfig) withDefaults() (LaneConfig, error) {
	for _, s := range []struct {
		name  string
		value *int
		def   int
		limit int
	}{
		{"lanes", &c.Lanes, 1024, maxLanes},
		{"lane depth", &c.Depth, 1024, maxDepth},
		{"lane batch", &c.Batch, 64, maxBatch},
	} {
		if *s.value == 0 {
			*s.value = s.def
		}
		if *s.value < 1 || *s.value > s.limit {
			return c, fmt.Errorf("pool: %s %d: want 1 to %d", s.name, *s.value, s.limit)
		}
	}
	if c.BatchCost == 0 {
		c.BatchCost = math.MaxInt
	}
	return c, nil
}

// Waiter hears when a lane that was full has room again.
type Waiter interface {
	// LaneReady is called by a worker, once for each Wait that returned true. It must
	// not block.
	LaneReady()
}

// Lanes is a set of lanes whose tasks, of type T, one function handles: those of one key in
// the order they were posted, those of different keys in turn. Every method may be called
// from any goroutine, from a handler too unless noted.
type Lanes[T any] struct {
	// Immutable after construction.

	pool   *Pool
	cfg    LaneConfig
	handle func(batch []T)
	cost   func(*T) int32 // nil: one each
	most   int            // cost of a batch
	share  int32          // cost of one queue's turn, without its last task
	number int            // index of this Lanes in a worker's scratch
	lanes  []lane[T]
	group  *group

	// Atomic. Each sync.Pool synchronises itself.

	blocks blockPool[T]
}

// LaneStats is a snapshot of all lanes of one Lanes.
type LaneStats struct {
	Lanes   int    // lanes
	Active  int    // lanes that hold tasks or are being handled
	Queued  int    // tasks that wait
	Slots   int    // tasks that the lanes have memory for now
	Waiting int    // waiters registered
	Posted  uint64 // tasks accepted
	Refused uint64 // tasks not accepted, because the lane was full
}

// NewLanes makes the lanes. handle gets at most cfg.Batch tasks of one lane, those of one key
// in the order they were posted, and never runs twice at once for one lane. The batch is
// borrowed until return: it is zeroed and used again.
//
// If handle panics, each task of that batch is handled again as a batch of its own, so that
// only the guilty one is given up. A handler must therefore take effect in its last step,
// or recognise what it has done before.
func NewLanes[T any](p *Pool, cfg LaneConfig, handle func(batch []T)) (*Lanes[T], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Lanes[T]{pool: p, cfg: cfg, handle: handle, most: cfg.BatchCost, share: 1, lanes: make([]lane[T], cfg.Lanes), group: &group{}}
	for i := range l.lanes {
		ln := &l.lanes[i]
		ln.lanes = l
		ln.source = source{runner: ln, group: l.group}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping.Load() {
		return nil, ErrStopped
	}
	l.number = p.groups
	p.groups++
	p.ready.reserve(cfg.Lanes)
	return l, nil
}

// Weigh sets the function that returns the cost of a task. LaneConfig.BatchCost bounds the
// cost of a batch, and one queue gets at most about half of it in a turn. Without Weigh
// each task costs one, and a queue's turn is one task. It must be called before the first
// Post. cost runs with the lane's lock held and must return a positive number.
func (l *Lanes[T]) Weigh(cost func(*T) int32) {
	l.cost, l.share = cost, int32(min(max(1, l.cfg.BatchCost/2), 1<<20)) //nolint:gosec // bounded here
}

func (l *Lanes[T]) costOf(t *T) int32 {
	if l.cost == nil {
		return 1
	}
	return l.cost(t)
}

// Post appends tasks to the lane of key and returns how many it took: a prefix of ts, which
// is shorter if the lane is full, and empty while others wait for room and after Stop. It
// copies ts, never blocks and does not allocate.
func (l *Lanes[T]) Post(key uint64, ts ...T) int {
	if l.pool.stopping.Load() {
		return 0
	}
	ln, home := l.place(key)
	ln.mu.Lock()
	n := ln.roomLocked()
	if n > len(ts) {
		n = len(ts)
	}
	ln.refused += uint64(len(ts) - n)
	if n == 0 {
		ln.mu.Unlock()
		return 0
	}
	n, sleeper := l.postLocked(ln, ln.queueOfLocked(key, home), ts[:n])
	ln.mu.Unlock()
	wake(sleeper)
	return n
}

// PostLast appends the last task of a key, for a device that has left and cannot wait for
// room. It goes beyond the lane's depth, so the caller must bound what it posts this way.
// It returns false only after Stop.
func (l *Lanes[T]) PostLast(key uint64, t T) bool {
	if l.pool.stopping.Load() {
		return false
	}
	ln, home := l.place(key)
	ln.mu.Lock()
	n, sleeper := l.postLocked(ln, ln.queueOfLocked(key, home), []T{t})
	ln.mu.Unlock()
	wake(sleeper)
	return n == 1
}

// postLocked puts ts into a lane, whose lock the caller holds, and has it handled. It
// returns how many it put there, all or, after Stop, none. The caller unlocks the lane,
// then wakes the worker returned.
func (l *Lanes[T]) postLocked(ln *lane[T], q int, ts []T) (n int, sleeper *worker) {
	n = len(ts)
	ln.putLocked(q, ts)
	if !ln.scheduled {
		sleeper, ln.scheduled = l.pool.schedule(&ln.source)
		if !ln.scheduled {
			ln.discardLocked()
			n = 0
		}
	}
	ln.posted += uint64(n)
	return n, sleeper
}

// Wait asks for one call of w.LaneReady as soon as the lane of key has fallen to half its
// depth. Until then Post takes nothing more there, so nobody overtakes those who wait. It
// returns false, and registers nothing, if there is room already. After Stop it returns
// true and never calls back.
//
// A waiter may register again only after its LaneReady.
func (l *Lanes[T]) Wait(key uint64, w Waiter) bool {
	if l.pool.stopping.Load() {
		return true
	}
	ln := l.lane(key)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.roomLocked() > 0 {
		return false
	}
	if ln.waiters == nil {
		ln.waiters = make(map[Waiter]struct{})
	}
	ln.waiters[w] = struct{}{}
	return true
}

// Forget takes back the Wait of w, compared by ==, for a waiter that has gone. LaneReady is
// not called afterwards, but may be running.
func (l *Lanes[T]) Forget(key uint64, w Waiter) {
	ln := l.lane(key)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	delete(ln.waiters, w)
}

// WaitEmpty waits until all lanes are empty and no handler runs. If ctx ends first, it
// returns an error that wraps ctx.Err(). Posts that go on meanwhile may keep it waiting. A
// handler must not call it.
func (l *Lanes[T]) WaitEmpty(ctx context.Context) error {
	p := l.pool
	p.mu.Lock()
	if l.group.active == 0 {
		p.mu.Unlock()
		return nil
	}
	emptied := make(chan struct{})
	l.group.emptied = append(l.group.emptied, emptied)
	p.mu.Unlock()
	select {
	case <-emptied:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pool: %d lanes not empty: %w", l.Stats().Active, ctx.Err())
	}
}

// Stats returns a snapshot, taken lane by lane.
func (l *Lanes[T]) Stats() LaneStats {
	s := LaneStats{Lanes: len(l.lanes)}
	for i := range l.lanes {
		l.lanes[i].addTo(&s)
	}
	return s
}

// lane returns the lane of key.
func (l *Lanes[T]) lane(key uint64) *lane[T] {
	ln, _ := l.place(key)
	return ln
}

// place returns the lane of key and the number of the queue there that is the home of key.
// The multiplication spreads keys that are not hashes; the fraction picks the queue.
func (l *Lanes[T]) place(key uint64) (ln *lane[T], home int) {
	i, behind := bits.Mul64(key*0x9E3779B97F4A7C15, uint64(len(l.lanes)))
	return &l.lanes[i], int(behind >> (64 - queueBits))
}
