package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// actRlimit takes descriptors away from the running node: it sets the limit below what the node
// holds, so that every accept, and every file that the log opens, fails as if the rest of the
// machine had taken them all. Connected devices may notice only late acknowledgements, which
// resume by themselves once there are descriptors again.
func actRlimit(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		if err := starve(ctx, l, 2*time.Second+l.UpTo(3*time.Second)); err != nil {
			return err
		}
	}
	return nil
}

func starve(ctx context.Context, l *life.Life, d time.Duration) error {
	u, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return err
	}
	var old unix.Rlimit
	if err := unix.Prlimit(l.Node.PID(), unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return err
	}
	few := uint64(l.Rng.IntN(u.FDs)) //nolint:gosec // a count
	cuts := l.Crew.Cuts()
	_, before := l.Crew.Totals()
	l.Journal.Inject("the node holds %d descriptors and may have %d", u.FDs, few)
	if err := unix.Prlimit(l.Node.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: old.Max}, nil); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, d)
	Rabble(short, l, 50, func(ctx context.Context, i int) error { // newcomers, all in vain
		for ctx.Err() == nil {
			if c, err := HostileDevice(ctx, l, i); err == nil {
				c.Close()
			}
			_ = pause.For(ctx, 50*ms)
		}
		return nil
	})
	cancel()
	_, after := l.Crew.Totals()
	if err := unix.Prlimit(l.Node.PID(), unix.RLIMIT_NOFILE, &old, nil); err != nil {
		return err
	}
	l.Journal.Inject("the node may have as many descriptors as before")
	l.Result.Faults++
	began := time.Now()
	if err := l.Progress(ctx, 30*time.Second, uint64(l.Options.Devices)); err != nil { //nolint:gosec // a count
		return err
	}
	if _, acked := l.Crew.Totals(); acked == after {
		return errors.New("fault: the log stands still though there are descriptors again")
	}
	l.Note("%d descriptors held, %d allowed for %.1f s: %d acknowledged meanwhile, all got on %.1f s after", u.FDs, few, d.Seconds(), after-before, time.Since(began).Seconds())
	if n := l.Crew.Cuts() - cuts; n > 0 {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d connections of well-behaved devices ended", n)})
	}
	return l.Await(ctx, 15*time.Second, "a newcomer to be let in", func() bool {
		c, err := HostileDevice(ctx, l, 0)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}
