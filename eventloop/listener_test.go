package eventloop_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// Two listeners of one node: each knows its own, they share loops and seats, each
// has its gate, its lobby and its turnstile, and all of them end together.

var two = []eventloop.Listener{{Name: "first", Address: "127.0.0.1:0"}, {Name: "second", Address: "127.0.0.2:0"}}

// by is n as if its listener i were the only one.
func (n *node) by(i int) *node {
	return &node{t: n.t, Server: n.Server, dialTo: n.Addrs()[i].String()}
}

func TestListeners_EachKnowsItsOwn(t *testing.T) {
	for name, limit := range map[string]int{"by gnet's acceptor": 100_000, "by the turnstile": 100} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan string, 1)
			n := serve(t, eventloop.Config{Listeners: two, MaxConnections: limit, Tick: tick}, func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
				seen <- h.Listener
				return &ears{receive: c.WriteOnLoop}, nil
			})
			testkit.Eventually(t, patience, "both gates to be found", func() bool { return eventloop.GatesFound(n.Server) })
			for round := range 3 {
				for i, row := range two {
					d := n.by(i).open()
					if got := testkit.Receive(t, patience, "the listener", seen); got != row.Name {
						t.Errorf("round %d: came by %s, want %s", round, got, row.Name)
					}
					d.send(text(row.Name))
					d.want(text(row.Name))
				}
			}
		})
	}
}

// A listener on all addresses knows those who come by any of them; so does one of the
// other family, where this machine has IPv6.
func TestListeners_Unspecified(t *testing.T) {
	rows := []eventloop.Listener{{Name: "one", Address: "127.0.0.1:0"}, {Name: "any", Address: "0.0.0.0:0"}}
	if ln, err := net.Listen("tcp", "[::1]:0"); err == nil {
		ln.Close()
		rows = append(rows, eventloop.Listener{Name: "six", Address: "[::1]:0"})
	}
	seen := make(chan string, 1)
	n := serve(t, eventloop.Config{Listeners: rows},
		func(_ *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
			seen <- h.Listener
			return nil, &eventloop.Refusal{Reason: eventloop.ReasonForbidden}
		})
	at := n.Addrs()
	wants := map[string]string{
		at[0].String():                          "one",
		fmt.Sprintf("127.0.0.3:%d", at[1].Port): "any",
		fmt.Sprintf("127.0.0.1:%d", at[1].Port): "any",
	}
	if len(at) == 3 {
		wants[at[2].String()] = "six"
	}
	for addr, want := range wants {
		d := (&node{t: t, Server: n.Server, dialTo: addr}).dial()
		d.raw([]byte(request))
		if got := testkit.Receive(t, patience, "the listener", seen); got != want {
			t.Errorf("%s is of %s, want %s", addr, got, want)
		}
		d.wantStatus(403)
	}
}

// A crowd that fills one listener's lobby keeps nobody out at another.
func TestListeners_ACrowdAtOne(t *testing.T) {
	accept, cands := deciding()
	n := serve(t, eventloop.Config{Listeners: two, MaxHandshakes: 8, HandshakeTimeout: time.Hour}, accept)
	for range 4 {
		n.by(0).candidate(cands)
	}
	testkit.Eventually(t, patience, "the gate to shut", func() bool { return n.Stats().GateShut })
	late := n.by(0).dial()
	late.raw([]byte(request))
	d := n.by(1).dial()
	d.raw([]byte(request))
	cand := testkit.Receive(t, patience, "who comes by the other", cands)
	if cand.h.Listener != "second" {
		t.Fatalf("somebody is decided who came by %s, whose lobby is full", cand.h.Listener)
	}
	cand.h.Admit(n.track(&ears{receive: cand.c.WriteOnLoop}))
	d.wantSwitch()
	d.send(text("through"))
	d.want(text("through"))
}

// Sockets and seats are counted together: a node that is full is full at each.
func TestListeners_ShareSeats(t *testing.T) {
	n := serve(t, eventloop.Config{Listeners: two, MaxConnections: 2}, echoing())
	n.by(0).open()
	n.by(1).open()
	for i := range two {
		d := n.by(i).dial()
		d.raw([]byte(request))
		d.wantStatus(503)
	}
}

// When the node takes no newcomers any more, none of its listeners does.
func TestListeners_StopAccepting(t *testing.T) {
	n := serve(t, eventloop.Config{Listeners: two}, echoing())
	var stay []*dialogue
	for i := range two {
		stay = append(stay, n.by(i).open())
	}
	testkit.Eventually(t, patience, "both gates to be found", func() bool { return eventloop.GatesFound(n.Server) })
	n.StopAccepting()
	for i, d := range stay {
		if _, err := n.by(i).tryDial(); err == nil {
			t.Errorf("listener %d still takes newcomers", i)
		}
		d.send(text("still here"))
		d.want(text("still here"))
	}
}

func TestListeners_Refused(t *testing.T) {
	for name, rows := range map[string][]eventloop.Listener{
		"none":        nil,
		"no address":  {{Name: "a"}},
		"one address": {{Name: "a", Address: "localhost:1"}, {Name: "b", Address: "LOCALHOST:1"}},
		"one name":    {{Name: "a", Address: "127.0.0.1:0"}, {Name: "a", Address: "127.0.0.2:0"}},
		"too many":    make([]eventloop.Listener, eventloop.MaxListeners+1),
	} {
		if _, err := eventloop.New(eventloop.Config{Listeners: rows}, echoing()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	t.Run("a port that is taken", func(t *testing.T) {
		n := serve(t, eventloop.Config{}, echoing())
		srv, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}, {Address: n.Addr().String()}}}, echoing())
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Run(); err == nil || errors.Is(err, eventloop.ErrEngineReturned) {
			t.Errorf("Run: %v, want what is wrong with the address", err)
		}
	})
}
