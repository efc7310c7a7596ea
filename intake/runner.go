package intake

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"edgeloop/internal/pause"
	"edgeloop/sink/keys"
)

// How the delays between attempts grow, to connect and to store: each between none and twice
// as much as the one before.
const (
	retryLeast = 200 * time.Millisecond
	retryMost  = 30 * time.Second
	// storeWithin is how long the node may take to store one command.
	storeWithin = 10 * time.Second
	// wellAfter is how long a connection holds that was no accident.
	wellAfter = time.Minute
	// sayEvery is how often one kind of trouble of a source is logged.
	sayEvery = 10 * time.Second
)

// Counts of one source since the node began it.
type Counts struct {
	Stored  uint64 // commands
	Refused uint64 // messages that are none, and commands that the node will never take
	Failed  uint64 // attempts to connect or to store, of the moment
}

// Status is what is known of a source.
type Status struct {
	Name, Type string
	Connected  bool
	Counts     Counts
	LastErr    string // "" if there was none
}

// runner is one source at work.
type runner struct {
	// Immutable after construction.
	spec  Spec
	store Store
	log   *zap.Logger
	done  chan struct{}
	stop  context.CancelFunc

	// Owned by the goroutine of the source.
	sayFailed, sayRefused rate.Sometimes

	mu sync.Mutex
	// Guarded by mu.
	is Status
}

func start(spec Spec, store Store, log *zap.Logger, was Counts) *runner {
	ctx, stop := context.WithCancel(context.Background())
	r := &runner{
		spec: spec, store: store, log: log.With(zap.String("source", spec.Name)), done: make(chan struct{}), stop: stop,
		sayFailed: rate.Sometimes{Interval: sayEvery}, sayRefused: rate.Sometimes{Interval: sayEvery},
		is: Status{Name: spec.Name, Type: spec.Type, Counts: was},
	}
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
	return r
}

func (r *runner) change(fn func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(&r.is)
}

func (r *runner) read() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.is
}

// run takes commands until ctx ends.
func (r *runner) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := r.spec.Source.Run(ctx, func() { r.change(func(s *Status) { s.Connected = true }) }, r.hand)
		r.change(func(s *Status) { s.Connected = false })
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > wellAfter {
			failures = 0
		}
		r.failed(ctx, failures, "a source of commands is away, it is tried again", err)
	}
}

// failed notes a failure of the moment and waits.
func (r *runner) failed(ctx context.Context, failures int, what string, err error) {
	err = keys.Advise(err)
	r.change(func(s *Status) { s.Counts.Failed++; s.LastErr = err.Error() })
	r.sayFailed.Do(func() { r.log.Warn(what, zap.Error(err)) })
	_ = pause.For(ctx, delay(failures))
}

// delay is how long to wait after a number of failures in a row: full jitter, so that many
// nodes do not come back at once.
func delay(failures int) time.Duration {
	most := retryMost
	if failures < 16 {
		most = min(most, retryLeast<<failures)
	}
	return time.Duration(rand.Int64N(int64(most) + 1))
}

// hand implements Hand.
func (r *runner) hand(ctx context.Context, c Command, wrong error) error {
	if c.TTL == 0 {
		c.TTL = r.spec.TTL
	}
	for failures := 0; ; failures++ {
		err := wrong
		if err == nil {
			within, cancel := context.WithTimeout(ctx, storeWithin)
			err = r.store(within, c)
			cancel()
		}
		if err == nil {
			r.change(func(s *Status) { s.Counts.Stored++ })
			return nil
		}
		if no := refusal(err); no != nil {
			r.change(func(s *Status) { s.Counts.Refused++; s.LastErr = no.Reason })
			r.sayRefused.Do(func() {
				r.log.Warn("a command from elsewhere is refused", zap.String("device_id", c.Device), zap.Error(no))
			})
			return nil
		}
		if ctx.Err() == nil {
			r.failed(ctx, failures, "a command from elsewhere cannot be stored, it is tried again", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
