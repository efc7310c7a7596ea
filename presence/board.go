package presence

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"edgeloop/internal/pause"
)

const (
	// atOnce is how many states are written together.
	atOnce = 500
	// writeWithin is how long that may take.
	writeWithin = 10 * time.Second
	// How the delays between attempts grow: each between none and twice as much as before.
	retryLeast = 200 * time.Millisecond
	retryMost  = 10 * time.Second
	// sayEvery is how often trouble is logged.
	sayEvery = 10 * time.Second
)

// A Target is where presence is kept. Its methods are called by one goroutine.
type Target interface {
	// Put sets the keys of devices, each with its time to live, or ends them. A key of a later
	// connection it leaves alone. refused is how many it will never take. After an error it
	// connects anew.
	Put(ctx context.Context, states []State) (refused int, err error)
	// Close ends its connection, if there is one.
	Close()
}

// Counts of one board since the node started.
type Counts struct {
	Written  uint64 // states of devices, each time
	Refused  uint64 // states that the target will never take
	Dropped  uint64 // devices that went and were not written: their keys end by themselves
	Failures uint64 // attempts to write, of the moment
}

// Status is what is known of a board.
type Status struct {
	Name      string
	Connected bool
	Counts    Counts
}

// Board is one place where presence is kept. Its methods may be called from any goroutine.
type Board struct {
	// Immutable after construction.
	spec  Spec
	log   *zap.Logger
	table *table
	asked chan struct{} // closed: write what waits, and end
	done  chan struct{}
	once  sync.Once
	kill  context.CancelFunc

	// Owned by the goroutine of the board.
	say  rate.Sometimes
	next int // the slot that is set again next

	mu sync.Mutex
	// Guarded by mu.
	is Status
}

// Start starts a board.
func Start(spec Spec, logger *zap.Logger) *Board {
	if logger == nil {
		logger = zap.NewNop()
	}
	ctx, kill := context.WithCancel(context.Background())
	b := &Board{
		spec: spec, log: logger.Named("presence").With(zap.String("board", spec.Name)), table: newTable(),
		asked: make(chan struct{}), done: make(chan struct{}), kill: kill,
		say: rate.Sometimes{Interval: sayEvery}, is: Status{Name: spec.Name},
	}
	go func() {
		defer close(b.done)
		b.run(ctx)
		spec.Target.Close()
	}()
	return b
}

// Tell takes the state of a device; it never blocks for long.
func (b *Board) Tell(s State) { b.table.tell(s) }

// Stop writes what waits, if that can be done at once, and ends.
func (b *Board) Stop(ctx context.Context) error {
	b.once.Do(func() { close(b.asked) })
	defer b.kill()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("presence at %s: not all is written: %w", b.spec.Name, ctx.Err())
	}
}

// Status is what is known of the board.
func (b *Board) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.is
	s.Counts.Dropped = b.table.lost()
	return s
}

// run writes what changes, and one slot after the other again, all within half the time to
// live.
func (b *Board) run(ctx context.Context) {
	turn := time.NewTicker(max(time.Millisecond, b.spec.TTL/2/slots))
	defer turn.Stop()
	for failures := 0; ; {
		stopping := false
		select {
		case <-b.asked:
			stopping = true
		case <-b.table.ready:
		case <-turn.C:
			b.table.again(b.next)
			b.next = (b.next + 1) % slots
		}
		err := b.write(ctx)
		switch {
		case stopping || ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
			continue
		}
		b.say.Do(func() { b.log.Warn("presence cannot be written, it is tried again", zap.Error(err)) })
		b.rest(ctx, failures)
		failures++
		// What was set before may be gone.
		for slot := range slots {
			b.table.again(slot)
		}
	}
}

// rest waits after a number of failures in a row, with full jitter, and not when the board is
// to end.
func (b *Board) rest(ctx context.Context, failures int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-b.asked:
			cancel()
		case <-ctx.Done():
		}
	}()
	most := min(retryMost, b.spec.TTL/4)
	if failures < 16 {
		most = min(most, retryLeast<<failures)
	}
	_ = pause.For(ctx, time.Duration(rand.Int64N(int64(most)+1)))
}

// write writes all that waits.
func (b *Board) write(ctx context.Context) error {
	for {
		states := b.table.take(atOnce)
		if len(states) == 0 {
			return nil
		}
		within, cancel := context.WithTimeout(ctx, writeWithin)
		refused, err := b.spec.Target.Put(within, states)
		cancel()
		if err != nil {
			b.table.back(states)
		}
		b.note(len(states), refused, err)
		if err != nil {
			return err
		}
	}
}

func (b *Board) note(n, refused int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.is.Connected = err == nil
	if err != nil {
		b.is.Counts.Failures++
		return
	}
	b.is.Counts.Written += uint64(n - refused) //nolint:gosec // positive
	b.is.Counts.Refused += uint64(refused)     //nolint:gosec // positive
}
