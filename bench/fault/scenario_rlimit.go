package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// actRlimit takes the descriptors away from the running node: its limit is set
// below what it holds, so that every accept, and every file that the log opens,
// fails as it would if the rest of the machine had taken them all. Nobody who is
// connected may notice but for acknowledgements that wait, and they go on by
// themselves once there are descriptors again.
func actRlimit(ctx context.Context, l *Life) error {
	for range l.Options.Rounds {
		if err := l.load(ctx); err != nil {
			return err
		}
		if err := l.starve(ctx, 2*time.Second+l.upTo(3*time.Second)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Life) starve(ctx context.Context, d time.Duration) error {
	u, err := readUsage(l.Node.PID())
	if err != nil {
		return err
	}
	var old unix.Rlimit
	if err := unix.Prlimit(l.Node.PID(), unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return err
	}
	few := uint64(l.Rng.IntN(u.fds)) //nolint:gosec // a count
	cuts := l.Crew.Cuts()
	_, before := l.Crew.Totals()
	l.Journal.Inject("the node holds %d descriptors and may have %d", u.fds, few)
	if err := unix.Prlimit(l.Node.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: old.Max}, nil); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, d)
	l.rabble(short, 50, func(ctx context.Context, i int) error { // newcomers, all in vain
		for ctx.Err() == nil {
			if c, err := l.hostileDevice(ctx, i); err == nil {
				c.Close()
			}
			_ = pause(ctx, 50*ms)
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
	if err := l.progress(ctx, 30*time.Second, uint64(l.Options.Devices)); err != nil { //nolint:gosec // a count
		return err
	}
	if _, acked := l.Crew.Totals(); acked == after {
		return errors.New("fault: the log stands still though there are descriptors again")
	}
	l.Note("%d descriptors held, %d allowed for %.1f s: %d acknowledged meanwhile, all got on %.1f s after", u.fds, few, d.Seconds(), after-before, time.Since(began).Seconds())
	if n := l.Crew.Cuts() - cuts; n > 0 {
		l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d connections of well-behaved devices ended", n)})
	}
	return l.await(ctx, 15*time.Second, "a newcomer to be let in", func() bool {
		c, err := l.hostileDevice(ctx, 0)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}
