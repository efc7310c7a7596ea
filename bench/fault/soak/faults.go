package soak

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/scenarios"
	"edgeloop/internal/pause"
)

// soakFault is one way in which a soak hurts a node.
type soakFault struct {
	name string
	dead bool // it leaves the node dead
	act  func(ctx context.Context, l *life.Life) error
}

// survivable are faults that a process must live through.
func survivable() []soakFault {
	return []soakFault{
		{"SIGSTOP, up to 3 s", false, freeze(0, 3*time.Second)},
		{"SIGSTOP, 17 s", false, freeze(17*time.Second, 0)},
		{"storm of all devices", false, func(ctx context.Context, l *life.Life) error {
			for range 1 + l.Rng.IntN(4) {
				l.Crew.CutAll()
				if err := pause.For(ctx, l.UpTo(300*time.Millisecond)); err != nil {
					return err
				}
			}
			l.Result.Faults++
			return nil
		}},
		{"flapping", false, func(ctx context.Context, l *life.Life) error {
			for range 20 {
				l.Crew.CutSome(0.2, l.Rng)
				if err := pause.For(ctx, l.UpTo(100*time.Millisecond)); err != nil {
					return err
				}
			}
			l.Result.Faults++
			return nil
		}},
		{"takeover of all devices", false, func(_ context.Context, l *life.Life) error {
			l.Crew.TakeOver()
			l.Result.Faults++
			return nil
		}},
		{"flood", false, scenarios.ActFlood},
		{"slowloris", false, scenarios.ActSlowloris},
		{"descriptor exhaustion", false, scenarios.ActDescriptors},
		{"slow readers", false, scenarios.ActSlow},
	}
}

// roomForTwice lets the node have its own descriptors, by its defaults 768, and two
// for each device, for takeovers of all; 1500 idle peers want more than that.
func roomForTwice(_ context.Context, l *life.Life) error {
	limit := 768 + 2*l.Options.Devices + 64
	l.Node.Wrap = []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", limit, limit)}
	return nil
}

// freeze stops the node for at least as long as least, and up to more above it.
func freeze(least, more time.Duration) func(ctx context.Context, l *life.Life) error {
	return func(ctx context.Context, l *life.Life) error {
		l.Node.Signal(syscall.SIGSTOP)
		defer l.Node.Signal(syscall.SIGCONT)
		l.Result.Faults++
		return pause.For(ctx, least+l.UpTo(more))
	}
}

// deadly are the moments at which a node is killed, and a log whose end is torn.
func deadly() (all []soakFault) {
	for _, m := range scenarios.KillMoments()[3:] { // each once
		all = append(all, soakFault{"kill -9 " + m.Name, true, m.Hit})
	}
	return append(all, soakFault{"kill -9 and a torn end of the log", true, func(ctx context.Context, l *life.Life) error {
		if err := l.Load(ctx); err != nil {
			return err
		}
		l.Kill("to tear the log's tail")
		path, err := scenarios.NewestBlock(l.Node.Dir)
		if err != nil {
			return err
		}
		what, err := scenarios.Tear(l, path)
		l.Journal.Inject("torn: %s", what)
		l.Result.Faults++
		return err
	}})
}

// Guests that are always there beside the crew.
const (
	silentGuests = 5
	slowGuests   = 3
	firstGuest   = 9000 // their names must not be those of a scene
)

// silenceLimit is how long a silent guest may stay: the idle timeout of 15 s, a
// SIGSTOP of 17 s, and room for a busy machine.
const silenceLimit = time.Minute

// guests keeps a few badly behaved devices at the node: some vanish, which is to say
// that they never speak again and answer no ping, and some ask for more than they
// read. It returns what ends them.
func (s *soak) guests(ctx context.Context, l *life.Life) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	heartbeats := scenarios.Masked(ws.NewTextFrame([]byte(`{"type":"heartbeat"}`)))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		scenarios.Rabble(ctx, l, silentGuests+slowGuests, func(ctx context.Context, i int) error {
			for pause.For(ctx, time.Second) == nil {
				c, err := scenarios.HostileDevice(ctx, l, firstGuest+i)
				if err != nil {
					continue // refused while others take all descriptors
				}
				leave := context.AfterFunc(ctx, func() { c.Close() })
				if i < silentGuests {
					_ = c.SetReadDeadline(time.Now().Add(silenceLimit))
					if _, err := io.Copy(io.Discard, c); crew.TimedOut(err) && ctx.Err() == nil {
						l.Journal.Break(history.Violation{Promise: history.Stuck, Detail: fmt.Sprintf("a device that has been silent for %s is still connected, idle timeout 15 s", silenceLimit)})
					}
				} else {
					for piece := make([]byte, 256); err == nil && pause.For(ctx, time.Second) == nil; {
						_ = c.SetDeadline(time.Now().Add(silenceLimit))
						if _, err = c.Write(heartbeats); err == nil {
							_, err = c.Read(piece)
						}
					}
				}
				leave()
				c.Close()
			}
			return nil
		})
	}()
	return func() {
		cancel()
		wg.Wait()
	}
}
