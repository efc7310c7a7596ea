package sinks

import (
	"context"
	"errors"
	"slices"
)

// Felt is what devices felt of one state of a sink, in short rounds, in turn with others in
// which the sink was paused: what a machine does beside falls on both.
type Felt struct {
	Rounds []Load    `json:"rounds"`
	Ratios []float64 `json:"ack_p99_ratios"` // of each, to that of the same round while paused
}

// add notes a round, and what was felt in it while the sink was paused.
func (f *Felt) add(paused, l Load) {
	f.Rounds = append(f.Rounds, l)
	f.Ratios = append(f.Ratios, ratio(l.AckP99, paused.AckP99))
}

// middle is each figure's median over the rounds.
func (f *Felt) middle() (l Load) {
	of := func(get func(Load) float64) float64 {
		var all []float64
		for _, one := range f.Rounds {
			all = append(all, get(one))
		}
		return median(all)
	}
	l = Load{
		PerSecond: of(func(l Load) float64 { return l.PerSecond }), Cores: of(func(l Load) float64 { return l.Cores }),
		AckP50: of(func(l Load) float64 { return l.AckP50 }), AckP99: of(func(l Load) float64 { return l.AckP99 }),
	}
	for _, one := range f.Rounds {
		if one.Warnings != "" {
			l.Warnings = one.Warnings
		}
	}
	return l
}

// median is 0 of none.
func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// feeling has devices send while the sink is paused, while its destination is well, and while
// it is down, in turn.
func feeling(ctx context.Context, t *target, row *Row) error {
	for range t.opt.Rounds {
		paused, err := t.paused(ctx)
		if err != nil {
			return err
		}
		row.Alone.add(paused, paused)
		if err := errors.Join(t.place.newest(ctx), t.place.resume(ctx)); err != nil {
			return err
		}
		if _, err := t.drained(ctx); err != nil {
			return err
		}
		well, err := t.load(ctx, t.opt.Rate, t.opt.Round)
		if err != nil {
			return err
		}
		row.Well.add(paused, well)
		if err := t.place.down(ctx); err != nil {
			return err
		}
		down, err := t.load(ctx, t.opt.Rate, t.opt.Round)
		if err != nil {
			return err
		}
		row.Down.add(paused, down)
		if err := t.place.up(ctx); err != nil {
			return err
		}
	}
	return t.place.down(ctx)
}

// paused pauses the sink and has devices send.
func (t *target) paused(ctx context.Context) (l Load, err error) {
	if err := t.place.pause(ctx); err != nil {
		return l, err
	}
	return t.load(ctx, t.opt.Rate, t.opt.Round)
}

// catching has devices send while the sink is paused over a backlog, and while it works it off,
// in turn: as much as it works off meanwhile, if the backlog of the options is enough for that.
func catching(ctx context.Context, t *target, row *Row) (err error) {
	if err := t.place.down(ctx); err != nil {
		return err
	}
	enough := min(t.opt.Backlog, uint64(row.perSecond()*(t.opt.Round+warmup).Seconds()))
	for i := range t.opt.Rounds {
		if err := t.place.pause(ctx); err != nil {
			return err
		}
		if err := t.fill(ctx, enough); err != nil {
			return err
		}
		paused, err := t.paused(ctx)
		if err != nil {
			return err
		}
		waited, err := t.place.lag(ctx)
		if err != nil {
			return err
		}
		again := t.place.resume
		if i == 0 {
			again = t.place.up
		}
		if err := again(ctx); err != nil {
			return err
		}
		busy, err := t.load(ctx, t.opt.Rate, t.opt.Round)
		if err != nil {
			return err
		}
		row.Catching.add(paused, busy)
		left, err := t.place.lag(ctx)
		if err != nil {
			return err
		}
		if i == 0 || left < row.Left {
			row.Waited, row.Left = waited, left
		}
	}
	return nil
}
