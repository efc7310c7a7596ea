package eventloop_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// gateShut waits until the accept gate is as wanted.
func (n *node) gateShut(want bool) {
	n.t.Helper()
	what := "the gate to open"
	if want {
		what = "the gate to shut"
	}
	testkit.Eventually(n.t, patience, what, func() bool { return n.Stats().GateShut == want })
}

// byTurnstile waits until gnet's acceptor takes nobody any more, on a node that may have fewer
// sockets than the backlog holds.
func (n *node) byTurnstile() {
	n.t.Helper()
	testkit.Eventually(n.t, patience, "the gate to be shut for gnet", func() bool {
		epfd, lnfd := eventloop.GateEnds(n.Server)
		return epfd > 0 && !eventloop.Watches(epfd, lnfd)
	})
}

// The budget of handshakes: when it is used up newcomers wait in the backlog,
// those who are connected notice nothing, and whoever decides lets the next in.
func TestGate_Handshakes(t *testing.T) {
	const budget = 4
	accept, ch := deciding()
	n := serve(t, eventloop.Config{Loops: 1, MaxHandshakes: budget, MaxPerAddress: 100}, func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		if string(h.Path) == "/" {
			return accept(c, h)
		}
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonNotFound}
	})
	admit := func(cand candidate) { cand.h.Admit(n.track(&ears{receive: cand.c.WriteOnLoop})) }
	device, cand, _ := n.candidate(ch)
	admit(cand)
	device.wantSwitch()

	var inside []candidate
	for range budget {
		_, cand, _ := n.candidate(ch)
		inside = append(inside, cand)
	}
	n.gateShut(true)
	const late = 20
	var waiting []*dialogue
	// An acceptor that was emptying the backlog when the gate shut goes on until that is empty.
	testkit.Eventually(t, patience, "newcomers to be left in the backlog", func() bool {
		before := n.Stats().Accepted
		for range late {
			d := n.dial() // the kernel answers, the node does not yet
			d.raw([]byte(request))
			waiting = append(waiting, d)
		}
		device.send(ping("here"))
		device.want(pong("here"))
		if len(waiting) > 10*late {
			t.Fatalf("%d of %d were accepted with the gate shut", n.Stats().Accepted, len(waiting))
		}
		return n.Stats().Accepted == before
	})
	if len(ch) > 0 {
		t.Errorf("%d are to be decided beyond the budget", len(ch))
	}
	for _, cand := range inside {
		admit(cand)
	}
	for range waiting {
		admit(testkit.Receive(t, patience, "a candidate", ch))
	}
	for _, d := range waiting {
		d.wantSwitch()
	}
	n.gateShut(false)
	if c := n.Stats().GateCloses; c == 0 {
		t.Error("no closing of the gate was counted")
	}
}

// Newcomers that say nothing cost a scanner nothing. When the budget is used up
// they give way, the oldest first, and devices get in; those being decided stay.
func TestGate_SilentNewcomersGiveWay(t *testing.T) {
	const budget = 4
	n := serve(t, eventloop.Config{Tick: tick, MaxHandshakes: budget, HandshakeTimeout: time.Hour}, echoing())
	for range 3 * budget {
		n.dial()
	}
	n.dial().raw([]byte(request[:20])) // nor does one that begins and goes no further
	for range 2 * budget {
		d := n.promptly()
		d.wantSwitch()
		d.conn.Close()
	}
	if st := n.Stats(); st.Gone[eventloop.CauseCrowdedOut] == 0 || st.Gone[eventloop.CauseHandshakeTimeout] != 0 {
		t.Errorf("ended: %s", causes(st))
	}
	t.Run("who is being decided does not", func(t *testing.T) {
		accept, ch := deciding()
		n := serve(t, eventloop.Config{Tick: tick, MaxHandshakes: 2, HandshakeTimeout: time.Hour}, accept)
		_, a, _ := n.candidate(ch)
		_, b, _ := n.candidate(ch)
		n.gateShut(true)
		ticks := time.NewTicker(4 * tick)
		defer ticks.Stop()
		for range 20 { // longer than any grace
			<-ticks.C
		}
		if st := n.Stats(); !st.GateShut || st.Handshakes != 2 {
			t.Errorf("shut %v, %d undecided, ended: %s", st.GateShut, st.Handshakes, causes(st))
		}
		for _, c := range []candidate{a, b} {
			c.h.Admit(n.track(&ears{}))
		}
	})
}

// MaxHandshakes is a limit, also when the acceptor takes a long backlog in at
// once: the others wait, unread, and get their turn. A refused one counts until
// the socket is closed.
func TestGate_BacklogDoesNotExceedTheBudget(t *testing.T) {
	const budget, crowd = 4, 40
	accept, ch := deciding()
	n := serve(t, eventloop.Config{Loops: 2, Tick: tick, MaxHandshakes: budget, MaxPerAddress: crowd, CloseTimeout: time.Hour, HandshakeTimeout: time.Hour}, accept)
	var first []candidate
	for range budget {
		_, cand, _ := n.candidate(ch)
		first = append(first, cand)
	}
	n.gateShut(true)
	for range crowd {
		n.dial().raw([]byte(request))
	}
	for i := range budget + crowd {
		var cand candidate
		if len(first) > 0 {
			cand, first = first[0], first[1:]
		} else {
			cand = testkit.Receive(t, patience, "a candidate", ch)
		}
		if inside, more := eventloop.Guests(n.Server), len(first)+len(ch); inside > budget || more >= budget {
			t.Fatalf("%d are inside and %d more to be decided, with a budget of %d", inside, more, budget)
		}
		if i%2 == 0 {
			cand.h.Refuse(&eventloop.Refusal{Reason: eventloop.ReasonUnauthorized})
			continue
		}
		cand.h.Admit(n.track(&ears{}))
	}
	testkit.Eventually(t, patience, "all to be decided", func() bool { return n.Stats().Handshakes == 0 })
}

// A newcomer that has sent its header block does not give way to others because the loop has
// not come to read it.
func TestGate_LatenessIsNotSilence(t *testing.T) {
	n := serve(t, eventloop.Config{Loops: 1}, echoing())
	late, silent := n.dial(), n.dial()
	testkit.Eventually(t, patience, "both to be newcomers", func() bool { return len(eventloop.Newcomers(n.Server)) == 2 })
	eventloop.OnLoop(eventloop.Newcomers(n.Server)[0], func() {
		late.raw([]byte(request))
		testkit.Eventually(t, patience, "the kernel to have it", func() bool {
			return slices.ContainsFunc(eventloop.Newcomers(n.Server), eventloop.Unread)
		})
		eventloop.GiveWay(n.Server)
	})
	late.wantSwitch()
	silent.wantStatus(http.StatusServiceUnavailable)
}

// The limit of connections: told 503 while the reserve lasts, then waiting in
// the backlog, served when somebody has left.
func TestGate_ConnectionsAndReserve(t *testing.T) {
	const most, reserve = 5, 3
	n := serve(t, eventloop.Config{Loops: 1, MaxConnections: most, RefuseReserve: reserve, HandshakeTimeout: time.Hour}, echoing())
	var devices, silent []*dialogue
	for range most {
		devices = append(devices, n.open())
	}
	refused := n.dial()
	refused.raw([]byte(request))
	refused.wantStatus(http.StatusServiceUnavailable)
	refused.conn.Close()
	for range reserve {
		silent = append(silent, n.dial()) // use up the reserve by saying nothing
	}
	n.gateShut(true)
	waits := n.dial()
	waits.raw([]byte(request))
	for _, d := range devices {
		d.send(ping("x"))
		d.want(pong("x"))
	}
	devices[0].conn.Close() // the silent hold no place, only sockets
	waits.wantSwitch()
	for _, d := range silent {
		d.conn.Close()
	}
	n.gateShut(false)
	n.SetMaxConnections(1)
	n.gateShut(true)
	n.SetMaxConnections(100)
	n.gateShut(false)
	n.open()
}

// One opening of the gate takes in no more than there is room for, however many
// wait: each newcomer is counted before the next is accepted.
func TestGate_BacklogDoesNotExceedTheLimit(t *testing.T) {
	const most, reserve, crowd = 5, 3, 200
	n := serve(t, eventloop.Config{Loops: 2, Tick: tick, MaxConnections: most, RefuseReserve: reserve, HandshakeTimeout: time.Hour}, echoing())
	n.byTurnstile()
	var device *dialogue
	var ds []*dialogue
	for range most {
		device = n.open()
		ds = append(ds, device)
	}
	for range reserve + crowd {
		ds = append(ds, n.dial())
	}
	n.gateShut(true)
	for _, d := range ds[:most-1] { // each makes room for one
		d.conn.Close()
	}
	n.gone(eventloop.CausePeerGone, most-1)
	testkit.Eventually(t, patience, "the room to be used", func() bool {
		st := n.Stats()
		return st.Accepted >= 2*most+reserve-1 && st.Open >= most+reserve
	})
	device.send(ping("x"))
	device.want(pong("x"))
	if st := n.Stats(); st.Open != most+reserve || st.Accepted != 2*most+reserve-1 {
		t.Errorf("%d are open of %d that were accepted, %d may be", st.Open, st.Accepted, most+reserve)
	}
}

// Connections come and go at the limit from many sides: the gate never stays
// shut with room behind it.
func TestGate_NeverStuck(t *testing.T) {
	n := serve(t, eventloop.Config{Tick: time.Hour, Loops: 2, MaxHandshakes: 3, MaxConnections: 6, RefuseReserve: 2}, echoing())
	const clients, lives = 12, 150
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range lives {
				d := n.dial()
				d.raw([]byte(request))
				d.patient()
				if _, err := d.r.Peek(1); err != nil {
					t.Errorf("no answer: %v, %+v", err, n.Stats())
					return
				}
				d.conn.Close()
			}
		})
	}
	wg.Wait()
	t.Logf("the gate was shut %d times", n.Stats().GateCloses)
	testkit.Eventually(t, patience, "everybody to be gone", func() bool { return n.Stats().Open == 0 })
	n.gateShut(false)
	n.open()
}

// StopAccepting refuses new dials and leaves the connected alone, also when it
// comes before the first tick or twice.
func TestGate_StopAccepting(t *testing.T) {
	n := serve(t, eventloop.Config{}, echoing())
	d := n.open()
	n.StopAccepting()
	n.StopAccepting()
	testkit.Eventually(t, patience, "dials to be refused", func() bool {
		_, err := n.tryDial()
		return err != nil
	})
	d.send(ping("x"))
	d.want(pong("x"))
	n.SetMaxConnections(1 << 20)
	if _, err := n.tryDial(); err == nil {
		t.Error("a dial is taken again")
	}
	t.Run("right after boot", func(t *testing.T) {
		for range 20 {
			n := serve(t, eventloop.Config{Tick: tick}, echoing())
			n.StopAccepting()
			testkit.Eventually(t, patience, "dials to be refused", func() bool {
				_, err := n.tryDial()
				return err != nil
			})
		}
	})
}
