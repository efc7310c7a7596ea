package backbone

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Last is where the log stands with a device; zero if it has nothing of it.
type Last struct {
	Seq      uint64 // highest durable sequence
	Epoch    uint64 // of the connection that sent the last record, or of a later one that presence is kept of
	Position uint64 // of that record in the log, for Record.After
}

// Last is read from the log itself. It knows nothing of records still on their way.
func (b *Backbone) Last(ctx context.Context, tenant, device string) (Last, error) {
	if b.ends != nil && b.ends.ready.Load() && tenant != "" && device != "" {
		if err := cmp.Or(b.ctx.Err(), ctx.Err()); err != nil {
			return Last{}, fmt.Errorf("last record of %s/%s: %w", tenant, device, b.orClosed(err))
		}
		var buf [maxSubject]byte
		return b.ends.last(keyOf(appendSubject(buf[:0], upPrefix, tenant, device))), nil
	}
	if b.known != nil && tenant != "" && device != "" {
		var buf [maxSubject]byte
		if !b.known.has(textOf(appendSubject(buf[:0], upPrefix, tenant, device))) {
			return Last{}, nil
		}
	}
	subject, err := subjectOf(upPrefix, tenant, device)
	if err != nil {
		return Last{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var last Last
	m, err := b.up.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return Last{}, fmt.Errorf("last record of %s: %w", subject, b.orClosed(err))
	default:
		if last, err = lastIn(m.Data); err != nil {
			return Last{}, err
		}
		last.Position = m.Sequence
	}
	if b.server == nil {
		epoch, err := b.keptEpoch(ctx, tenant, device)
		if err != nil {
			return Last{}, fmt.Errorf("last presence of %s: %w", subject, b.orClosed(err))
		}
		last.Epoch = max(last.Epoch, epoch)
	}
	return last, nil
}
