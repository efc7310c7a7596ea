package eventloop

import (
	"math/rand/v2"
	"time"

	"edgeloop/wsproto"
)

// The opening is the layer between the first byte and the Receiver: it says who has
// come. How it is spoken is in opening_http.go and opening_mqtt.go; here is what becomes
// of it.

// decideOnLoop has a whole opening decided. rest is what came behind it, borrowed
// until return.
func (c *Conn) decideOnLoop(h *Hello, rest []byte) {
	s := c.loop.s
	c.id = s.nextID.Add(1) // in the order of openings: sockets may have been opened in another
	c.state = statePending
	c.unwrapOnLoop()
	c.listener().lobby.move(c, stageDecided, time.Now())
	c.stashOnLoop(rest)
	if c.state != statePending {
		s.putHello(h)
		return
	}
	recv, refusal := s.acceptor.Accept(c, h)
	switch {
	case recv != nil:
		c.admitOnLoop(h, recv)
	case refusal != nil:
		c.refuseOnLoop(refusal)
		s.putHello(h)
	case c.state == statePending && !c.deaf && c.layeredOnLoop():
		c.deafenOnLoop() // the Greeting is not called before it is decided
	}
}

// admitOnLoop says yes, and opens the connection for r.
func (c *Conn) admitOnLoop(h *Hello, r Receiver) {
	s := c.loop.s
	defer s.putHello(h)
	b := c.loop.gatherOnLoop(c)
	if c.state != statePending {
		c.tellGone(r, &Gone{Cause: c.cause, Code: c.code, Err: ErrClosed})
		return
	}
	if !c.TakeSeat() {
		c.refuseOnLoop(s.unavailable())
		c.tellGone(r, &Gone{Cause: CauseRefused, Code: wsproto.CloseAbnormal, Err: ErrFull})
		return
	}
	c.loop.scratch = c.openingOnLoop().yesOnLoop(c, h, b)
	c.state, c.recv = stateOpen, r
	c.loop.stats.admitted.Add(1)
	c.listener().decidedOnLoop(c)
	r.Woken()
	if c.state == stateOpen {
		c.loop.wheel.Reset(c.node, s.ticks(r.Quiet(0, NotAsked)))
	}
	if c.state == stateOpen && !c.paused {
		if c.hold != nil {
			c.decodeOnLoop(nil)
		}
		c.passRestOnLoop()
		c.partsOnLoop()
	}
	c.listenOnLoop()
}

// refuseOnLoop says no, and lets the peer hang up.
func (c *Conn) refuseOnLoop(r *Refusal) { c.turnAwayOnLoop(r, CauseRefused) }

// turnAwayOnLoop is refuseOnLoop for another cause.
func (c *Conn) turnAwayOnLoop(r *Refusal, cause Cause) {
	if c.noteRefusedOnLoop(cause) {
		c.openingOnLoop().noOnLoop(c, r)
		c.lingerOnLoop()
	}
}

// noteRefusedOnLoop notes why the peer is not let in; it is to be told next. false: it
// is too late for that.
func (c *Conn) noteRefusedOnLoop(cause Cause) bool {
	if c.state != stateHello && c.state != statePending {
		return false
	}
	c.loop.stats.refused.Add(1)
	c.leaveSeat()
	c.cause, c.code = cause, wsproto.CloseAbnormal
	return true
}

// undecidedOnLoop is called by the wheel after idle ticks without an end of the
// handshake. A peer that has done its part, or was not let in, is told to come again;
// one that has not sent its header block is cut off.
func (c *Conn) undecidedOnLoop(idle uint32) (wait uint32) {
	s := c.loop.s
	limit := s.ticks(s.cfg.HandshakeTimeout)
	if idle < limit {
		return limit - idle
	}
	c.loop.stats.handshakeTimeouts.Add(1)
	c.blameOnLoop(errLate)
	switch late := s.later("this node was not ready in time"); {
	case c.state == statePending:
		c.turnAwayOnLoop(late, CauseHandshakeTimeout)
		if c.state == stateLingering {
			return 1
		}
	case c.state == stateHello && c.deaf: // it had to wait in the lobby, and may not take a place there to linger
		c.openingOnLoop().noOnLoop(c, late)
		fallthrough
	default:
		c.endOnLoop(CauseHandshakeTimeout, wsproto.CloseAbnormal)
	}
	return 0
}

// letInOnLoop begins with one that had to wait in the lobby.
func (c *Conn) letInOnLoop() {
	if c.state < statePending && c.deaf {
		c.hearOnLoop()
	}
}

// giveWayOnLoop ends a handshake that has to make room for others. A peer that was only slow hears
// when to come again. If the loop is behind and has not read what the peer sent, the peer gets its
// time once more.
func (c *Conn) giveWayOnLoop() {
	switch c.state {
	case stateGreeting: // nothing can be said before it has said it
		c.endOnLoop(CauseCrowdedOut, wsproto.CloseAbnormal)
	case stateHello:
		if !c.paused && c.unreadOnLoop() && c.listener().lobby.stay(c, time.Now()) {
			return
		}
		c.openingOnLoop().noOnLoop(c, c.loop.s.later("too many are connecting"))
		c.endOnLoop(CauseCrowdedOut, wsproto.CloseAbnormal)
	case stateLingering: // it had its answer
		c.hangUpOnLoop()
	}
}

// unavailable is the 503 of a full node.
func (s *Server) unavailable() *Refusal { return s.later("this node is full") }

// later is a 503. Its delay is spread so that those who were refused together do
// not come back together.
func (s *Server) later(text string) *Refusal {
	return &Refusal{Reason: ReasonUnavailable, Text: text, RetryAfter: Spread(s.cfg.RetryAfter)}
}

// Spread is a random duration between d and twice d, whole seconds if d is.
func Spread(d time.Duration) time.Duration {
	if d < 2*time.Second {
		return d + rand.N(d+1) //nolint:gosec // spreading load needs no secrecy
	}
	return d + rand.N(d/time.Second+1)*time.Second //nolint:gosec // as above
}
