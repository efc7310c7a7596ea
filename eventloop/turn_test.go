package eventloop_test

import (
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// What is done in a few turns may be done before a socket is looked at: the
// bell-ringer comes when the loop has just gone on to its sockets, not much later.
const fewTurns = 4 * eventloop.TurnMost

// A crowd are many connections of one loop, with a probe beside them. While the
// loop is held, work for all of the crowd is left for it and the probe says
// something; done is how much of the work was done when the loop heard the probe.
type crowd struct {
	*node

	conns  []*eventloop.Conn
	probe  *dialogue
	probed *eventloop.Conn
	done   chan uint64
	woken  atomic.Uint64
	filled atomic.Bool
	fired  atomic.Uint64
	at     atomic.Uint64 // how many frames were written when the last one was woken
}

const crowdSize = 1500

// farOff is when timers are due, in ticks: a crowd may take its time to come.
const farOff = 30_000

func newCrowd(t *testing.T, work func(*crowd) uint64) *crowd {
	t.Helper()
	k := &crowd{done: make(chan uint64, 1)}
	conns := make(chan *eventloop.Conn, crowdSize+1)
	k.node = serve(t, eventloop.Config{Loops: 1, Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{
			receive: func(op eventloop.Kind, payload []byte) {
				k.done <- work(k)
				c.WriteOnLoop(op, payload)
			},
			woken: func() {
				if k.filled.Load() {
					k.at.Store(k.Stats().FramesOut)
				}
				k.woken.Add(1)
			},
			quiet: func(time.Duration) time.Duration { k.fired.Add(1); return time.Hour },

			heartbeat: farOff * tick,
		}
	}))
	k.probe = k.open()
	k.probed = <-conns
	for range crowdSize {
		k.bare()
		k.conns = append(k.conns, testkit.Receive(t, patience, "a connection", conns))
	}
	k.woken.Store(0)
	k.filled.Store(true)
	return k
}

// heldFor holds the loop while leave leaves work for it, and returns how much of
// that was done when the probe was heard.
func (k *crowd) heldFor(leave func()) uint64 {
	k.t.Helper()
	eventloop.OnLoop(k.conns[0], func() {
		leave()
		k.probe.send(text("hear me"))
		testkit.Eventually(k.t, patience, "the kernel to have it", func() bool { return eventloop.Unread(k.probed) })
	})
	return testkit.Receive(k.t, patience, "the probe to be heard", k.done)
}

// A loop that has to wake or write to very many looks at its sockets after each
// slice of them, and does the rest later.
func TestTurn_SocketsInBetween(t *testing.T) {
	t.Run("wakes", func(t *testing.T) {
		k := newCrowd(t, func(k *crowd) uint64 { return k.woken.Load() })
		n := k.heldFor(func() {
			for _, c := range k.conns {
				c.Wake()
			}
		})
		if n > fewTurns {
			t.Errorf("%d of %d were woken before a socket was looked at", n, crowdSize)
		}
		testkit.Eventually(t, patience, "all to be woken", func() bool { return k.woken.Load() == crowdSize })
	})
	t.Run("a broadcast", func(t *testing.T) {
		k := newCrowd(t, func(k *crowd) uint64 { return k.Stats().FramesOut })
		message := []byte("to all")
		n := k.heldFor(func() {
			for _, c := range k.conns {
				if err := c.Send(eventloop.Text, message); err != nil {
					t.Error(err)
				}
			}
		})
		if n > fewTurns {
			t.Errorf("%d of %d frames were written before a socket was looked at", n, crowdSize)
		}
		testkit.Eventually(t, patience, "all to be written", func() bool { return k.Stats().FramesOut == crowdSize })
	})
	t.Run("timers", func(t *testing.T) {
		k := newCrowd(t, func(k *crowd) uint64 { return k.fired.Load() })
		n := k.heldFor(func() { eventloop.SkipTicks(k.conns[0], farOff+farOff/8) })
		if n > fewTurns {
			t.Errorf("%d of %d timers fired before a socket was looked at", n, crowdSize)
		}
		testkit.Eventually(t, patience, "all to be asked", func() bool { return k.fired.Load() >= crowdSize })
	})
}

// An ack does not wait behind a broadcast: wakes have a queue of their own.
func TestTurn_WakesDoNotWaitForMails(t *testing.T) {
	k := newCrowd(t, func(*crowd) uint64 { return 0 })
	message := []byte("to all")
	k.heldFor(func() {
		for _, c := range k.conns {
			if err := c.Send(eventloop.Text, message); err != nil {
				t.Error(err)
			}
		}
		k.conns[0].Wake()
	})
	testkit.Eventually(t, patience, "the wake", func() bool { return k.woken.Load() == 1 })
	if n := k.at.Load(); n > fewTurns {
		t.Errorf("%d of %d frames were written before the wake", n, crowdSize)
	}
}
