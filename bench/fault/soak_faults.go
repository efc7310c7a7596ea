package fault

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// soakFault is one way in which a soak hurts a node.
type soakFault struct {
	name string
	dead bool // it leaves the node dead
	act  func(ctx context.Context, l *Life) error
}

// survivable are faults that a process must live through.
func survivable() []soakFault {
	return []soakFault{
		{"SIGSTOP, up to 3 s", false, freeze(0, 3*time.Second)},
		{"SIGSTOP, 17 s", false, freeze(17*time.Second, 0)},
		{"storm of all devices", false, func(ctx context.Context, l *Life) error {
			for range 1 + l.Rng.IntN(4) {
				l.Crew.CutAll()
				if err := pause(ctx, l.upTo(300*ms)); err != nil {
					return err
				}
			}
			l.Result.Faults++
			return nil
		}},
		{"flapping", false, func(ctx context.Context, l *Life) error {
			for range 20 {
				l.Crew.CutSome(0.2, l.Rng)
				if err := pause(ctx, l.upTo(100*ms)); err != nil {
					return err
				}
			}
			l.Result.Faults++
			return nil
		}},
		{"takeover of all devices", false, func(_ context.Context, l *Life) error {
			l.Crew.TakeOver()
			l.Result.Faults++
			return nil
		}},
		{"flood", false, actFlood},
		{"slowloris", false, actSlowloris},
		{"descriptor exhaustion", false, actDescriptors},
		{"slow readers", false, actSlow},
	}
}

// roomForTwice lets the node have its own descriptors, by its defaults 768, and two
// for each device, for takeovers of all; 1500 idle peers want more than that.
func roomForTwice(_ context.Context, l *Life) error {
	limit := 768 + 2*l.Options.Devices + 64
	l.Node.Wrap = []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", limit, limit)}
	return nil
}

// freeze stops the node for at least as long as least, and up to more above it.
func freeze(least, more time.Duration) func(ctx context.Context, l *Life) error {
	return func(ctx context.Context, l *Life) error {
		l.Node.Signal(syscall.SIGSTOP)
		defer l.Node.Signal(syscall.SIGCONT)
		l.Result.Faults++
		return pause(ctx, least+l.upTo(more))
	}
}

// deadly are the moments at which a node is killed, and a log whose end is torn.
func deadly() (all []soakFault) {
	for _, m := range killMoments()[3:] { // each once
		all = append(all, soakFault{"kill -9 " + m.name, true, m.hit})
	}
	return append(all, soakFault{"kill -9 and a torn end of the log", true, func(ctx context.Context, l *Life) error {
		if err := l.load(ctx); err != nil {
			return err
		}
		l.Kill("to tear the log's tail")
		path, err := newestBlock(l.Node.Dir)
		if err != nil {
			return err
		}
		what, err := l.tear(path)
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
func (s *soak) guests(ctx context.Context, l *Life) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	heartbeats := masked(ws.NewTextFrame([]byte(`{"type":"heartbeat"}`)))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		l.rabble(ctx, silentGuests+slowGuests, func(ctx context.Context, i int) error {
			for pause(ctx, time.Second) == nil {
				c, err := l.hostileDevice(ctx, firstGuest+i)
				if err != nil {
					continue // refused while others take all descriptors
				}
				leave := context.AfterFunc(ctx, func() { c.Close() })
				if i < silentGuests {
					_ = c.SetReadDeadline(time.Now().Add(silenceLimit))
					if _, err := io.Copy(io.Discard, c); timedOut(err) && ctx.Err() == nil {
						l.Journal.Break(Violation{Promise: Stuck, Detail: fmt.Sprintf("a device that has been silent for %s is still connected, idle timeout 15 s", silenceLimit)})
					}
				} else {
					for piece := make([]byte, 256); err == nil && pause(ctx, time.Second) == nil; {
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
