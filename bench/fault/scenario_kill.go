package fault

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// killMoment is a moment at which a node is killed.
type killMoment struct {
	name string
	hit  func(ctx context.Context, l *Life) error // leaves the node dead
}

// killMoments are weighted by how often they stand here.
func killMoments() []killMoment {
	random := killMoment{"under load", killUnderLoad}
	return []killMoment{
		random, random, random, random,
		{"at start-up", killAtStart},
		{"in the drain", killInDrain},
		{"in a takeover", killInTakeover},
		{"as devices come back", killInStorm},
	}
}

func killUnderLoad(ctx context.Context, l *Life) error {
	if err := l.load(ctx); err != nil {
		return err
	}
	l.Kill("under load")
	return nil
}

// killAtStart kills the next start too, while it recovers the log.
func killAtStart(ctx context.Context, l *Life) error {
	if err := killUnderLoad(ctx, l); err != nil {
		return err
	}
	for range 1 + l.Rng.IntN(3) {
		if err := l.Node.Start(); err != nil {
			return err
		}
		after := l.upTo(400 * time.Millisecond)
		if err := pause(ctx, after); err != nil {
			return err
		}
		if !l.Node.Alive() {
			l.Journal.Break(Violation{Promise: Died, Detail: "ended by itself at start-up: " + l.Node.LogTail(500)})
		}
		l.Kill(fmt.Sprintf("%s after start", after.Round(time.Millisecond)))
	}
	return nil
}

func killInDrain(ctx context.Context, l *Life) error {
	if err := l.load(ctx); err != nil {
		return err
	}
	l.Journal.Inject("SIGTERM")
	l.Node.Signal(syscall.SIGTERM)
	if err := pause(ctx, l.upTo(1500*time.Millisecond)); err != nil {
		return err
	}
	l.Kill("in the drain")
	return nil
}

func killInTakeover(ctx context.Context, l *Life) error {
	if err := l.load(ctx); err != nil {
		return err
	}
	l.Journal.Inject("all devices connect a second time")
	l.Crew.TakeOver()
	if err := pause(ctx, l.upTo(300*time.Millisecond)); err != nil {
		return err
	}
	l.Kill("in the takeover")
	return nil
}

// killInStorm kills as the first devices are welcomed again.
func killInStorm(ctx context.Context, l *Life) error {
	l.Journal.Inject("all devices are cut")
	l.Crew.CutAll()
	if err := pause(ctx, l.upTo(200*time.Millisecond)); err != nil {
		return err
	}
	l.Kill("as devices come back")
	return nil
}

// actKill kills and starts the node, round after round.
func actKill(ctx context.Context, l *Life) error {
	moments := killMoments()
	for range l.Options.Rounds {
		m := moments[l.Rng.IntN(len(moments))]
		if err := m.hit(ctx, l); err != nil {
			return err
		}
		if err := l.boot(ctx); err != nil {
			return err
		}
		if err := l.progress(ctx, 60*time.Second, 1000); err != nil {
			return err
		}
	}
	return l.rebase()
}
