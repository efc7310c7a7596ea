package reader

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
	"edgeloop/internal/pause"
)

// Options choose what Read gives.
type Options struct {
	Since  time.Time // zero: from the oldest record there is
	After  uint64    // only what lies behind this position, whatever Since says; 0: none
	Log    string    // the identity of the log that gave After; "": not known
	New    bool      // only what comes from now on, whatever Since says; needs Follow
	Tenant string    // "": all
	Device string    // "": all
	Follow bool      // go on with what comes, until ctx ends or fn fails
}

// A PositionError says that the log does not reach the position behind which it was to be
// read, because another log gave that position. Log is the identity of that log and Is
// that of this one, if it was known by its identity.
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

// Read calls fn with the records in the order of the log, each with its position and as one
// JSON object, exactly as stored, without a line break. Positions grow, with gaps, and are
// never given twice; After takes one. line is borrowed until fn returns. With New, and only
// then, the first call of fn has no line: it tells the position behind which the reading
// begins. An error of fn ends the reading and is returned. Without Follow, Read ends with
// the record that was the newest when it began. On the embedded log it gives no record
// before it is as durable as Config.Durability asks.
func Read(ctx context.Context, src *Source, o Options, fn func(position uint64, line []byte) error) error {
	ctx, cancel := src.within(ctx)
	defer cancel()
	is, err := src.look(ctx)
	if err != nil {
		return fmt.Errorf("read the log: %w", src.Servers.OrClosed(err))
	}
	if o.Log != "" && o.Log != is.Identity {
		return fmt.Errorf("read the log: %w", &PositionError{After: o.After, Log: o.Log, Is: is.Identity})
	}
	if o.After > is.Last {
		return fmt.Errorf("read the log: %w", &PositionError{After: o.After, End: is.Last})
	}
	if o.New {
		if err := fn(is.Last, nil); err != nil {
			return err
		}
		o.After = is.Last
	}
	r := run{src: src, o: o, end: is.Last, fn: fn}
	return r.toTheEnd(ctx)
}

// toTheEnd calls once until it is done; after a failure it goes on behind the last record
// given.
func (r *run) toTheEnd(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		before := r.o.After
		done, err := r.once(ctx)
		switch {
		case done:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("read the log: %w", r.src.Servers.OrClosed(ctx.Err()))
		case r.o.After > before:
			attempt = 0
		case attempt >= readAttempts && !r.o.Follow:
			return fmt.Errorf("read the log: %w", r.src.Servers.OrClosed(err))
		}
		_ = pause.For(ctx, servers.RetryDelay(attempt))
	}
}

// readAttempts is how often a reader that does not follow tries again without getting
// further.
const readAttempts = 5

// run is one reading.
type run struct {
	// Immutable after construction.
	src *Source
	end uint64 // where to stop, but with Follow
	fn  func(position uint64, line []byte) error
	// check, if set, is called before each attempt; a *PositionError ends the reading.
	check func(context.Context) error
	// skipped, if set, is called with the position of each record that does not follow directly
	// on the one before.
	skipped func(ctx context.Context, position uint64) error

	// Owned by the caller of toTheEnd.
	o Options // After moves on
}

// errEarly is the end of what a server has, before the end of the log. It may be true: what is
// left is of others. But a server that has too much to do may say so by mistake, so it is asked
// anew behind the last record given, and believed when it has nothing from the start.
var errEarly = errors.New("the server has no more records before the end of the log")

// once reads until the end or the first failure; then it may be called again.
func (r *run) once(ctx context.Context) (done bool, err error) {
	if !r.o.Follow && r.o.After >= r.end {
		return true, nil
	}
	if r.check != nil {
		var other *PositionError
		if err := r.check(ctx); err != nil {
			return errors.As(err, &other), err
		}
	}
	if r.src.Outlet != nil && r.o.Follow && r.o.Tenant == "" && r.o.Device == "" && r.o.Since.IsZero() {
		return r.straight(ctx)
	}
	return r.pull(ctx)
}

// pull has the server send what is asked for.
func (r *run) pull(ctx context.Context) (done bool, err error) {
	p, err := servers.OpenPull(ctx, r.src.Servers.Reader, names.StreamUp, readConsumer(r.o), r.o.Follow)
	if err != nil {
		var api *jetstream.APIError
		refused := errors.As(err, &api) && !r.o.Follow // it would be the next time
		return refused, r.src.Servers.OrClosed(err)
	}
	defer p.Close()
	for fresh := p.Pending == 0; ; fresh = false {
		d, err := p.Next(ctx)
		if err != nil {
			return false, err
		}
		if d == nil && !fresh {
			return false, errEarly
		}
		if d == nil || !r.o.Follow && d.Position > r.end {
			return true, nil
		}
		if done, err := r.give(ctx, d.Position, d.Subject, d.Data); done || err != nil {
			return done, err
		}
		if !r.o.Follow && d.Position >= r.end {
			return true, nil
		}
	}
}

// straight reads what is durable, and goes on with what comes.
func (r *run) straight(ctx context.Context) (done bool, err error) {
	out, err := r.src.Outlet()
	if err != nil {
		return false, r.src.Servers.OrClosed(err)
	}
	for next := r.o.After + 1; ctx.Err() == nil; {
		if err := r.src.Durable.Wait(ctx, next); err != nil {
			return false, err
		}
		durable := r.src.Durable.Position()
		position, subject, data, err := out.Next(r.o.After + 1)
		if errors.Is(err, servers.ErrNoMore) { // all up to there was taken
			next = durable + 1
			continue
		}
		if err == nil {
			done, err = r.give(ctx, position, subject, data)
		}
		if done || err != nil {
			return done, err
		}
		next = r.o.After + 1
	}
	return false, ctx.Err()
}

// give hands over a message of the log, once it is durable, if it is a record that is asked for.
func (r *run) give(ctx context.Context, position uint64, subject string, data []byte) (done bool, err error) {
	if !strings.HasPrefix(subject, names.Up) { // a mark of a shared log
		r.o.After = position
		return false, nil
	}
	if r.src.Durable != nil {
		if err := r.src.Durable.Wait(ctx, position); err != nil {
			return false, err
		}
	}
	if r.skipped != nil && position > r.o.After+1 {
		if err := r.skipped(ctx, position); err != nil {
			return false, err
		}
	}
	if !IsSession(data) && (r.o.Device == "" || !names.IsEvents(subject) || deviceOf(data) == r.o.Device) {
		if err := r.fn(position, data); err != nil {
			return true, err
		}
	}
	r.o.After = position
	return false, nil
}

// IsSession says whether a stored line is of a record of the type session, which is for the
// node alone. No name can have a quote that is not escaped, so the first key of that name is it.
func IsSession(line []byte) bool {
	const key = `,"type":"`
	i := bytes.Index(line, []byte(key))
	return i >= 0 && bytes.HasPrefix(line[i+len(key):], []byte(`session"`))
}

// deviceOf is the device of a stored line, "" where it cannot be read.
func deviceOf(line []byte) string {
	var of struct {
		Device string `json:"device"`
	}
	_ = json.Unmarshal(line, &of) // nobody's then
	return of.Device
}

// readConsumer is the consumer of a reading. Who reads all has no filter, not even one that leaves
// the marks out: for each record the server would ask all subjects of its block which one has the
// next, under the lock that appending needs.
func readConsumer(o Options) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if o.Tenant == "" && o.Device == "" {
		c.FilterSubject = ""
	} else if c.FilterSubject = names.Filter(names.Up, o.Tenant, o.Device); o.Device != "" {
		c.FilterSubject, c.FilterSubjects = "", []string{c.FilterSubject, names.EventsFilter(o.Tenant)}
	}
	switch {
	case o.After > 0 || o.New:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.After+1
	case !o.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	}
	return c
}
