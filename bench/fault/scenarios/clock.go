package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// clockEnv names the variable that says that the clock of this machine may be set:
// a guest's, never that of a machine that others use.
const clockEnv = "EDGEFAULT_SET_CLOCK"

// setupClock refuses to run on a machine whose clock must not be set, and has
// patience with a guest in emulation.
func setupClock(_ context.Context, l *life.Life) error {
	if os.Getenv(clockEnv) != "1" {
		return errors.New("it sets the machine's clock: run scripts/guest/clock.sh")
	}
	l.Node.Patience = 10 * time.Minute
	return nil
}

// actClock sets the clock forward and back. Nobody who is connected may notice;
// epochs grow, whatever the clock does. After a jump forward the node is also killed
// and started again. After a jump back it is not: that epochs then go on above those
// in the log is what TestTakeover_OldClock in gateway is for.
func actClock(ctx context.Context, l *life.Life) error {
	const hour, years = time.Hour, 10 * 365 * 24 * time.Hour
	jumps := []time.Duration{-hour, hour, hour, -hour, -years, years}
	for i := range l.Options.Rounds {
		jump := jumps[i%len(jumps)]
		if err := l.Load(ctx); err != nil {
			return err
		}
		cuts := l.Crew.Cuts()
		l.Journal.Inject("the clock jumps by %s", jump)
		if err := jumpClock(jump); err != nil {
			return err
		}
		l.Result.Faults++
		if err := l.Progress(ctx, 60*time.Second, uint64(l.Options.Devices)); err != nil { //nolint:gosec // a count
			return err
		}
		if err := pause.For(ctx, 2*time.Second); err != nil { // whatever is swept each second
			return err
		}
		if n := l.Crew.Cuts() - cuts; n > 0 {
			l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d connections ended as the clock jumped by %s", n, jump)})
		}
		l.Crew.CutAll()
		if err := l.Recover(ctx); err != nil {
			return err
		}
		l.Note("the clock jumped by %s, devices were cut after it and came back", jump)
	}
	return restartAhead(ctx, l, hour)
}

// restartAhead kills the node after a jump forward and starts it again.
func restartAhead(ctx context.Context, l *life.Life, jump time.Duration) error {
	l.Journal.Inject("the clock jumps by %s", jump)
	if err := jumpClock(jump); err != nil {
		return err
	}
	l.Kill("after a jump forward")
	if err := l.Boot(ctx); err != nil {
		return err
	}
	if err := l.Recover(ctx); err != nil {
		return err
	}
	return l.Rebase()
}

func jumpClock(by time.Duration) error {
	to := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	return unix.Settimeofday(&to)
}
