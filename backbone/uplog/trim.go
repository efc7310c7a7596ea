package uplog

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// Trimmed says what Trim removed.
type Trimmed struct {
	Records uint64
	Bytes   int64 // in the store; while records come it is nearly that
	First   uint64
}

// EndsUpTo is how many devices have their last record at or before a position: the log would
// know nothing of them any more. Only a log that this node alone writes can say; ok is false
// until it has been read.
func (l *Log) EndsUpTo(position uint64) (devices int, ok bool) {
	if l.ends == nil || !l.ends.ready.Load() {
		return 0, false
	}
	return l.ends.upTo(position), true
}

// upTo counts the devices whose last record is at or before a position, and still there.
func (x *endIndex) upTo(position uint64) (n int) {
	first := x.first.Load()
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		for _, l := range s.ends {
			if l.position >= first && l.position <= position {
				n++
			}
		}
		s.mu.RUnlock()
	}
	return n
}

// Begin returns the position of the oldest record that there is.
func (l *Log) Begin(ctx context.Context) (uint64, error) {
	is, err := l.lookAtLog(ctx)
	return is.First, l.srv.OrClosed(err)
}

// Trim removes the records up to a position, which must be durable, of a log that this node
// alone writes. The keeper is told first, so that nobody takes it for damage.
func (l *Log) Trim(ctx context.Context, to uint64) (t Trimmed, err error) {
	before, err := l.srv.Info(ctx, names.StreamUp)
	if err != nil {
		return t, fmt.Errorf("trim the log: %w", l.srv.OrClosed(err))
	}
	if t.First = before.State.FirstSeq; to < t.First {
		return t, nil
	}
	if err := l.keeper.Trimming(to + 1); err != nil {
		return t, fmt.Errorf("trim the log: note that: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, trimPatience)
	defer cancel()
	if err := l.up.Purge(within, jetstream.WithPurgeSequence(to+1)); err != nil {
		return t, fmt.Errorf("trim the log: %w", l.srv.OrClosed(err))
	}
	after, err := l.srv.Info(ctx, names.StreamUp)
	if err != nil {
		return t, fmt.Errorf("trim the log: %w", l.srv.OrClosed(err))
	}
	b, a := &before.State, &after.State
	came := a.LastSeq - b.LastSeq // meanwhile
	t.Records, t.First = b.Msgs+came-a.Msgs, a.FirstSeq
	t.Bytes = int64(b.Bytes) - int64(a.Bytes) //nolint:gosec // of a disk
	if a.Msgs > 0 {
		t.Bytes += int64(came * (a.Bytes / a.Msgs)) //nolint:gosec // of a disk
	}
	l.ends.forget(t.First)
	return t, nil
}

// trimPatience is how long the store may take to remove what there is.
const trimPatience = 12 * servers.RequestTimeout
