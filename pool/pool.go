package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/panjf2000/ants/v2"
)

// MaxWorkers is the largest number of workers that a pool will start.
const MaxWorkers = 1 << 14

// spareCapacity is how many goroutines the ants pool may hold beyond the workers: ants
// counts one that has finished as running until it has put it away.
const spareCapacity = 8

// Config is what a Pool needs to know. The zero value is usable.
type Config struct {
	// Workers is the number of goroutines; default four per processor. If there are too
	// few, slow handlers (a stalled log) hold everyone up; each costs a stack.
	Workers int

	// OnPanic, if not nil, is called by the worker for each panic of a handler, with the
	// stack; it must not panic itself. task is the task that was given up, or nil if the
	// panic did not happen again when the tasks of the batch were handled one by one.
	OnPanic func(task, v any, stack []byte)
}

func (c Config) withDefaults() (Config, error) {
	if c.Workers == 0 {
		c.Workers = 4 * runtime.GOMAXPROCS(0)
	}
	if c.Workers < 1 || c.Workers > MaxWorkers {
		return c, fmt.Errorf("pool: %d workers: want 1 to %d", c.Workers, MaxWorkers)
	}
	return c, nil
}

// Pool is a number of workers and the queue of lanes that wait for one. Every method may
// be called from any goroutine.
type Pool struct {
	// Immutable after construction.

	cfg    Config
	ants   *ants.PoolWithFuncGeneric[*worker]
	exited chan struct{} // closed when the last worker has left after Stop

	// Guarded by mu.

	mu      sync.Mutex
	ready   readyQueue
	parked  *worker // a stack: the worker that parked last is warm and wakes first
	idle    int     // workers in parked
	waking  int     // workers taken from parked that have not come to next yet
	running int     // workers that have not left
	target  int     // workers that should be running
	active  int     // sources in the ready queue or with a worker
	groups  int     // Lanes made
	closed  bool    // stopping, and no source is active any more: workers leave

	// Atomic.

	stopping  atomic.Bool // set with mu held
	panics    atomic.Uint64
	abandoned atomic.Uint64
	release   sync.Once
}

// Stats is a snapshot of a Pool.
type Stats struct {
	Workers   int    // workers asked for
	Running   int    // workers that exist
	Idle      int    // workers without work
	Ready     int    // lanes that wait for a worker
	Active    int    // lanes that wait or are being handled
	Panics    uint64 // panics of handlers
	Abandoned uint64 // tasks given up because of a panic
}

// New starts a pool. Its error names the setting that is out of range.
func New(cfg Config) (*Pool, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool{cfg: cfg, exited: make(chan struct{})}
	p.ants, err = ants.NewPoolWithFuncGeneric(cfg.Workers+spareCapacity, (*worker).work,
		ants.WithNonblocking(true), ants.WithDisablePurge(true), ants.WithPanicHandler(broken))
	if err != nil {
		return nil, fmt.Errorf("pool: start ants: %w", err)
	}
	p.Resize(cfg.Workers)
	return p, nil
}

// broken passes on a panic of this package itself; those of handlers are caught before.
// ants would go on without the worker, whose lane would stand still for ever, unnoticed.
func broken(v any) { panic(v) }

// Resize changes the number of workers, clamped to 1 to MaxWorkers, while the pool runs.
// Surplus workers leave after the batch that they are handling. After Stop it does
// nothing.
func (p *Pool) Resize(n int) {
	n = min(max(n, 1), MaxWorkers)
	p.mu.Lock()
	if p.stopping.Load() {
		p.mu.Unlock()
		return
	}
	p.target = n
	missing := max(n-p.running, 0)
	p.running += missing
	var surplus *worker
	if p.running > n {
		surplus = p.unparkAllLocked()
	}
	p.mu.Unlock()

	p.ants.Tune(n + spareCapacity)
	wake(surplus)
	for range missing {
		p.spawn()
	}
}

// spawn starts one worker, which is counted in running already.
func (p *Pool) spawn() {
	w := &worker{pool: p, wake: make(chan struct{}, 1)}
	for {
		err := p.ants.Invoke(w)
		if err == nil {
			return
		}
		if !errors.Is(err, ants.ErrPoolOverload) {
			panic(fmt.Sprintf("pool: ants refused a worker: %v", err)) // closed only after the last worker
		}
		// Workers that are leaving still count, or another Resize has lowered the
		// capacity: both pass.
		p.mu.Lock()
		capacity := max(p.target, p.running) + spareCapacity
		p.mu.Unlock()
		p.ants.Tune(capacity)
		runtime.Gosched()
	}
}

// Stop refuses new tasks, waits until all that were accepted are handled, and ends the
// workers. If ctx ends first, it returns an error that wraps ctx.Err() while the workers
// go on with what is left; Stop may then be called again.
func (p *Pool) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopping.Store(true)
	idle := p.closeIfDoneLocked()
	p.mu.Unlock()
	wake(idle)

	select {
	case <-p.exited:
	case <-ctx.Done():
		return fmt.Errorf("pool: stopped with %d lanes unfinished: %w", p.Stats().Active, ctx.Err())
	}
	var err error
	p.release.Do(func() { err = p.ants.ReleaseContext(ctx) })
	if err != nil {
		return fmt.Errorf("pool: release ants: %w", err)
	}
	return nil
}

// Stats takes a snapshot.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Workers:   p.target,
		Running:   p.running,
		Idle:      p.idle,
		Ready:     p.ready.n,
		Active:    p.active,
		Panics:    p.panics.Load(),
		Abandoned: p.abandoned.Load(),
	}
}
