package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// ReadOptions choose what Read gives.
type ReadOptions struct {
	Since  time.Time // zero: from the oldest record there is
	After  uint64    // only what lies behind this position, whatever Since says; 0: none
	Log    string    // the identity of the log that gave After; "": not known
	New    bool      // only what comes from now on, whatever Since says; needs Follow
	Tenant string    // "": all
	Device string    // "": all
	Follow bool      // go on with what comes, until ctx ends or fn fails
}

// A PositionError says that the log does not reach the position behind which it
// was to be read: another log gave it. Log is that one's identity and Is that of the
// log there is, where that is how it is known.
type PositionError struct {
	After, End uint64
	Log, Is    string
}

func (e *PositionError) Error() string {
	if e.Log != e.Is {
		return fmt.Sprintf("backbone: position %d is of log %s, this is log %s", e.After, e.Log, e.Is)
	}
	return fmt.Sprintf("backbone: the log ends at position %d, before %d", e.End, e.After)
}

// Read gives fn the records in the order of the log, each with its position and as
// one JSON object, exactly as stored, without a line break. Positions grow, with
// gaps, and are never given twice; After takes one. line is borrowed until fn
// returns; with New, and only then, fn is first called without a line, with the
// position behind which the reading begins. An error of fn ends the reading and is
// returned. Without Follow it ends with what was the newest record when it began.
// On the embedded log no record is given before it is as durable as
// Config.Durability asks.
func (l *Log) Read(ctx context.Context, o ReadOptions, fn func(position uint64, line []byte) error) error {
	if is := l.Identity(); o.Log != "" && o.Log != is {
		return fmt.Errorf("read the log: %w", &PositionError{After: o.After, Log: o.Log, Is: is})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	end, err := l.end(ctx)
	if err != nil {
		return fmt.Errorf("read the log: %w", l.srv.OrClosed(err))
	}
	if o.After > end {
		return fmt.Errorf("read the log: %w", &PositionError{After: o.After, End: end})
	}
	if o.New {
		if err := fn(end, nil); err != nil {
			return err
		}
		o.After = end
	}
	r := logReader{l: l, o: o, end: end, fn: fn}
	for attempt := 0; ; attempt++ {
		before := r.o.After
		done, err := r.run(ctx)
		switch {
		case done:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("read the log: %w", l.srv.OrClosed(ctx.Err()))
		case r.o.After > before:
			attempt = 0
		case attempt >= readAttempts && !o.Follow:
			return fmt.Errorf("read the log: %w", l.srv.OrClosed(err))
		}
		servers.Pause(ctx, servers.RetryDelay(attempt))
	}
}

// readAttempts is how often a reader that does not follow begins anew without
// getting on.
const readAttempts = 5

// end is the position of the newest record that is durable.
func (l *Log) end(ctx context.Context) (uint64, error) {
	within, cancel := context.WithTimeout(ctx, servers.RequestTimeout)
	defer cancel()
	info, err := l.up.Info(within)
	if err != nil {
		return 0, err
	}
	if l.durable == nil {
		return info.State.LastSeq, nil
	}
	return min(info.State.LastSeq, l.durable.position()), nil
}

// logReader is one Read.
type logReader struct {
	// Immutable after construction.
	l   *Log
	end uint64 // where to stop, but with Follow
	fn  func(position uint64, line []byte) error

	// Owned by who reads.
	o ReadOptions // After moves on
}

// run reads until the end, or until something breaks: then it may be called again.
func (r *logReader) run(ctx context.Context) (done bool, err error) {
	if !r.o.Follow && r.o.After >= r.end {
		return true, nil
	}
	p, err := servers.OpenPull(ctx, r.l.srv.Reader, names.StreamUp, readConsumer(r.o), r.o.Follow)
	if err != nil {
		var api *jetstream.APIError
		refused := errors.As(err, &api) && !r.o.Follow // it would be the next time
		return refused, r.l.srv.OrClosed(err)
	}
	defer p.Close()
	for {
		d, err := p.Next(ctx)
		if err != nil {
			return false, err
		}
		if d == nil || !r.o.Follow && d.Position > r.end {
			return true, nil
		}
		if r.l.durable != nil {
			if err := r.l.durable.wait(ctx, d.Position); err != nil {
				return false, err
			}
		}
		if err := r.fn(d.Position, d.Data); err != nil {
			return true, err
		}
		r.o.After = d.Position
		if !r.o.Follow && d.Position >= r.end {
			return true, nil
		}
	}
}

func readConsumer(o ReadOptions) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		FilterSubject: names.Filter(names.Up, o.Tenant, o.Device),
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	switch {
	case o.After > 0 || o.New:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.After+1
	case !o.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	}
	return c
}
