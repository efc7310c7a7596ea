package uplog

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// Last is where the log stands with a device; zero if it has nothing of it.
type Last struct {
	Seq      uint64 // highest durable sequence
	Epoch    uint64 // of the connection that sent the last record, or of a later one that presence is kept of
	Position uint64 // of that record in the log, for Record.After; 0: the log has nothing of it
	At       int64  // when that record was stored, Unix milliseconds
	Session  string // of that record, "" for none
}

// Last is read from the log itself. It knows nothing of records still on their way.
func (l *Log) Last(ctx context.Context, tenant, device string) (Last, error) {
	if l.ends != nil && l.ends.ready.Load() && tenant != "" && device != "" {
		if err := cmp.Or(l.ctx.Err(), ctx.Err()); err != nil {
			return Last{}, fmt.Errorf("last record of %s/%s: %w", tenant, device, l.srv.OrClosed(err))
		}
		var buf [maxSubject]byte
		return l.ends.last(names.KeyOf(names.AppendSubject(buf[:0], names.Up, tenant, device))), nil
	}
	if l.known != nil && tenant != "" && device != "" {
		var buf [maxSubject]byte
		if !l.known.has(textOf(names.AppendSubject(buf[:0], names.Up, tenant, device))) {
			return Last{}, nil
		}
	}
	subject, err := names.Subject(names.Up, tenant, device)
	if err != nil {
		return Last{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, servers.RequestTimeout)
	defer cancel()
	var last Last
	m, err := l.up.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return Last{}, fmt.Errorf("last record of %s: %w", subject, l.srv.OrClosed(err))
	default:
		if last, err = lastIn(m.Data); err != nil {
			return Last{}, err
		}
		last.Position, last.At = m.Sequence, m.Time.UnixMilli()
	}
	if !l.alone {
		epoch, err := l.epoch(ctx, tenant, device)
		if err != nil {
			return Last{}, fmt.Errorf("last presence of %s: %w", subject, l.srv.OrClosed(err))
		}
		last.Epoch = max(last.Epoch, epoch)
	}
	return last, nil
}
