package eventloop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/wsproto"
)

// reporting admits everyone, echoes, and hands the test each connection and how
// it ended.
func reporting() (acceptFunc, chan *eventloop.Conn, chan *eventloop.Gone) {
	conns, gone := make(chan *eventloop.Conn, 1024), make(chan *eventloop.Gone, 1024)
	return admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{receive: c.WriteOnLoop, closed: func(g *eventloop.Gone) { gone <- g }}
	}), conns, gone
}

func wantGone(t *testing.T, gone chan *eventloop.Gone, cause eventloop.Cause, code wsproto.CloseCode) {
	t.Helper()
	g := testkit.Receive(t, patience, "Closed", gone)
	if g.Cause != cause || g.Code != code {
		t.Errorf("ended with %s and code %d, want %s and %d", g.Cause, g.Code, cause, code)
	}
}

func TestClose_ByThePeer(t *testing.T) {
	accept, _, gone := reporting()
	n := serve(t, eventloop.Config{Tick: tick}, accept)
	t.Run("its code comes back", func(t *testing.T) { // [RFC6455 5.5.1]
		d := n.open()
		d.send(text("last words"), closing(3456, "because"))
		d.want(text("last words"))
		d.wantClosed(3456)
		wantGone(t, gone, eventloop.CausePeerClosed, 3456)
	})
	t.Run("without a code there is none in the answer", func(t *testing.T) {
		d := n.open()
		d.send(frame{0x88, nil})
		d.want(frame{0x88, nil})
		d.wantEnd()
		wantGone(t, gone, eventloop.CausePeerClosed, wsproto.CloseNoStatus)
	})
	t.Run("nothing that follows it is taken", func(t *testing.T) {
		d := n.open()
		d.send(closing(1000, ""), text("too late"))
		got := d.read()
		if got.head != 0x88 {
			t.Errorf("got %s, want the close alone", got)
		}
		d.wantGone()
		wantGone(t, gone, eventloop.CausePeerClosed, 1000)
	})
	t.Run("without a Close frame", func(t *testing.T) {
		n.open().conn.Close()
		wantGone(t, gone, eventloop.CausePeerGone, wsproto.CloseAbnormal)
	})
	t.Run("by a reset", func(t *testing.T) {
		n.open().reset()
		wantGone(t, gone, eventloop.CausePeerGone, wsproto.CloseAbnormal)
	})
	t.Run("by half: what it asked for before still arrives", func(t *testing.T) {
		d := n.open()
		d.send(text("a"), text("b"))
		if err := d.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		d.want(text("a"), text("b"))
		d.wantEnd()
		wantGone(t, gone, eventloop.CausePeerGone, wsproto.CloseAbnormal)
	})
}

// The peer asks for more than its socket holds, says goodbye, and only then
// begins to read. It gets everything, the Close frame included.
func TestClose_ByAPeerThatHasNotReadYet(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Tick: tick, OutBuffer: 64 << 20, CloseTimeout: patience, MaxMessage: 1 << 20}, accept)
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	msg := bin(numbered(1, 1<<20))
	sent := 0
	for ; sent < 40 && eventloop.Waiting(c) == 0; sent++ {
		d.send(msg)
		testkit.Eventually(t, patience, "the message to be taken in", func() bool { return n.Stats().MessagesIn > uint64(sent) })
	}
	if eventloop.Waiting(c) == 0 {
		t.Skip("the sockets of this machine hold 40 MiB")
	}
	d.send(closing(1000, "bye"))
	for range sent {
		d.want(msg)
	}
	d.wantClosed(1000)
	wantGone(t, gone, eventloop.CausePeerClosed, 1000)
}

func TestClose_ByThisSide(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Tick: tick}, accept)
	t.Run("answered", func(t *testing.T) { // [RFC6455 7.1.2]
		d := n.open()
		c := testkit.Receive(t, patience, "the connection", conns)
		if err := send(c, text("before")); err != nil {
			t.Fatal(err)
		}
		c.Close(4409, "replaced")
		c.Close(1000, "again: nothing happens")
		if err := send(c, text("after")); !errors.Is(err, eventloop.ErrClosed) {
			t.Errorf("Send after Close: %v, want ErrClosed", err)
		}
		d.want(text("before"), closing(4409, "replaced"))
		d.send(text("on its way, not taken"), closing(4409, ""))
		d.wantEnd()
		wantGone(t, gone, eventloop.CauseClosed, 4409)
	})
	t.Run("at the same time as the peer", func(t *testing.T) {
		d := n.open()
		c := testkit.Receive(t, patience, "the connection", conns)
		eventloop.OnLoop(c, func() {
			d.send(closing(1000, ""))
			c.CloseOnLoop(1001, "retry=5")
		})
		d.want(closing(1001, "retry=5"))
		d.wantEnd()
		wantGone(t, gone, eventloop.CauseClosed, 1001)
	})
	t.Run("many times: one mail", func(t *testing.T) {
		d := n.open()
		c := testkit.Receive(t, patience, "the connection", conns)
		eventloop.OnLoop(c, func() {
			for range 1000 {
				c.Close(1001, "")
				c.Wake()
			}
			if got := eventloop.MailPosted(c); got != 1 {
				t.Errorf("%d mails wait, want 1", got)
			}
		})
		d.wantClosedThenAnswer(1001)
		wantGone(t, gone, eventloop.CauseClosed, 1001)
	})
}

// wantClosedThenAnswer reads a Close frame and answers it.
func (d *dialogue) wantClosedThenAnswer(code uint16) {
	d.t.Helper()
	d.want(closing(code, ""))
	d.send(closing(code, ""))
	d.wantEnd()
}

// A peer that does not answer is waited for, but not for ever.
func TestClose_Timeout(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Tick: tick, CloseTimeout: 5 * tick, GoingAwayTimeout: 15 * tick}, accept)
	for code, timeout := range map[wsproto.CloseCode]time.Duration{
		wsproto.ClosePolicy:    5 * tick,
		wsproto.CloseGoingAway: 15 * tick, // sent to all at once, so it takes longer
	} {
		d := n.open()
		c := testkit.Receive(t, patience, "the connection", conns)
		began := time.Now()
		c.Close(code, "")
		d.want(closing(uint16(code), ""))
		d.send(text("I have not heard you")) // does not prolong it
		d.wantGone()
		// A tick that comes late counts for two at the most (maxStep), one of them from before.
		if took := time.Since(began); took < timeout-2*tick {
			t.Errorf("%d: hung up after %s, the timeout is %s", code, took, timeout)
		}
		wantGone(t, gone, eventloop.CauseClosed, code)
	}
}

// A Receiver may close from wherever it is called. What the peer sent behind
// the message, its own Close frame included, is still understood: the end comes
// at once and not after the time to close.
func TestClose_FromAReceiver(t *testing.T) {
	gone := make(chan *eventloop.Gone, 1)
	var place atomic.Value
	n := serve(t, eventloop.Config{Tick: tick, CloseTimeout: time.Hour}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		at := func(s string) {
			if place.Load() == s {
				c.CloseOnLoop(4400, s)
			}
		}
		return &ears{
			receive: func(eventloop.Kind, []byte) { at("receive") },
			flush:   func() { at("flush") },
			woken:   func() { at("woken") },
			quiet:   func(time.Duration) time.Duration { at("quiet"); return tick },
			closed:  func(g *eventloop.Gone) { c.CloseOnLoop(1000, "once more"); gone <- g },
		}
	}))
	for _, where := range []string{"receive", "flush", "woken", "quiet"} {
		t.Run(where, func(t *testing.T) {
			place.Store(where)
			d := n.dial()
			d.raw([]byte(request))
			d.wantSwitch()
			if where == "receive" || where == "flush" {
				d.send(text("a"), text("b"), closing(1000, ""))
			}
			d.want(closing(4400, where))
			if where == "woken" || where == "quiet" {
				d.send(closing(1000, ""))
			}
			d.wantEnd()
			wantGone(t, gone, eventloop.CauseClosed, 4400)
		})
	}
}

// A connection that is paused, with bytes kept, can be closed: the whole messages
// among what was kept are handed on, and the peer's answer is found behind them.
func TestClose_WhilePaused(t *testing.T) {
	conns, gone := make(chan *eventloop.Conn, 1), make(chan *eventloop.Gone, 1)
	var received atomic.Int32
	n := serve(t, eventloop.Config{Tick: tick, CloseTimeout: time.Hour}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{
			receive: func(eventloop.Kind, []byte) { received.Add(1); c.PauseOnLoop() },
			closed:  func(g *eventloop.Gone) { gone <- g },
		}
	}))
	for name, peer := range map[string]func(d *dialogue){
		"the answer follows":       func(d *dialogue) { d.send(closing(1001, "")) },
		"the answer lies cut":      func(d *dialogue) { b := wire(closing(1001, "")); d.raw(b[:3]); d.raw(b[3:]) },
		"more messages come first": func(d *dialogue) { d.send(bin(make([]byte, 50_000)), closing(1001, "")) },
	} {
		t.Run(name, func(t *testing.T) {
			received.Store(0)
			d := n.open()
			c := testkit.Receive(t, patience, "the connection", conns)
			half := wire(bin(bytes.Repeat([]byte("z"), 1000)))
			d.raw(append(wire(text("a"), text("b")), half[:500]...))
			testkit.Eventually(t, patience, "the rest to be kept", func() bool { return eventloop.Held(c) > 500 })
			c.Close(4400, "enough")
			d.want(closing(4400, "enough"))
			d.raw(half[500:])
			peer(d)
			d.wantEnd()
			wantGone(t, gone, eventloop.CauseClosed, 4400)
			if got := received.Load(); got != 2 {
				t.Errorf("%d messages were received, want 2: one that was kept, and none that was whole only after Close", got)
			}
			if st := n.Stats(); st.Paused != 0 {
				t.Errorf("%d are paused", st.Paused)
			}
		})
	}
}

// TestClosed_HandsOnWhatWasKept: a peer resets the connection while reading from it
// is paused. What had been received is handed on before the end is told, up to the
// first message for which there is no memory.
func TestClosed_HandsOnWhatWasKept(t *testing.T) {
	for name, tc := range map[string]struct {
		shedAt string
		cause  eventloop.Cause
		want   []string
	}{
		"all of it":            {"", eventloop.CausePeerGone, []string{"a", "b", "c", "d", "end"}},
		"until memory is full": {"c", eventloop.CauseMemoryFull, []string{"a", "b", "c", "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan string, 8)
			n := serve(t, eventloop.Config{}, admit(func(c *eventloop.Conn) eventloop.Receiver {
				return &ears{
					receive: func(_ eventloop.Kind, payload []byte) {
						heard <- string(payload)
						if c.PauseOnLoop(); string(payload) == tc.shedAt {
							c.ShedOnLoop()
						}
					},
					closed: func(*eventloop.Gone) { heard <- "end" },
				}
			}))
			d := n.open()
			half := wire(bin(make([]byte, 1000)))[:500]
			d.raw(append(wire(text("a"), text("b"), text("c"), text("d")), half...))
			testkit.Eventually(t, patience, "the pause", func() bool { return n.Stats().Paused == 1 })
			d.reset()
			n.gone(tc.cause, 1)
			for _, want := range tc.want {
				if got := testkit.Receive(t, patience, want, heard); got != want {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
			if st := n.Stats(); st.Paused != 0 {
				t.Errorf("%d are paused", st.Paused)
			}
		})
	}
}

// A peer that is gone is found out in the middle of a Receive, because what is
// gathered is written when it is enough. The message stays the Receiver's until
// it returns, and what it writes to others then arrives.
func TestClose_InsideAReceiversOwnWrite(t *testing.T) {
	for _, size := range []int{200, 200_000} { // gathered, and written as it is
		t.Run(fmt.Sprintf("messages of %d bytes", size), func(t *testing.T) { closeInsideWrite(t, size) })
	}
}

func closeInsideWrite(t *testing.T, size int) {
	var other *eventloop.Conn
	intact := make(chan bool, 1)
	n := serve(t, eventloop.Config{Loops: 1, MaxMessage: 1 << 20, OutBuffer: 1 << 20}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		if other == nil {
			other = c
			return &ears{}
		}
		closed := false
		return &ears{
			receive: func(_ eventloop.Kind, p []byte) {
				want := bytes.Clone(p)
				for i := 0; !closed && i < 200_000_000/size; i++ {
					c.WriteOnLoop(eventloop.Binary, p) // soon more than OutBuffer
				}
				other.WriteOnLoop(eventloop.Binary, p)
				intact <- closed && bytes.Equal(p, want)
			},
			closed: func(*eventloop.Gone) {
				closed = true
				other.WriteOnLoop(eventloop.Text, []byte("it is gone"))
			},
		}
	}))
	witness, d := n.open(), n.open()
	msg := bin(numbered(7, size))
	d.send(msg)
	if !testkit.Receive(t, patience, "Receive to return", intact) {
		t.Error("the connection did not close inside Receive, or the message changed")
	}
	witness.want(text("it is gone"), msg)
	_, _ = io.Copy(io.Discard, d.r)
	n.gone(eventloop.CauseSlowConsumer, 1)
}

// TestClose_GoingAwayStillHears: what a peer sent before it heard that the node
// goes away is taken in; of one that is sent away for another reason it is not.
func TestClose_GoingAwayStillHears(t *testing.T) {
	heard := make(chan string, 1)
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{receive: func(_ eventloop.Kind, payload []byte) { heard <- string(payload) }}
	}))
	sendAway := func(code wsproto.CloseCode) {
		d := n.open()
		testkit.Receive(t, patience, "a connection", conns).Close(code, "bye")
		d.want(closing(uint16(code), "bye"))
		d.send(text("last words"), closing(uint16(code), ""))
		d.wantEnd()
	}
	sendAway(wsproto.CloseGoingAway)
	if got := testkit.Receive(t, patience, "the last words", heard); got != "last words" {
		t.Errorf("heard %q", got)
	}
	sendAway(wsproto.CloseForbidden)
	select {
	case got := <-heard:
		t.Errorf("heard %q of one who is not allowed", got)
	default:
	}
}
