package eventloop_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/wsproto"
)

// Promise 7: who is quiet for a heartbeat is pinged, who stays quiet until the
// limit is evicted, each within a tick; one that says anything starts anew.
func TestSilence_PingedThenEvicted(t *testing.T) {
	const heartbeat, evicts = 25 * tick, 50 * tick
	type asked struct {
		idle    time.Duration
		at      time.Time
		evicted bool
	}
	asks := make(chan asked, 100)
	gone := make(chan *eventloop.Gone, 1)
	var limit atomic.Int64
	limit.Store(int64(patience)) // until it is to be evicted
	n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{
			receive:   c.WriteOnLoop,
			heartbeat: heartbeat,
			quiet: func(idle time.Duration) time.Duration {
				most := time.Duration(limit.Load())
				evicted := idle >= most
				asks <- asked{idle, time.Now(), evicted}
				if evicted {
					c.CloseOnLoop(wsproto.CloseSilent, fmt.Sprint("silent for ", idle))
					return 0
				}
				c.PingOnLoop()
				return min(heartbeat, most-idle)
			},
			closed: func(g *eventloop.Gone) { gone <- g },
		}
	}))
	// A tick early or late is by design. A busy machine adds to that, but not each time.
	const slack = tick + 20*tick
	late := time.Hour // the least of all times
	inTime := func(a asked, from, to time.Time, idle time.Duration) {
		t.Helper()
		if took := a.at.Sub(from); took < idle-3*tick || a.idle < idle {
			t.Errorf("asked after %s of silence, and told %s, want %s", took, a.idle, idle)
		}
		late = min(late, max(a.at.Sub(to), a.idle)-idle)
	}
	// silence begins with what do does; a question of an earlier one is none of it.
	silence := func(do func()) (from, to time.Time) {
		from = time.Now()
		do()
		return from, time.Now()
	}
	var d *dialogue
	next := func(t *testing.T, from time.Time) (a asked) {
		t.Helper()
		for {
			a = testkit.Receive(t, patience, "the next question", asks)
			if a.evicted {
				return a
			}
			d.want(ping(""))
			if a.at.Add(-a.idle).After(from.Add(-3 * tick)) {
				return a
			}
		}
	}

	from, to := silence(func() { d = n.open() })
	inTime(next(t, from), from, to, heartbeat)
	b := wire(text("x"))
	for _, sign := range []struct {
		name string
		give func()
	}{{"a pong", func() { d.send(pong("")) }}, {"a part of a frame", func() { d.raw(b[:3]) }}} {
		t.Run(sign.name+" is a sign of life", func(t *testing.T) {
			from, to := silence(sign.give)
			inTime(next(t, from), from, to, heartbeat)
		})
	}
	from, to = silence(func() {
		d.raw(b[3:])
		d.want(text("x"))
	})
	limit.Store(int64(evicts))
	a := next(t, from)
	if !a.evicted { // always, unless this machine stood still for long
		inTime(a, from, to, heartbeat)
	}
	for !a.evicted {
		a = next(t, from)
	}
	inTime(a, from, to, evicts)
	if late > slack {
		t.Errorf("each question came too late, by %s or more", late)
	}
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
	const limit = 60 * tick
	n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{receive: c.WriteOnLoop, heartbeat: limit, quiet: func(time.Duration) time.Duration {
			c.CloseOnLoop(wsproto.CloseSilent, "")
			return 0
		}}
	}))
	var lively, silent []*dialogue
	said := make([]time.Time, 20) // by the lively, last
	for i := range said {
		said[i] = time.Now()
		lively = append(lively, n.open())
		silent = append(silent, n.open())
	}
	talk := func() {
		for i, d := range lively {
			now := time.Now()
			d.patient()
			_, _ = d.conn.Write(wire(text("x"))) // whether it was evicted its answer says
			f := d.read()
			if f.head == 0x88 && time.Since(said[i]) > limit-3*tick { // it was silent: this machine is so busy
				now, lively[i] = time.Now(), n.open()
			} else if f.head != 0x81 {
				t.Fatalf("got %s, %s after it spoke", f, time.Since(said[i]))
			}
			said[i] = now
		}
	}
	testkit.Eventually(t, patience, "the silent to be evicted", func() bool {
		talk()
		return allClosing(silent)
	})
	talk()
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
