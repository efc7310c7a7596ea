package fault

import (
	"context"
	"errors"
	"time"
)

// comeBack connects once, says how that went, and stays to the end. Who is refused
// or not answered tries again, as a device does.
func (a *attacker) comeBack(ctx context.Context, i int) {
	began := time.Now()
	for ctx.Err() == nil {
		w, _, err := a.device(ctx, i)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("connect", err)
			}
			_ = pause(ctx, time.Second)
			continue
		}
		defer w.cut()
		a.count(welcomed)
		a.most(slowestWelcome, int(time.Since(began).Milliseconds()))
		for ctx.Err() == nil {
			if _, err := w.next(time.Second); err != nil && !errors.Is(err, errQuiet) {
				if ctx.Err() == nil {
					a.fail("stay", err)
				}
				return
			}
		}
		return
	}
}

// tug has two peers be one device: each connects again as soon as it was cut.
func (a *attacker) tug(ctx context.Context, i int) {
	for ctx.Err() == nil {
		w, _, err := a.device(ctx, i/2)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("connect", err)
			}
			_ = pause(ctx, 10*ms)
			continue
		}
		a.count(welcomed)
		for err == nil || errors.Is(err, errQuiet) {
			_, err = w.next(time.Second)
		}
		w.cut()
	}
}

// How often peers were let in, and after how long at most.
const (
	welcomed       = "welcomed"
	slowestWelcome = "ms to the slowest welcome"
)
