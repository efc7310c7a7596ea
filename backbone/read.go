package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
func (b *Backbone) Read(ctx context.Context, o ReadOptions, fn func(position uint64, line []byte) error) error {
	if is := b.Identity(); o.Log != "" && o.Log != is {
		return fmt.Errorf("read the log: %w", &PositionError{After: o.After, Log: o.Log, Is: is})
	}
	info, err := b.up.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the log: %w", b.orClosed(err))
	}
	end := info.State.LastSeq
	if o.After > end {
		return fmt.Errorf("read the log: %w", &PositionError{After: o.After, End: end})
	}
	if o.New {
		if err := fn(end, nil); err != nil {
			return err
		}
		o.After = end
	}
	if !o.Follow && (info.State.Msgs == 0 || o.After == end) {
		return nil
	}
	cons, err := b.up.OrderedConsumer(ctx, readConsumer(o))
	if err != nil {
		return fmt.Errorf("read the log: %w", b.orClosed(err))
	}
	if !o.Follow && cons.CachedInfo().NumPending == 0 {
		return nil
	}
	it, err := cons.Messages(jetstream.PullMaxMessagesWithBytesLimit(readAhead, readAheadBytes))
	if err != nil {
		return fmt.Errorf("read the log: %w", b.orClosed(err))
	}
	defer it.Stop()
	for {
		m, err := next(ctx, it, o.Follow)
		if err != nil {
			return fmt.Errorf("read the log: %w", b.orClosed(err))
		}
		if m == nil {
			return nil
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read the log: %w", b.orClosed(err))
		}
		if !o.Follow && meta.Sequence.Stream > end {
			return nil
		}
		if err := fn(meta.Sequence.Stream, m.Data()); err != nil {
			return err
		}
		if !o.Follow && (meta.NumPending == 0 || meta.Sequence.Stream == end) {
			return nil
		}
	}
}

// next gives the next record. It is nil when none came for a while and none needs
// to: the records up to the end may have been taken by retention meanwhile.
func next(ctx context.Context, it jetstream.MessagesContext, follow bool) (jetstream.Msg, error) {
	if follow {
		return it.Next(jetstream.NextContext(ctx))
	}
	wait, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	m, err := it.Next(jetstream.NextContext(wait))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, nil
	}
	return m, err
}

// readPatience is how long a reader that does not follow waits for a record the
// log said it has.
const readPatience = 10 * time.Second

// A reader has at most so many records and bytes under way. The bytes must be
// more than the largest record with its headers, or it would never come.
const (
	readAhead      = 500
	readAheadBytes = 2 * maxPayload
)

func readConsumer(o ReadOptions) jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filterOf(upPrefix, o.Tenant, o.Device)},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
	}
	switch {
	case o.After > 0 || o.New:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.After+1
	case !o.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	}
	return c
}
