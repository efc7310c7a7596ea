package sink

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/internal/pause"
	"edgeloop/sink/keys"
)

// Reader is a named reader of the log: reader.Kept says what its methods do.
type Reader interface {
	Read(ctx context.Context, fn func(reader.Entry) error) error
	Keep(ctx context.Context, position uint64) error
	Place() store.Place
}

// Node is what a sink needs of its node. Its functions may be called from any goroutine.
type Node struct {
	// Open opens the reader of a name: reader.Open says how.
	Open func(ctx context.Context, name string, start reader.Start) (Reader, error)
	// Seek puts the place of a name behind a position: reader.Seek says how.
	Seek    func(ctx context.Context, name, log string, position uint64) error
	Letters Letters
	Logger  *zap.Logger
}

// Letters are the dead letters: store.Letters says what its methods do.
type Letters interface {
	Bury(ctx context.Context, letter store.Letter) error // letter.Record is borrowed until return
	Each(ctx context.Context, sink string, after uint64, fn func(number uint64, letter store.Letter) bool) error
	Remove(ctx context.Context, sink string, number uint64) (bool, error)
}

// runner is one sink at work.
type runner struct {
	// Immutable after construction.
	spec   Spec
	node   Node
	paused bool
	log    *zap.Logger
	done   chan struct{} // closed when both goroutines have ended
	stop   context.CancelFunc
	cut    context.CancelFunc
	poke   chan struct{} // a token: the dead letters are to be sent again

	// Owned by the sender.
	breaker breaker
	shares  shares
	unkept  rate.Sometimes // to say that records are left out
	reader  Reader         // of the present session
	place   place          // of it

	// With a lock of its own.
	status watchable
	asked  asked
}

// ReaderName is the name under which a sink's place is kept.
func ReaderName(sink string) string { return "sink:" + sink }

// start begins to work. stop asks it to end when what is on its way is confirmed; cut
// ends that too. One that is paused does nothing and has ended.
func start(spec Spec, node Node, was Counts, paused bool) *runner {
	r := &runner{
		spec: spec, node: node, paused: paused, log: node.Logger.With(zap.String("sink", spec.Name)),
		done: make(chan struct{}), poke: make(chan struct{}, 1), breaker: breaker{retry: spec.Retry},
		unkept: rate.Sometimes{Interval: sayEvery},
	}
	r.status.is = Status{Name: spec.Name, Type: spec.Type, Counts: was, Since: time.Now()}
	hard, cut := context.WithCancel(context.Background())
	soft, stop := context.WithCancel(hard)
	r.cut, r.stop = cut, stop
	if paused {
		r.status.is.State = Paused
		cut()
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		defer cut()
		r.run(soft, hard)
		r.status.change(func(s *Status) { s.State, s.RetryAt = Ended, time.Time{} })
	}()
	return r
}

// sayEvery is how often a sink says that it leaves records out.
const sayEvery = 10 * time.Second

// closeWithin is how long a destination may take to close, once the sink has ended.
const closeWithin = 2 * time.Second

// run works until soft ends, and finishes then what is on its way, until hard ends.
func (r *runner) run(soft, hard context.Context) {
	defer func() {
		ctx, cancel := context.WithTimeout(hard, closeWithin)
		defer cancel()
		if err := r.spec.Destination.Close(ctx); err != nil {
			r.log.Warn("a destination did not close cleanly", zap.Error(err))
		}
	}()
	opens := breaker{retry: r.spec.Retry}
	for soft.Err() == nil {
		r.status.change(func(s *Status) { s.State = Starting })
		began := time.Now()
		err := r.session(soft, hard)
		if soft.Err() != nil {
			return
		}
		if state := decisive(err); state != Starting {
			r.halt(soft, state, err)
			return
		}
		if time.Since(began) > time.Minute {
			opens.ok()
		}
		r.await(soft, opens.failed(), err)
	}
}

// decisive says in which state an error leaves a sink, Starting if it may pass.
func decisive(err error) State {
	var other *reader.PositionError
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return Stopped
	case errors.As(err, &other):
		return Misplaced
	case errors.Is(err, store.ErrTaken):
		return Elsewhere
	}
	return Starting
}

// halt waits for somebody to decide: what they do begins the sink anew.
func (r *runner) halt(soft context.Context, state State, err error) {
	r.log.Error("a sink has stopped and needs an operator's decision", zap.Stringer("state", state), zap.String("error", plain(err.Error())))
	r.status.change(func(s *Status) { s.State, s.LastErr, s.LastAt = state, plain(err.Error()), time.Now() })
	<-soft.Done()
}

// await notes a failure of the moment and waits.
func (r *runner) await(soft context.Context, delay time.Duration, err error) {
	now, text := time.Now(), plain(keys.Advise(err).Error())
	if before := r.status.read(); before.State != Waiting {
		r.log.Warn("a sink cannot send, it will try again", zap.String("error", text), zap.Duration("dur", delay))
	}
	r.status.change(func(s *Status) { s.State, s.LastErr, s.LastAt, s.RetryAt = Waiting, text, now, now.Add(delay) })
	_ = pause.For(soft, delay)
	r.status.change(func(s *Status) { s.RetryAt = time.Time{} })
}

// session reads behind the place and sends, until something of the log breaks.
func (r *runner) session(soft, hard context.Context) error {
	var err error
	if r.reader, err = r.node.Open(soft, ReaderName(r.spec.Name), r.spec.From); err != nil {
		return err
	}
	is := r.reader.Place()
	r.place = place{confirmed: is.Position, kept: is.Position}
	r.status.change(func(s *Status) {
		s.State, s.Log, s.Place, s.Counts.Missed = Running, is.Log, is.Position, is.Missed
		s.Oldest = time.Time{} // retention may have taken it since it was known; if not, it comes at once
	})
	g := newGathering(is.Log, &r.spec)
	reading, cancel := context.WithCancel(soft)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- r.reader.Read(reading, func(e reader.Entry) error { return g.put(reading, e) })
	}()
	for {
		b, again, err := g.take(reading, r.poke, r.place.due())
		if err == nil {
			if err = r.deliver(soft, hard, &b); err == nil {
				g.giveBack(&b)
			}
		}
		if err == nil && again {
			err = r.sendLetters(soft, hard)
		}
		if err == nil {
			continue
		}
		cancel()
		if read := <-ended; errors.Is(err, context.Canceled) && read != nil && soft.Err() == nil {
			err = read // it is the reader that ended first
		}
		return errors.Join(err, r.settleAtEnd(hard))
	}
}
