package eventloop_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/wsproto"
)

// Promise 7: who is quiet for a heartbeat is pinged, who stays quiet until the
// limit is evicted, each within a tick; one that says anything starts anew.
func TestSilence_PingedThenEvicted(t *testing.T) {
	const heartbeat, limit = 25 * tick, 50 * tick
	type asked struct {
		idle time.Duration
		at   time.Time
	}
	asks := make(chan asked, 100)
	gone := make(chan *eventloop.Gone, 1)
	n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{
			receive:   c.WriteOnLoop,
			heartbeat: heartbeat,
			quiet: func(idle time.Duration) time.Duration {
				asks <- asked{idle, time.Now()}
				if idle >= limit {
					c.CloseOnLoop(wsproto.CloseSilent, fmt.Sprint("silent for ", idle))
					return 0
				}
				c.PingOnLoop()
				return limit - idle
			},
			closed: func(g *eventloop.Gone) { gone <- g },
		}
	}))
	// A tick early or late is by design; a busy machine adds to that.
	const slack = tick + 20*tick
	inTime := func(a asked, since time.Time, idle time.Duration) {
		t.Helper()
		if took := a.at.Sub(since); took < idle-3*tick || took > idle+slack {
			t.Errorf("asked after %s of silence, want %s", took, idle)
		}
		if a.idle < idle || a.idle > idle+slack {
			t.Errorf("told that it was idle for %s, want %s", a.idle, idle)
		}
	}

	d := n.open()
	began := time.Now()
	inTime(testkit.Receive(t, patience, "the first question", asks), began, heartbeat)
	d.want(ping(""))
	t.Run("a pong is a sign of life", func(t *testing.T) {
		d.send(pong(""))
		answered := time.Now()
		inTime(testkit.Receive(t, patience, "the next question", asks), answered, heartbeat)
		d.want(ping(""))
	})
	t.Run("a part of a frame is a sign of life", func(t *testing.T) {
		b := wire(text("x"))
		d.raw(b[:3])
		said := time.Now()
		inTime(testkit.Receive(t, patience, "the next question", asks), said, heartbeat)
		d.want(ping(""))
		d.raw(b[3:])
		d.want(text("x"))
	})
	last := time.Now()
	a := testkit.Receive(t, patience, "the next question", asks)
	if a.idle < limit { // always, unless this machine stood still for long
		inTime(a, last, heartbeat)
		a = testkit.Receive(t, patience, "the eviction", asks)
		d.want(ping(""))
	}
	inTime(a, last, limit)
	if f, want := d.read(), closing(4408, "silent for "); f.head != want.head || !bytes.HasPrefix(f.payload, want.payload) {
		t.Errorf("got %s, want %s", f, want)
	}
	d.send(closing(4408, ""))
	d.wantEnd()
	wantGone(t, gone, eventloop.CauseClosed, wsproto.CloseSilent)
}

// Many connections, each with its own rhythm: nobody is evicted who is not
// silent, everybody who is, is.
func TestSilence_OnlyTheSilent(t *testing.T) {
	n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{receive: c.WriteOnLoop, heartbeat: 60 * tick, quiet: func(time.Duration) time.Duration {
			c.CloseOnLoop(wsproto.CloseSilent, "")
			return 0
		}}
	}))
	var lively, silent []*dialogue
	for range 20 {
		lively = append(lively, n.open())
		silent = append(silent, n.open())
	}
	talk := time.NewTicker(2 * tick)
	defer talk.Stop()
	testkit.Eventually(t, patience, "the silent to be evicted", func() bool {
		for _, d := range lively {
			d.send(text("x"))
			d.want(text("x"))
		}
		return n.Stats().Open <= int64(len(lively)+len(silent)) && allClosing(silent)
	})
	for _, d := range lively {
		d.send(text("x"))
		d.want(text("x"))
	}
}

// allClosing says whether each has a Close frame to read.
func allClosing(ds []*dialogue) bool {
	for _, d := range ds {
		if d.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
			return false
		}
		if b, err := d.r.Peek(2); err != nil || b[0] != 0x88 {
			return false
		}
	}
	return true
}

// A connection's place on the wheel is given back.
func TestSilence_WheelIsEmptied(t *testing.T) {
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		select {
		case conns <- c:
		default:
		}
		return &ears{}
	}))
	n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	for round := range 3 {
		var ds []*dialogue
		for range 30 {
			ds = append(ds, n.open())
		}
		for _, d := range ds {
			d.conn.Close()
		}
		n.gone(eventloop.CausePeerGone, uint64(30*(round+1)))
		if got := eventloop.WheelLen(c); got != 1 {
			t.Fatalf("%d timers for one connection", got)
		}
	}
}

// A loop that stood still (a stopped process, a paused machine) does not take
// that time for silence of its devices: nobody could be heard.
func TestSilence_ClockStandsStillWithTheLoop(t *testing.T) {
	const heartbeat, stall = 20 * tick, 100 * tick
	conns := make(chan *eventloop.Conn, 1)
	idles := make(chan time.Duration, 100)
	n := serve(t, eventloop.Config{Loops: 1, Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{heartbeat: heartbeat, quiet: func(idle time.Duration) time.Duration {
			idles <- idle
			return time.Hour
		}}
	}))
	n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	over := time.NewTimer(stall)
	defer over.Stop()
	eventloop.OnLoop(c, func() { <-over.C })
	if idle := testkit.Receive(t, patience, "the question", idles); idle >= stall {
		t.Errorf("silent for %s, of which the loop itself stood still for %s", idle, stall)
	}
}
