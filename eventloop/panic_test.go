package eventloop_test

import (
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// A Receiver that panics costs its own connection, whichever of its methods it
// was. Its neighbour on the same loop lives on, and the panic is counted.
func TestPanic_CostsOneConnection(t *testing.T) {
	var place atomic.Value
	place.Store("")
	gone := make(chan *eventloop.Gone, 8)
	mk := func(c *eventloop.Conn, at func(string)) eventloop.Receiver {
		return &ears{
			receive: func(op eventloop.Kind, p []byte) { c.WriteOnLoop(op, p); at("receive") },
			flush:   func() { at("flush") },
			woken:   func() { at("woken") },
			quiet:   func(time.Duration) time.Duration { at("quiet"); return tick },
			closed:  func(g *eventloop.Gone) { gone <- g; at("closed") },
		}
	}
	first := true
	n := serve(t, eventloop.Config{Loops: 1, Tick: tick}, func(c *eventloop.Conn, _ *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		if first {
			first = false
			return mk(c, func(string) {}), nil
		}
		if place.Load() == "accept" {
			panic("accept")
		}
		return mk(c, func(s string) {
			if place.Load() == s {
				panic(s)
			}
		}), nil
	})
	neighbour := n.open()
	for i, where := range []string{"receive", "flush", "woken", "quiet", "closed", "accept"} {
		t.Run(where, func(t *testing.T) {
			place.Store(where)
			d := n.dial()
			switch where {
			case "woken", "accept":
				d.raw([]byte(request))
			case "closed":
				d.handshake()
				d.conn.Close()
			default:
				d.handshake()
				d.send(text("a"), text("b"))
			}
			testkit.Eventually(t, patience, "the panic to be counted", func() bool { return n.Stats().Panics == uint64(i+1) })
			if where != "closed" {
				d.wantGone()
			}
			if where != "accept" {
				g := testkit.Receive(t, patience, "Closed", gone)
				want := eventloop.CausePanic
				if where == "closed" {
					want = eventloop.CausePeerGone
				}
				if g.Cause != want {
					t.Errorf("ended with %s, want %s", g.Cause, want)
				}
			}
			neighbour.send(text("still here"))
			neighbour.want(text("still here"))
		})
	}
	place.Store("")
}

// A panic while what was kept is decoded, inside another connection's call,
// ends the one that panicked.
func TestPanic_InResumeCalledByAnother(t *testing.T) {
	var held *eventloop.Conn
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		if held == nil {
			held = c
			count := 0
			return &ears{receive: func(eventloop.Kind, []byte) {
				if count++; count > 1 {
					panic("second message")
				}
				c.PauseOnLoop()
			}}
		}
		return &ears{receive: func(op eventloop.Kind, p []byte) { held.ResumeOnLoop(); c.WriteOnLoop(op, p) }}
	}))
	victim, other := n.open(), n.open()
	victim.send(text("a"), text("b"), text("c"))
	testkit.Eventually(t, patience, "the pause", func() bool { return n.Stats().Paused == 1 })
	other.send(text("resume it"))
	other.want(text("resume it"))
	victim.wantGone()
	n.gone(eventloop.CausePanic, 1)
	other.send(text("x"))
	other.want(text("x"))
}

// A Receiver that was never admitted, because its connection was gone, may
// panic too.
func TestPanic_InClosedOfOneNeverAdmitted(t *testing.T) {
	accept, ch := deciding()
	n := serve(t, eventloop.Config{}, accept)
	d := n.dial()
	d.raw([]byte(request))
	cand := testkit.Receive(t, patience, "the candidate", ch)
	d.conn.Close()
	n.gone(eventloop.CausePeerGone, 1)
	cand.h.Admit(n.track(&ears{closed: func(*eventloop.Gone) { panic("closed") }}))
	testkit.Eventually(t, patience, "the panic to be counted", func() bool { return n.Stats().Panics == 1 })
	d = n.dial()
	d.raw([]byte(request))
	cand = testkit.Receive(t, patience, "the next candidate", ch)
	cand.h.Admit(n.track(&ears{}))
	d.wantSwitch()
}
