package scenarios

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// actFrozen freezes the disk for some seconds, once with a kill meanwhile. From the
// moment it is frozen nothing new can be durable: what a device sends then must not
// be acknowledged before the thaw. Devices stay connected, pings are answered, and
// memory is bounded.
func actFrozen(ctx context.Context, l *life.Life) error {
	for i := range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		p, err := l.Crew.NewPinger(ctx, l.URL, l.Rng.Uint64())
		if err != nil {
			if ctx.Err() == nil {
				l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("a newcomer was not let in: %v", err)})
			}
			return err
		}
		thaw, err := l.Image.Freeze()
		if err != nil {
			return err
		}
		l.Defer(func() { _ = thaw() })
		l.Journal.Inject("the disk is frozen")
		l.Result.Faults++
		if i%3 == 2 {
			err = killFrozen(ctx, l, thaw)
		} else {
			err = sitFrozen(ctx, l, p, thaw, 2*time.Second+l.UpTo(6*time.Second))
		}
		p.Close()
		if err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// sitFrozen watches devices and node while the disk is frozen, and thaws it.
func sitFrozen(ctx context.Context, l *life.Life, p *crew.Pinger, thaw func() error, d time.Duration) error {
	sent := make([]uint64, len(l.Crew.Devices()))
	for i, device := range l.Crew.Devices() {
		sent[i] = device.SentUpTo()
	}
	cuts := l.Crew.Cuts()
	before, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return err
	}
	worst, pings := pingFor(ctx, l, p, d)
	after, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return err
	}
	ready, _, _ := l.Node.Call(ctx, "GET", "/readyz", nil) // 0 if it does not answer
	for i, device := range l.Crew.Devices() {
		if acked := device.AckedUpTo(); acked > sent[i] {
			l.Journal.Break(history.Violation{Promise: history.Lost, Device: device.Name(), Seq: acked, Detail: fmt.Sprintf("was acknowledged while the disk was frozen; sent before were 1..%d", sent[i])})
		}
	}
	if err := thaw(); err != nil {
		return err
	}
	l.Journal.Inject("the disk has thawed")
	l.Note("frozen for %.1f s: %d pings answered, the slowest after %d ms; memory %d > %d MiB; readyz %d", d.Seconds(), pings, worst.Milliseconds(), before.RSS>>20, after.RSS>>20, ready)
	if err := l.Progress(ctx, 30*time.Second, uint64(l.Options.Devices)); err != nil { //nolint:gosec // a count
		return err
	}
	if n := l.Crew.Cuts() - cuts; n > 0 {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d connections of well-behaved devices ended", n)})
	}
	if pings == 0 || worst > slowPong {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d pings were answered while the disk was frozen, the slowest after %s", pings, worst)})
	}
	if after.RSS > before.RSS+life.MoreRSS {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("%d MiB while the disk was frozen, %d MiB before", after.RSS>>20, before.RSS>>20)})
	}
	return nil
}

// killFrozen kills the node while it waits for the disk. It is dead once the disk
// has thawed.
func killFrozen(ctx context.Context, l *life.Life, thaw func() error) error {
	if err := pause.For(ctx, l.UpTo(2*time.Second)); err != nil {
		return err
	}
	l.Node.Signal(syscall.SIGKILL)
	if err := thaw(); err != nil {
		return err
	}
	l.Kill("while the disk was frozen")
	return l.Boot(ctx)
}

// slowPong is how late the answer to a ping may be on a machine that is shared.
const slowPong = 2 * time.Second

// pingFor pings for d and returns the slowest answer and the number of them. A ping
// that is not answered counts as the time that was waited.
func pingFor(ctx context.Context, l *life.Life, p *crew.Pinger, d time.Duration) (worst time.Duration, pings int) {
	end := time.Now().Add(d)
	for time.Now().Before(end) && ctx.Err() == nil {
		asked := time.Now()
		if err := p.Ping(); err != nil {
			l.Note("a ping: %v", err)
			return max(worst, time.Since(asked)), pings
		}
		worst = max(worst, time.Since(asked))
		pings++
		_ = pause.For(ctx, 100*ms)
	}
	return worst, pings
}
