package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// settle finds out what an attempt with an unclear end has left in the log, and
// does not return before it knows, unless the node closes. It returns how many
// of items are there, counted from the first, and cause while some are missing.
func (c *committer) settle(tag string, items []item, offset int, before uint64, cause error) (int, error) {
	if errors.Is(cause, errNoAnswer) {
		c.unanswered++
	}
	for delay := retryFirst; ; delay = min(2*delay, retryMost) {
		err := c.reopenIfDead()
		if err == nil {
			var n int
			if n, err = c.countStored(tag, items, offset, before, errors.Is(cause, errDuplicate)); err == nil {
				return c.settled(n, len(items), cause)
			}
		}
		c.stalled(err)
		if !pause(c.ctx, delay) {
			return 0, ErrClosed
		}
	}
}

// settled ends a settlement that found n of all items in the log. What is found
// need not be synced: its answer may be missing because the sync failed. A mark
// that is written and synced after it shows that the store is sound.
func (c *committer) settled(n, all int, cause error) (int, error) {
	c.count.settled.Add(1)
	for delay := retryFirst; n > 0; delay = min(2*delay, retryMost) {
		err := c.mark()
		if err == nil {
			c.unanswered = 0
			break
		}
		if errors.Is(err, errNoAnswer) {
			c.unanswered++
		}
		c.stalled(err)
		if !pause(c.ctx, delay) {
			return 0, ErrClosed
		}
		if err := c.reopenIfDead(); err != nil {
			c.stalled(err)
		}
	}
	if n == all {
		return n, nil
	}
	return n, cause
}

// countStored asks the log for the last of items, then the first; a batch is
// stored whole or not at all, except by a disk that failed within its commit,
// and then a first part of it is there.
func (c *committer) countStored(tag string, items []item, offset int, from uint64, duplicate bool) (int, error) {
	last := len(items) - 1
	has := func(i int) (bool, error) { return c.find(c.ctx, from+1, &items[i], tag, offset+i) }
	if ok, err := has(last); err != nil || ok {
		return last + 1, err
	}
	first, err := has(0)
	if err != nil || !first && !duplicate {
		return 0, err
	}
	for i := last - 1; i > 0; i-- {
		if ok, err := has(i); err != nil || ok {
			return i + 1, err
		}
	}
	if first {
		return 1, nil
	}
	// The server knows the batch and holds nothing of it: it was stored, and the
	// operator's retention took it already.
	return last + 1, nil
}

// reopenIfDead opens an embedded store again that has stopped answering. One
// that met a write error takes nothing more until then.
func (c *committer) reopenIfDead() error {
	if c.reopen == nil || c.unanswered < reopenAfter {
		return nil
	}
	c.log.Warn("the log does not answer, opening it again", zap.Int("attempts", c.unanswered))
	c.count.reopened.Add(1)
	if err := c.reopen(); err != nil {
		return err
	}
	c.unanswered = 0
	return nil
}

// finder looks into the log for one record of a batch, at or above a sequence of
// the log.
func finder(s jetstream.Stream) func(ctx context.Context, from uint64, it *item, tag string, place int) (bool, error) {
	return func(ctx context.Context, from uint64, it *item, tag string, place int) (bool, error) {
		for {
			m, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(it.subject))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("look for a record: %w", err)
			}
			if at, ok := placeOf(tag, m.Header); ok && at == place {
				return true, nil
			}
			from = m.Sequence + 1
		}
	}
}

// marker writes the mark: one message for each node, each replacing the last.
func marker(w *wire, node string) func() error {
	subject := string(appendToken([]byte(syncPrefix), node))
	return func() error {
		w.attempt++
		m := nats.Msg{
			Subject: subject,
			Reply:   w.reply(),
			Header:  nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
			Data:    time.Now().UTC().AppendFormat(nil, time.RFC3339Nano),
		}
		if err := w.publish(&m); err != nil {
			return fmt.Errorf("%w: %w", errDisconnected, err)
		}
		_, err := w.await(1)
		return err
	}
}
