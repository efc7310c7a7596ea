package eventloop_test

import (
	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// A candidate is a handshake that a test decides later.
type candidate struct {
	c *eventloop.Conn
	h *eventloop.Hello
}

// deciding leaves every handshake to the test.
func deciding() (acceptFunc, chan candidate) {
	ch := make(chan candidate, 64)
	return func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		ch <- candidate{c, h}
		return nil, nil
	}, ch
}

// candidate has somebody come whose handshake is to be decided. Who is let go before that, because
// the machine stood still for longer than his handshake may take or than he may be silent in a
// crowd, is missed, and another one comes.
func (n *node) candidate(ch <-chan candidate) (d *dialogue, cand candidate, missed uint64) {
	n.t.Helper()
	letGo := func() uint64 {
		st := n.Stats()
		return st.HandshakeTimeouts + st.Gone[eventloop.CauseCrowdedOut]
	}
	before := letGo()
	dial := func() {
		d = n.dial()
		d.patient()
		_, _ = d.conn.Write([]byte(request)) // who is gone is counted
	}
	dial()
	testkit.Eventually(n.t, patience, "a candidate", func() bool {
		over := letGo() - before
		select {
		case cand = <-ch:
			return true
		default:
		}
		if over > missed {
			missed = over
			d.conn.Close()
			dial()
		}
		return false
	})
	return d, cand, missed
}
