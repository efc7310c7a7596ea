package life

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// A control group is a small crew of well-behaved devices beside an attack. How long it waits, at
// rest and during the attack, is printed and judged:
//
//	{Name: "…", Devices: life.Controls, Pace: life.ControlPace, Control: true, Act: actX}
//
//	func actX(ctx context.Context, l *life.Life) error {
//		return l.Beside(ctx, life.Bounds{…}, func(ctx context.Context) error { … })
//	}
const (
	Controls    = 20
	ControlPace = 40 * time.Millisecond
)

// quietTime is how long the control group is measured before an attack.
const quietTime = 2 * time.Second

// Bounds limits how much an attack may affect a control group and newcomers. A wait may be twice
// what it was at rest, or its floor here if that is more; the floors are for two cores that
// node, devices and attackers share. 0 is the usual floor.
type Bounds struct {
	Ack50, Ack99   time.Duration // 0: 40 and 200 ms
	Ping50, Ping99 time.Duration // 0: 20 and 150 ms
	Join99         time.Duration // of a newcomer; 0: a second
	NoNewcomers    bool          // newcomers are not measured
	Cuts           int64         // connections of the group that may end
	Memory         int64         // most resident bytes at any time of the attack; 0: not judged
	Descriptors    int           // most of them at any time of the attack; 0: not judged
}

// of is the floor of a wait: its median and its 99th percentile.
func (b Bounds) of(w crew.Wait) (p50, p99 time.Duration) {
	or := func(d, usual time.Duration) time.Duration {
		if d == 0 {
			return usual
		}
		return d
	}
	switch w {
	case crew.WaitAck:
		return or(b.Ack50, 40*time.Millisecond), or(b.Ack99, 200*time.Millisecond)
	case crew.WaitPing:
		return or(b.Ping50, 20*time.Millisecond), or(b.Ping99, 150*time.Millisecond)
	default:
		join := or(b.Join99, time.Second)
		return join, join
	}
}

// Beside measures the crew at rest and while attack runs to its end, and notes and judges both.
func (l *Life) Beside(ctx context.Context, b Bounds, attack func(ctx context.Context) error) error {
	if err := pause.For(ctx, 500*time.Millisecond); err != nil { // not yet at rest right after the start
		return err
	}
	quiet, _, err := l.measure(ctx, b, func(ctx context.Context) error { return pause.For(ctx, quietTime) })
	if err != nil {
		return err
	}
	cuts := l.Crew.Cuts()
	began := time.Now()
	during, peak, err := l.measure(ctx, b, attack)
	l.Result.Faults++
	l.Note("the control group at rest and during %.1f s of attack, p50/p99/slowest:", time.Since(began).Seconds())
	for w := range crew.NumWaits {
		if w != crew.WaitJoin || !b.NoNewcomers {
			l.Note("  %s: %s; %s", w, quiet[w], during[w])
			l.Journal.Break(slowed(w, quiet[w], during[w], b)...)
		}
	}
	if n := l.Crew.Cuts() - cuts; n > b.Cuts {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d connections of the control group ended", n)})
	}
	if !l.Node.Alive() {
		l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("the node did not outlive the attack: %v", l.Node.State())})
		return errors.Join(err, node.ErrEnded)
	}
	if err != nil {
		return err
	}
	l.Note("  memory: %d MiB at rest, at most %d MiB and %d descriptors during the attack", peak.Rest>>20, peak.Most>>20, peak.FDs)
	if b.Memory > 0 && peak.Most > b.Memory {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("the node took %d MiB during the attack, %d MiB before; bounded by %d", peak.Most>>20, peak.Rest>>20, b.Memory>>20)})
	}
	if b.Descriptors > 0 && peak.FDs > b.Descriptors {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("the node had %d descriptors during the attack; bounded by %d", peak.FDs, b.Descriptors)})
	}
	return l.Progress(ctx, 30*time.Second, uint64(l.Options.Devices)) //nolint:gosec // a count
}

// slowed names the waits that took longer during an attack than allowed.
func slowed(w crew.Wait, quiet, during crew.Figure, b Bounds) (vs []history.Violation) {
	if during.Count == 0 {
		return []history.Violation{{Promise: history.Slowed, Detail: fmt.Sprintf("%s: nothing was answered during the attack", w)}}
	}
	floor50, floor99 := b.of(w)
	for _, j := range []struct {
		name              string
		quiet, now, floor time.Duration
	}{{"p50", quiet.P50, during.P50, floor50}, {"p99", quiet.P99, during.P99, floor99}} {
		if bound := max(2*j.quiet, j.floor); j.now > bound {
			vs = append(vs, history.Violation{Promise: history.Slowed, Detail: fmt.Sprintf("%s %s %s ms at rest, %s ms during the attack, bounded by %s", w, j.name, crew.Millis(j.quiet), crew.Millis(j.now), crew.Millis(bound))})
		}
	}
	return vs
}

// measure runs act and returns how long the crew and newcomers waited meanwhile, and the most
// memory that the node held.
func (l *Life) measure(ctx context.Context, b Bounds, act func(ctx context.Context) error) (f [crew.NumWaits]crew.Figure, p node.Peak, err error) {
	m := l.Crew.Meter()
	m.Restart()
	watching := node.Watch(l.Node.PID())
	newcomers, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if !b.NoNewcomers {
		wg.Go(func() { l.Crew.Newcomers(newcomers, l.URL) })
	}
	err = act(ctx)
	stop()
	wg.Wait()
	l.Crew.CountUnanswered()
	return m.Figures(), watching.End(), err
}

// Many is n hostile peers, times --scale.
func (l *Life) Many(n int) int { return min(n*max(1, l.Options.Scale), attack.MaxPeers) }
