package sink

import (
	"context"
	"time"
)

const (
	// keepWithin is how long keeping a place, or burying a record, may take.
	keepWithin = 10 * time.Second
	// keepEvery is how long the place that is kept may be behind what is confirmed. Each time it is
	// kept something is written and synced on the disk that the log is synced on; after each batch
	// that took more of devices' time than the batch itself (docs/decisions/0067).
	keepEvery = time.Second
)

// place is how far a sink has come. Owned by its sender.
type place struct {
	confirmed uint64    // the destination has all up to there
	kept      uint64    // and this is durable
	at        time.Time // since then
}

// due tells when the place is to be kept though nothing else happens; nil: it is.
func (p *place) due() <-chan time.Time {
	if p.confirmed == p.kept {
		return nil
	}
	return time.After(time.Until(p.at.Add(keepEvery)))
}

// move notes that the destination has all up to a position. The place is kept now if that is due:
// what is confirmed and not kept comes again after a crash.
func (r *runner) move(hard context.Context, position uint64) error {
	if time.Since(r.place.at) >= keepEvery {
		return r.keep(hard, position)
	}
	r.place.confirmed = position
	r.status.change(func(s *Status) { s.Place = position })
	return nil
}

// settle keeps what is confirmed and not kept.
func (r *runner) settle(hard context.Context) error {
	if r.place.confirmed == r.place.kept {
		return nil
	}
	return r.keep(hard, r.place.confirmed)
}

// keep moves the place, and has it durable.
func (r *runner) keep(hard context.Context, position uint64) error {
	ctx, cancel := context.WithTimeout(hard, keepWithin)
	defer cancel()
	if err := r.reader.Keep(ctx, position); err != nil {
		return err
	}
	r.place = place{confirmed: position, kept: position, at: time.Now()}
	is := r.reader.Place()
	r.status.change(func(s *Status) { s.Place, s.Counts.Missed = is.Position, is.Missed })
	return nil
}

// settleAtEnd is settle for a session that ends, also where hard has ended: what is cut comes
// again, and what is confirmed need not.
func (r *runner) settleAtEnd(hard context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(hard), closeWithin)
	defer cancel()
	return r.settle(ctx)
}
