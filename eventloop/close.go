package eventloop

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/wsproto"
)

// closeOnLoop closes from this side. MQTT has no answer to wait for: nothing more is
// taken, and the peer hangs up.
func (c *Conn) closeOnLoop(code wsproto.CloseCode, reason string) {
	c.startCloseOnLoop(code, reason)
	if c.speech.mqtt() && c.state == stateClosing {
		c.lingerOnLoop()
	}
}

// startCloseOnLoop begins the closing handshake from this side. [RFC6455 7.1.2]
func (c *Conn) startCloseOnLoop(code wsproto.CloseCode, reason string) {
	switch c.state {
	case stateOpen:
	case stateGreeting, stateHello, statePending:
		c.endOnLoop(CauseClosed, code)
		return
	default:
		return
	}
	c.cause, c.code = CauseClosed, code
	c.sayOnLoop(code, reason)
	held := c.hold
	c.hold = nil
	c.becomeOnLoop(stateClosing)
	c.loop.flushOnLoop()
	defer c.wordsOnTheWireOnLoop()
	if held == nil {
		return
	}
	// This was received before we closed and was only waiting for us, so it is handed on, whatever
	// the code. The peer's Close may be in it too.
	c.hold = held
	switch {
	case c.state != stateClosing:
		c.dropHeldOnLoop()
	case !c.partOnLoop(): // the front of a packet waits for its rest
		c.borrowHeldOnLoop(func(in []byte) []byte {
			c.lastWordsOnLoop(in, true)
			return nil
		})
	}
}

// wordsOnTheWireOnLoop does the same for bytes that waited before the Greeting. A caller that
// closes from within Receive has a message lent, which the next one would take away, and what came
// before the wire is not through.
func (c *Conn) wordsOnTheWireOnLoop() {
	if l, ok := c.gc.(*layered); ok && c.state == stateClosing && l.wire != nil && !l.busy && !c.decoding {
		l.stepOnLoop(nil, func(plain []byte) { c.lastWordsOnLoop(plain, true) })
	}
}

// protocolErrorOnLoop fails the connection: it tells the peer in a Close frame what is wrong, and
// takes nothing more from it. [RFC6455 7.1.7]
func (c *Conn) protocolErrorOnLoop(err error) {
	c.recv.Flush()
	if c.state != stateOpen {
		return
	}
	code, reason := closeCodeOf(err)
	c.cause, c.code = CauseProtocolError, code
	c.sayOnLoop(code, reason)
	c.lingerOnLoop()
}

// closeCodeOf returns the code and the reason with which a Close frame reports a fault of the peer.
func closeCodeOf(err error) (wsproto.CloseCode, string) {
	var ce *wsproto.CloseError
	if errors.As(err, &ce) {
		return ce.Code, ce.Reason
	}
	return wsproto.CloseProtocolError, err.Error()
}

// peerClosedOnLoop answers the peer's Close frame with the same code, and hangs
// up: the server is the first to close the socket. [RFC6455 5.5.1] [RFC6455 7.1.1]
func (c *Conn) peerClosedOnLoop(code wsproto.CloseCode) {
	switch c.state {
	case stateOpen:
	case stateClosing: // both sides closed at the same time
		c.hangUpOnLoop()
		return
	default:
		return
	}
	c.cause, c.code = CausePeerClosed, code
	c.sayOnLoop(code, "")
	c.loop.flushOnLoop()
	if c.gc != nil && c.gc.OutboundBuffered() > 0 { // the peer has not yet read what it asked for
		c.lingerOnLoop()
		return
	}
	c.hangUpOnLoop()
}

// becomeOnLoop enters one of the states in which the connection only waits for
// its end, and bounds that wait.
func (c *Conn) becomeOnLoop(state connState) {
	if c.gc == nil { // gathering the last words found the peer gone
		return
	}
	if c.state.undecided() {
		c.listener().decidedOnLoop(c)
		c.listener().lobby.move(c, stageLingering, time.Now())
	}
	c.state = state
	c.signals.Or(signalClosed)
	c.dropHeldOnLoop()
	if state == stateLingering {
		c.dropWireOnLoop()
	}
	c.loop.wheel.Reset(c.node, c.closeTicksOnLoop())
	c.unpauseOnLoop()
	if c.deaf {
		c.hearOnLoop() // to see the peer's answer, or its hanging up
	}
}

// closeTicksOnLoop is how many ticks the peer has to answer our Close frame.
func (c *Conn) closeTicksOnLoop() uint32 {
	s := c.loop.s
	if c.state == stateClosing && c.code == wsproto.CloseGoingAway {
		return s.ticks(s.cfg.GoingAwayTimeout)
	}
	return s.ticks(s.cfg.CloseTimeout)
}

// lingerOnLoop writes what was gathered, says that no more will come, and waits
// for the peer to hang up: closing at once, with the peer's bytes unread, would
// make the kernel send a reset that overtakes our last words.
func (c *Conn) lingerOnLoop() {
	c.becomeOnLoop(stateLingering)
	c.loop.flushOnLoop()
	switch {
	case c.gc == nil:
	case c.gc.OutboundBuffered() > 0:
		c.loop.wheel.Reset(c.node, 1) // gnet does not tell when it is all out: look with each tick
	default:
		c.shutOnLoop()
	}
}

// shutOnLoop says that nothing more will come.
func (c *Conn) shutOnLoop() {
	if c.goodbyeOnLoop(); c.gc == nil {
		return
	}
	_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR) // fails only if the peer is gone already
}

// lingeringOnLoop is called by the wheel after idle ticks of lingering.
func (c *Conn) lingeringOnLoop(idle uint32) (wait uint32) {
	limit := c.loop.s.ticks(c.loop.s.cfg.CloseTimeout)
	switch {
	case idle >= limit:
		c.hangUpOnLoop()
		return 0
	case c.gc.OutboundBuffered() > 0:
		return 1
	case c.cause == CausePeerClosed: // nothing of the peer's is left unread
		c.hangUpOnLoop()
		return 0
	}
	c.shutOnLoop()
	return limit - idle
}

// endOnLoop closes the socket now, for cause, without a word to the peer.
func (c *Conn) endOnLoop(cause Cause, code wsproto.CloseCode) {
	if c.state == stateClosed {
		return
	}
	c.cause, c.code = cause, code
	c.hangUpOnLoop()
}

// hangUpOnLoop writes what was gathered and closes the socket. gnet calls
// Server.OnClose on the way, which comes back as closedOnLoop.
func (c *Conn) hangUpOnLoop() {
	if c.loop.cur == c {
		c.loop.flushOnLoop()
	}
	if c.gc == nil {
		return
	}
	if c.goodbyeOnLoop(); c.gc == nil {
		return
	}
	_ = c.loop.el.Close(c.socketOnLoop()) // its error is about a socket that is gone by now
}

// hungUpOnLoop is told by the Greeting that the peer has shut its side.
func (c *Conn) hungUpOnLoop() {
	if c.cause == causeNone {
		c.cause, c.code = CausePeerGone, wsproto.CloseAbnormal
	}
	c.hangUpOnLoop()
}

// closedOnLoop ends c. From here on nobody may touch the gnet connection: its descriptor may
// already be another device's.
func (c *Conn) closedOnLoop(err error) {
	if c.state == stateClosed {
		return
	}
	if c.state.undecided() {
		c.listener().decidedOnLoop(c)
	}
	if c.cause == causeNone {
		c.cause, c.code = CausePeerGone, wsproto.CloseAbnormal
		switch {
		case c.loop.s.isStopping():
			c.cause = CauseShutdown
		case c.stalledOnLoop(err):
			c.cause = CauseStalled
		}
	}
	waits := c.state == stateOpen && !c.decoding && c.cause != CausePanic
	l, _ := c.gc.(*layered)
	if l == nil || !waits {
		c.dropWireOnLoop()
	}
	c.state, c.gc = stateClosed, nil
	c.signals.Or(signalClosed)
	if c.loop.cur == c {
		c.loop.cur, c.loop.scratch = nil, c.loop.scratch[:0]
	}
	c.loop.leaveOnLoop(c)
	more := true
	if waits && c.hold != nil && !c.partOnLoop() {
		c.borrowHeldOnLoop(func(held []byte) []byte {
			more = c.legacyOnLoop(held)
			return nil
		})
	}
	if waits && l != nil {
		l.lastOnLoop(func(plain []byte) bool {
			more = more && c.legacyOnLoop(plain)
			return more
		})
	}
	if l != nil {
		l.greeting.Closed()
	}
	c.dropHeldOnLoop()
	c.departOnLoop()
	if !c.decoding {
		c.releaseOnLoop()
	}
	c.unpauseOnLoop()
	c.listener().goneOnLoop(c)
	c.loop.stats.gone[c.cause].Add(1)
	if r := c.recv; r != nil {
		c.recv = nil
		r.Closed(&Gone{Cause: c.cause, Code: c.code, Err: err})
	}
}

// legacyOnLoop hands on what had been received and was waiting for us (held) when the connection
// ended without a Close frame, up to the first message for which there is no memory. more is false
// if nothing may follow: after such a message, after a Close, or after bytes that are not a
// message.
func (c *Conn) legacyOnLoop(held []byte) (more bool) {
	defer c.containOnLoop()
	more = true
	c.joinOnLoop(held, func(held []byte) {
		for more = false; c.cause != CauseMemoryFull; {
			ev, n, ok, err := c.nextOnLoop(held)
			if err != nil || !ok {
				more = err == nil
				break
			}
			if ev.Op == wsproto.OpClose {
				c.farewellOnLoop(ev)
				break
			}
			if held = held[n:]; !ev.Op.IsControl() {
				c.eventOnLoop(ev)
			}
		}
	})
	c.recv.Flush()
	return more && c.cause != CauseMemoryFull
}

func (c *Conn) dropHeldOnLoop() {
	if c.hold != nil {
		c.loop.s.memory.Held.Put(c.hold)
		c.hold = nil
	}
}

func (c *Conn) unpauseOnLoop() {
	if c.paused {
		c.paused = false
		c.loop.stats.paused.Add(-1)
	}
}
