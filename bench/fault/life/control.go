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
	f, err := l.feel(ctx, b, quietTime, attack)
	l.Result.Faults++
	l.Note("the control group at rest and during %.1f s of attack, p50/p99/slowest:", f.Took.Seconds())
	for w := range crew.NumWaits {
		if w != crew.WaitJoin || !b.NoNewcomers {
			l.Note("  %s: %s; %s", w, f.Quiet[w], f.During[w])
		}
	}
	l.Journal.Break(f.broken(b)...)
	if !l.Node.Alive() {
		l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("the node did not outlive the attack: %v", l.Node.State())})
		return errors.Join(err, node.ErrEnded)
	}
	if err != nil {
		return err
	}
	l.Note("  memory: %d MiB at rest, at most %d MiB and %d descriptors during the attack", f.Peak.Rest>>20, f.Peak.Most>>20, f.Peak.FDs)
	return l.Progress(ctx, 30*time.Second, uint64(l.Options.Devices)) //nolint:gosec // a count
}

// felt is what a control group and its node felt of an attack.
type felt struct {
	Quiet, During [crew.NumWaits]crew.Figure
	Peak          node.Peak
	Cuts          int64 // connections of the group that ended
	Took          time.Duration
}

// feel measures the crew at rest, for quiet, and while attack runs to its end.
func (l *Life) feel(ctx context.Context, b Bounds, quiet time.Duration, attack func(ctx context.Context) error) (f felt, err error) {
	f.Quiet, _, err = l.measure(ctx, b, func(ctx context.Context) error { return pause.For(ctx, quiet) })
	if err != nil {
		return f, err
	}
	cuts := l.Crew.Cuts()
	began := time.Now()
	f.During, f.Peak, err = l.measure(ctx, b, attack)
	f.Took, f.Cuts = time.Since(began), l.Crew.Cuts()-cuts
	return f, err
}

// broken is what of it is out of bounds.
func (f felt) broken(b Bounds) (vs []history.Violation) {
	for w := range crew.NumWaits {
		if w != crew.WaitJoin || !b.NoNewcomers {
			vs = append(vs, slowed(w, f.Quiet[w], f.During[w], b)...)
		}
	}
	if f.Cuts > b.Cuts {
		vs = append(vs, history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d connections of the control group ended", f.Cuts)})
	}
	if b.Memory > 0 && f.Peak.Most > b.Memory {
		vs = append(vs, history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("the node took %d MiB during the attack, %d MiB before; bounded by %d", f.Peak.Most>>20, f.Peak.Rest>>20, b.Memory>>20)})
	}
	if b.Descriptors > 0 && f.Peak.FDs > b.Descriptors {
		vs = append(vs, history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("the node had %d descriptors during the attack; bounded by %d", f.Peak.FDs, b.Descriptors)})
	}
	return vs
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
