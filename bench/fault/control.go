package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// A control group is a small crew of well-behaved devices beside which somebody
// misbehaves. How long it waits at rest and meanwhile is printed and judged:
//
//	{Name: "…", Devices: controls, Pace: controlPace, Control: true, Act: actX}
//
//	func actX(ctx context.Context, l *Life) error {
//		return l.beside(ctx, bounds{…}, func(ctx context.Context) error { … })
//	}
const (
	controls    = 20
	controlPace = 40 * ms
)

// quietTime is how long the control group is measured before an attack.
const quietTime = 2 * time.Second

// bounds is how much a control group, and a newcomer, may feel of an attack. No
// wait may be more than twice what it was at rest, or its floor here if that is
// more: the floors are for two cores that node, devices and attackers share. A
// floor of 0 is the usual one.
type bounds struct {
	ack50, ack99   time.Duration // 0: 40 and 200 ms
	ping50, ping99 time.Duration // 0: 20 and 150 ms
	join99         time.Duration // of a newcomer; 0: a second
	noNewcomers    bool          // newcomers are not measured
	cuts           int64         // connections of the group that may end
	memory         int64         // most resident bytes at any time of the attack; 0: not judged
	descriptors    int           // most of them at any time of the attack; 0: not judged
}

// of is the floor of a wait: the middle, and the ninety-ninth of a hundred.
func (b bounds) of(w wait) (p50, p99 time.Duration) {
	or := func(d, usual time.Duration) time.Duration {
		if d == 0 {
			return usual
		}
		return d
	}
	switch w {
	case waitAck:
		return or(b.ack50, 40*ms), or(b.ack99, 200*ms)
	case waitPing:
		return or(b.ping50, 20*ms), or(b.ping99, 150*ms)
	default:
		join := or(b.join99, time.Second)
		return join, join
	}
}

// beside measures the crew at rest, runs attack to its end, measures meanwhile,
// and notes and judges both.
func (l *Life) beside(ctx context.Context, b bounds, attack func(ctx context.Context) error) error {
	if err := pause(ctx, 500*ms); err != nil { // what starting costs is no rest
		return err
	}
	quiet, _, err := l.measure(ctx, b, func(ctx context.Context) error { return pause(ctx, quietTime) })
	if err != nil {
		return err
	}
	cuts := l.Crew.Cuts()
	began := time.Now()
	during, peak, err := l.measure(ctx, b, attack)
	l.Result.Faults++
	l.Note("the control group at rest and during %.1f s of attack, p50/p99/slowest:", time.Since(began).Seconds())
	for w := range numWaits {
		if w != waitJoin || !b.noNewcomers {
			l.Note("  %s: %s; %s", w, quiet[w], during[w])
			l.Journal.Break(slowed(w, quiet[w], during[w], b)...)
		}
	}
	if n := l.Crew.Cuts() - cuts; n > b.cuts {
		l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d connections of the control group ended", n)})
	}
	if !l.Node.Alive() {
		l.Journal.Break(Violation{Promise: Died, Detail: fmt.Sprintf("the node did not outlive the attack: %v", l.Node.cmd.ProcessState)})
		return errors.Join(err, ErrEnded)
	}
	if err != nil {
		return err
	}
	l.Note("  memory: %d MiB at rest, at most %d MiB and %d descriptors during the attack", peak.rest>>20, peak.most>>20, peak.fds)
	if b.memory > 0 && peak.most > b.memory {
		l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("the node took %d MiB during the attack, %d MiB before; bounded by %d", peak.most>>20, peak.rest>>20, b.memory>>20)})
	}
	if b.descriptors > 0 && peak.fds > b.descriptors {
		l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("the node had %d descriptors during the attack; bounded by %d", peak.fds, b.descriptors)})
	}
	return l.progress(ctx, 30*time.Second, uint64(l.Options.Devices)) //nolint:gosec // a count
}

// slowed says where the group waited longer during an attack than it may.
func slowed(w wait, quiet, during figure, b bounds) (vs []Violation) {
	if during.count == 0 {
		return []Violation{{Promise: Slowed, Detail: fmt.Sprintf("%s: nothing was answered during the attack", w)}}
	}
	floor50, floor99 := b.of(w)
	for _, j := range []struct {
		name              string
		quiet, now, floor time.Duration
	}{{"p50", quiet.p50, during.p50, floor50}, {"p99", quiet.p99, during.p99, floor99}} {
		if bound := max(2*j.quiet, j.floor); j.now > bound {
			vs = append(vs, Violation{Promise: Slowed, Detail: fmt.Sprintf("%s %s %s ms at rest, %s ms during the attack, bounded by %s", w, j.name, millis(j.quiet), millis(j.now), millis(bound))})
		}
	}
	return vs
}

// measure is what the crew, and newcomers, wait for while act runs, and the most
// memory that the node holds meanwhile.
func (l *Life) measure(ctx context.Context, b bounds, act func(ctx context.Context) error) (f [numWaits]figure, p peak, err error) {
	m := l.Crew.cfg.meter
	m.restart()
	watching := watch(l.Node.PID())
	newcomers, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if !b.noNewcomers {
		wg.Go(func() { l.newcomers(newcomers, m) })
	}
	err = act(ctx)
	stop()
	wg.Wait()
	l.Crew.waiting()
	return m.figures(), watching.end(), err
}

// newcomers connects a device anew, again and again, and counts how long each
// took; one that is refused or cut tries again and has not arrived until it is
// welcomed.
func (l *Life) newcomers(ctx context.Context, m *meter) {
	rng := rand.New(rand.NewPCG(l.Options.Seed, 4)) //nolint:gosec // repeatable, not secret
	crew := &Crew{cfg: CrewConfig{Net: l.net, Token: l.token}}
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%snew%d", hostile, i%50)
		began := time.Now()
		for ctx.Err() == nil {
			if w, err := open(ctx, crew.dialFrom(&Device{name: name}), l.url+"?device="+name, rng, crew.token(name)); err == nil {
				_, err = w.next(handshakeLimit)
				w.cut()
				if err == nil {
					break
				}
			}
			_ = pause(ctx, 50*ms)
		}
		if ctx.Err() == nil || time.Since(began) > longWait {
			m.add(waitJoin, began)
		}
		_ = pause(ctx, 150*ms)
	}
}

// many is n hostile peers, times --scale.
func (l *Life) many(n int) int { return min(n*max(1, l.Options.Scale), maxPeers) }
