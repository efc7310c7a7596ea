package scenarios

import (
	"context"
	"syscall"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// actStop freezes the node, once for so long that its devices give it up.
func actStop(ctx context.Context, l *life.Life) error {
	for i := range l.Options.Rounds {
		frozen := l.UpTo(3 * time.Second)
		if i == 0 {
			frozen = 17 * time.Second
		}
		l.Journal.Inject("SIGSTOP for %s", frozen.Round(time.Millisecond))
		l.Node.Signal(syscall.SIGSTOP)
		if err := pause.For(ctx, frozen); err != nil {
			return err
		}
		l.Node.Signal(syscall.SIGCONT)
		l.Result.Faults++
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// actStorm cuts all devices at once, again and again, at times in mid-handshake.
func actStorm(ctx context.Context, l *life.Life) error {
	worst := time.Duration(0)
	for range l.Options.Rounds {
		l.Journal.Inject("all devices are cut")
		began := time.Now()
		for range 1 + l.Rng.IntN(4) {
			l.Crew.CutAll()
			if err := pause.For(ctx, l.UpTo(300*time.Millisecond)); err != nil {
				return err
			}
		}
		l.Result.Faults++
		if err := l.Recover(ctx); err != nil {
			return err
		}
		worst = max(worst, time.Since(began))
		if err := l.Load(ctx); err != nil {
			return err
		}
	}
	l.Note("after the worst storm all %d devices were back and had progressed after %.1f s", l.Options.Devices, worst.Seconds())
	return nil
}

// actFlap lets some devices never stay for long.
func actFlap(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		for range 20 {
			l.Crew.CutSome(0.2, l.Rng)
			if err := pause.For(ctx, l.UpTo(100*time.Millisecond)); err != nil {
				return err
			}
			l.Result.Faults++
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// actTakeover has all devices connect again while their old sockets are open, and
// asks the node each time who is there.
func actTakeover(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		l.Journal.Inject("all devices connect a second time")
		l.Crew.TakeOver()
		l.Result.Faults++
		if err := l.Load(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
		listed, err := l.Node.Devices(ctx)
		if err != nil {
			return err
		}
		for _, v := range history.ComparePresence(listed, l.Crew.Records(), true) {
			if v.Promise == history.TwoLives && v.Detail == "is listed twice" {
				l.Journal.Break(v)
			}
		}
	}
	return nil
}

// actDrain ends the node in good order under load, and starts it again.
func actDrain(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Journal.Inject("SIGTERM")
		l.End(l.Node)
		l.Result.Faults++
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}
