package attack

import (
	"context"
	"errors"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/internal/pause"
)

// comeBack connects once, records how that went, and stays to the end. A peer that is refused or
// not answered tries again, as a device does.
func (a *attacker) comeBack(ctx context.Context, i int) {
	began := time.Now()
	for ctx.Err() == nil {
		w, _, err := a.device(ctx, i)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("connect", err)
			}
			_ = pause.For(ctx, time.Second)
			continue
		}
		defer w.Cut()
		a.count(Welcomed)
		a.most(SlowestWelcome, int(time.Since(began).Milliseconds()))
		for ctx.Err() == nil {
			if _, err := w.Next(time.Second); err != nil && !errors.Is(err, crew.ErrQuiet) {
				if ctx.Err() == nil {
					a.fail("stay", err)
				}
				return
			}
		}
		return
	}
}

// tug makes each two peers one device: each reconnects as soon as it is cut.
func (a *attacker) tug(ctx context.Context, i int) {
	for ctx.Err() == nil {
		w, _, err := a.device(ctx, i/2)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("connect", err)
			}
			_ = pause.For(ctx, 10*time.Millisecond)
			continue
		}
		a.count(Welcomed)
		for err == nil || errors.Is(err, crew.ErrQuiet) {
			_, err = w.Next(time.Second)
		}
		w.Cut()
	}
}

// How many peers were welcomed, and after how long at most.
const (
	Welcomed       = "welcomed"
	SlowestWelcome = "ms to the slowest welcome"
)
