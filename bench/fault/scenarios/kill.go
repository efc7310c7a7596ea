package scenarios

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// KillMoment is a moment at which a node is killed.
type KillMoment struct {
	Name string
	Hit  func(ctx context.Context, l *life.Life) error // leaves the node dead
}

// KillMoments are weighted by how often they stand here.
func KillMoments() []KillMoment {
	random := KillMoment{"under load", killUnderLoad}
	return []KillMoment{
		random, random, random, random,
		{"at start-up", killAtStart},
		{"in the drain", killInDrain},
		{"in a takeover", killInTakeover},
		{"as devices come back", killInStorm},
	}
}

func killUnderLoad(ctx context.Context, l *life.Life) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	l.Kill("under load")
	return nil
}

// killAtStart kills the next start too, while it recovers the log.
func killAtStart(ctx context.Context, l *life.Life) error {
	if err := killUnderLoad(ctx, l); err != nil {
		return err
	}
	for range 1 + l.Rng.IntN(3) {
		if err := l.Node.Start(); err != nil {
			return err
		}
		after := l.UpTo(400 * time.Millisecond)
		if err := pause.For(ctx, after); err != nil {
			return err
		}
		if !l.Node.Alive() {
			l.Journal.Break(history.Violation{Promise: history.Died, Detail: "ended by itself at start-up: " + l.Node.LogTail(500)})
		}
		l.Kill(fmt.Sprintf("%s after start", after.Round(time.Millisecond)))
	}
	return nil
}

func killInDrain(ctx context.Context, l *life.Life) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	l.Journal.Inject("SIGTERM")
	l.Node.Signal(syscall.SIGTERM)
	if err := pause.For(ctx, l.UpTo(1500*time.Millisecond)); err != nil {
		return err
	}
	l.Kill("in the drain")
	return nil
}

func killInTakeover(ctx context.Context, l *life.Life) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	l.Journal.Inject("all devices connect a second time")
	l.Crew.TakeOver()
	if err := pause.For(ctx, l.UpTo(300*time.Millisecond)); err != nil {
		return err
	}
	l.Kill("in the takeover")
	return nil
}

// killInStorm kills as the first devices are welcomed again.
func killInStorm(ctx context.Context, l *life.Life) error {
	l.Journal.Inject("all devices are cut")
	l.Crew.CutAll()
	if err := pause.For(ctx, l.UpTo(200*time.Millisecond)); err != nil {
		return err
	}
	l.Kill("as devices come back")
	return nil
}

// actKill kills and starts the node, round after round.
func actKill(ctx context.Context, l *life.Life) error {
	moments := KillMoments()
	for range l.Options.Rounds {
		m := moments[l.Rng.IntN(len(moments))]
		if err := m.Hit(ctx, l); err != nil {
			return err
		}
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Progress(ctx, 60*time.Second, 1000); err != nil {
			return err
		}
	}
	return l.Rebase()
}
