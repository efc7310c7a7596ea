package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/store"
)

// deliver brings a batch to its destination and moves the place over it. It returns nil
// when all of it is confirmed or with the dead letters.
func (r *runner) deliver(soft, hard context.Context, b *batch) error {
	if b.upto == 0 {
		return r.settle(hard)
	}
	rest, done := b.records, 0
	for _, bad := range b.bad {
		if err := r.sendAll(soft, hard, rest[:bad.at-done]); err != nil {
			return err
		}
		rest, done = rest[bad.at-done:], bad.at
		if err := r.refused(soft, hard, &bad.record, &Refusal{1, bad.reason}); err != nil {
			return err
		}
	}
	if err := r.sendAll(soft, hard, rest); err != nil {
		return err
	}
	r.status.change(func(s *Status) { s.Counts.Filtered += b.filtered })
	return r.move(hard, b.upto)
}

// sendAll sends records until all are confirmed or with the dead letters, one attempt after
// the other. What is confirmed in front of a failure is kept at once: it may be the last for long.
// Whoever looks at a sink that ends before that sees since when the first of the others waits.
func (r *runner) sendAll(soft, hard context.Context, rest []Record) (err error) {
	defer func() {
		r.status.change(func(s *Status) {
			if s.Gathered = 0; err == nil {
				s.Oldest = time.Time{}
			}
		})
	}()
	defer r.status.at(nil)
	together := len(rest)
	for len(rest) > 0 {
		r.ahead(rest)
		if err := soft.Err(); err != nil {
			return err
		}
		n := min(together, len(rest))
		if r.breaker.probes() {
			n = 1
		}
		confirmed, err := r.attempt(hard, rest[:n])
		if confirmed > 0 && (err != nil || confirmed < len(rest)) {
			if err := r.move(hard, rest[confirmed-1].Position); err != nil {
				return err
			}
		}
		rest, n = rest[confirmed:], n-confirmed
		if err != nil {
			r.ahead(rest)
			if err := r.settle(hard); err != nil {
				return err
			}
		}
		var refusal *Refusal
		switch {
		case err == nil:
			together = max(1, min(2*together, len(rest))) // behind what was refused it goes faster again
			continue
		case errors.As(err, &refusal) && refusal.Records > 1 && n > 1:
			together = max(1, min(refusal.Records, n)/2)
			continue
		case errors.As(err, &refusal):
			if err := r.refused(soft, hard, &rest[0], refusal); err != nil {
				return err
			}
			rest = rest[1:]
			continue
		}
		if err := r.failed(soft, err); err != nil {
			return err
		}
	}
	return nil
}

// ahead notes the first of the records that are not confirmed.
func (r *runner) ahead(rest []Record) {
	if len(rest) == 0 {
		return
	}
	r.status.at(&rest[0])
	r.status.change(func(s *Status) { s.Gathered, s.Oldest = len(rest), time.UnixMilli(rest[0].Received) })
}

// attempt is one call of the destination, with what is to be counted.
func (r *runner) attempt(hard context.Context, records []Record) (confirmed int, err error) {
	ctx, cancel := context.WithTimeout(hard, r.spec.Timeout)
	defer cancel()
	if r.breaker.probes() {
		r.status.change(func(s *Status) { s.Breaker = HalfOpen })
	}
	confirmed, err = r.spec.Destination.Send(ctx, records)
	if err == nil && confirmed < len(records) {
		err = errShort
	}
	r.shares.confirmed(records[:confirmed])
	bytes := uint64(0)
	for i := range records[:confirmed] {
		bytes += uint64(len(records[i].Line))
	}
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) { // a refusal is an answer: somebody is there
		r.breaker.ok()
	}
	r.status.change(func(s *Status) {
		s.Counts.Attempts++
		s.sent.add(confirmed, time.Now())
		s.Counts.Records += uint64(confirmed) //nolint:gosec // not negative
		s.Counts.Bytes += bytes
		if r.breaker.failures == 0 {
			s.State, s.Breaker = Running, Closed
		}
	})
	return confirmed, err
}

// failed waits after a failure of the moment, for as long as the destination asks at least.
func (r *runner) failed(soft context.Context, err error) error {
	delay := r.breaker.failed()
	var later *Later
	if errors.As(err, &later) {
		delay = min(max(delay, later.After), max(r.spec.Retry.Most, time.Hour))
	}
	r.status.change(func(s *Status) {
		s.Counts.Failed++
		if r.breaker.probes() {
			s.Breaker = Open
		}
	})
	r.await(soft, delay, err)
	return soft.Err()
}

// refused deals with a record that the destination will never take.
func (r *runner) refused(soft, hard context.Context, rec *Record, why *Refusal) error {
	if r.spec.StopOnRefusal {
		r.status.refused(rec)
		return fmt.Errorf("record %s of device %s/%s: %w", rec.ID(), rec.Tenant, rec.Device, why)
	}
	if r.shares.over(rec) {
		r.leaveOut(rec, why)
		return nil // the place moves over it with what is behind it
	}
	for {
		err := bury(hard, r.node, r.spec.Name, rec, why.Reason)
		if err == nil {
			break
		}
		if err := r.failed(soft, fmt.Errorf("keep a refused record: %w", err)); err != nil {
			return err
		}
		select {
		case <-r.poke: // so that there is room for one more
			if err := r.sendLetters(soft, hard); err != nil {
				return err
			}
		default:
		}
	}
	r.shares.buried(rec)
	r.breaker.ok()
	r.status.change(func(s *Status) {
		s.Counts.Refused++
		s.LastErr, s.LastAt = plain(fmt.Sprintf("record %s: %s", rec.ID(), why.Error())), time.Now()
	})
	return r.keep(hard, rec.Position)
}

// leaveOut passes a refused record that is not kept: its device has had its share of the dead
// letters. The log has it.
func (r *runner) leaveOut(rec *Record, why *Refusal) {
	r.breaker.ok()
	r.status.change(func(s *Status) {
		s.Counts.Refused++
		s.Counts.Unkept++
		s.LastErr, s.LastAt = plain(fmt.Sprintf("record %s, left out: its device has %d dead letters: %s", rec.ID(), maxShare, why.Error())), time.Now()
	})
	r.unkept.Do(func() {
		r.log.Warn("a device has its share of the dead letters, its further refused records are left out",
			zap.String("tenant", rec.Tenant), zap.String("device_id", rec.Device), zap.String("position", rec.ID()), zap.String("error", plain(why.Error())))
	})
}

// bury keeps a record with the dead letters.
func bury(ctx context.Context, node Node, sink string, rec *Record, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	return node.Letters.Bury(ctx, store.Letter{
		Sink: sink, Log: rec.Log, Position: rec.Position, Reason: plain(reason), At: time.Now().UnixMilli(), Record: rec.Line,
	})
}
