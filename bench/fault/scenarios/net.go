package scenarios

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/internal/pause"
)

// setupWeather puts the node and the devices on two sides of a link.
func setupWeather(_ context.Context, l *life.Life) error {
	w, err := faults.NewWeather(fmt.Sprintf("ef%d", os.Getpid()))
	if err != nil {
		return err
	}
	l.Defer(w.Close)
	l.Defer(l.Node.Kill)
	l.Weather, l.Net = w, w.B
	_, port, err := net.SplitHostPort(l.Node.Listen)
	if err != nil {
		return err
	}
	l.Node.Listen = net.JoinHostPort(w.AddrA, port)
	l.Node.Net = w.A
	l.Node.Wrap = l.Node.Inside()
	return nil
}

// actWeather loses, delays and reorders packets, and at times all of them.
func actWeather(ctx context.Context, l *life.Life) error {
	kinds := []struct {
		name  string
		loss  int
		delay time.Duration
	}{
		{"5 % loss", 50, 0},
		{"20 ms, reordered", 0, 10 * time.Millisecond},
		{"2 % loss, 10 ms", 20, 5 * time.Millisecond},
		{"20 % loss", 200, 0},
		{"a partition", 1000, 0},
	}
	for i := range l.Options.Rounds {
		k := kinds[i%len(kinds)]
		l.Journal.Inject("weather: %s", k.name)
		l.Weather.Set(k.loss, k.delay)
		l.Result.Faults++
		if err := pause.For(ctx, time.Second+l.UpTo(5*time.Second)); err != nil {
			return err
		}
		l.Weather.Set(0, 0)
		l.Journal.Inject("fair weather")
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// actVanish has all devices vanish without a word: their sockets at the node are
// half open. The node, started with --idle-timeout=3s, must notice; and devices
// that come back sooner must not be locked out by their old sockets.
func actVanish(ctx context.Context, l *life.Life) error {
	for i := range l.Options.Rounds {
		l.Journal.Inject("all devices vanish")
		l.Weather.Set(1000, 0)
		l.Crew.Park(true) // what they say in parting is lost
		l.Result.Faults++
		if i%2 == 0 {
			began := time.Now()
			gone := func() bool {
				listed, err := l.Node.Devices(ctx)
				return err == nil && len(history.ComparePresence(listed, l.Crew.Records(), false)) == 0
			}
			if err := l.Await(ctx, 10*time.Second, "the node to notice, idle timeout 3 s", gone); err != nil {
				return err
			}
			l.Note("all vanished devices were noticed after %.1f s, idle timeout 3 s", time.Since(began).Seconds())
		} else if err := pause.For(ctx, l.UpTo(time.Second)); err != nil {
			return err
		}
		l.Weather.Set(0, 0)
		l.Crew.Park(false)
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return nil
}
