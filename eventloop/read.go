package eventloop

import (
	"edgeloop/wsproto"
)

// trafficOnLoop takes in what one read brought. in is the loop's own read
// buffer: borrowed until return, and written to (unmasking is in place).
func (c *Conn) trafficOnLoop(in []byte) {
	defer c.containOnLoop()
	c.loop.stats.bytesIn.Add(uint64(len(in)))
	switch c.state {
	case stateHello:
		c.helloOnLoop(in)
	case statePending:
		c.stashOnLoop(in)
	case stateOpen:
		c.loop.wheel.Touch(c.node)
		if c.paused { // should not happen, but gnet decides what epoll reports
			c.stashOnLoop(in)
			c.deafenOnLoop()
			return
		}
		c.decodeOnLoop(in)
	case stateClosing:
		c.awaitCloseOnLoop(in)
	case stateLingering, stateClosed:
		return
	}
	c.partsOnLoop()
}

// decodeOnLoop hands on what is in in, and what was held and may be read again
// because the Receiver resumed from within one of its calls. in is borrowed
// until return.
func (c *Conn) decodeOnLoop(in []byte) {
	c.decoding = true
	c.cutOnLoop(in)
	for c.state == stateOpen && !c.paused && c.hold != nil {
		held := c.hold
		c.hold = nil
		c.cutOnLoop(held.B)
		c.loop.s.memory.Held.Put(held)
	}
	c.decoding = false
	if c.state == stateClosed {
		c.dec.Release(c.loop.s.decode)
		return
	}
	c.listenOnLoop()
}

// cutOnLoop cuts in into events and hands them on, until it is used up or the
// connection was paused or closed. in is borrowed until return.
func (c *Conn) cutOnLoop(in []byte) {
	for c.state == stateOpen {
		if c.paused {
			c.dec.Reclaim(c.loop.s.decode) // what was lent must not stay while nobody reads
			c.stashOnLoop(in)
			break
		}
		ev, n, ok, err := c.dec.Next(c.loop.s.decode, in)
		in = in[n:]
		if err != nil {
			c.protocolErrorOnLoop(err)
			return
		}
		if !ok {
			break
		}
		c.eventOnLoop(ev)
	}
	switch c.state {
	case stateOpen:
		c.recv.Flush()
	case stateClosing:
		c.awaitCloseOnLoop(in)
	}
}

func (c *Conn) eventOnLoop(ev wsproto.Event) {
	switch ev.Op {
	case wsproto.OpText, wsproto.OpBinary:
		c.loop.stats.messagesIn.Add(1)
		c.recv.Receive(ev.Op, ev.Payload)
	case wsproto.OpPing:
		c.WriteOnLoop(wsproto.OpPong, ev.Payload) // [RFC6455 5.5.3]
	case wsproto.OpPong, wsproto.OpContinuation: // a Pong has done its work by touching the wheel
	case wsproto.OpClose:
		c.recv.Flush()
		c.peerClosedOnLoop(ev.Code)
	}
}

// stashOnLoop keeps bytes that cannot be decoded yet. Beyond InBuffer TCP is
// told to stop; what one read brought is already here and has to be kept.
func (c *Conn) stashOnLoop(in []byte) {
	if len(in) == 0 {
		return
	}
	if c.loop.s.memory.Over(len(in)) {
		c.ShedOnLoop()
		return
	}
	c.holdOnLoop(in)
	switch held := len(c.hold.B); {
	case held > c.loop.s.cfg.InBuffer+2*readBufferCap: // only where pausing does not work
		c.endOnLoop(CauseProtocolError, wsproto.ClosePolicy)
	case c.state == statePending && !c.deaf && held >= c.loop.s.cfg.InBuffer:
		c.deafenOnLoop()
	}
}

// holdOnLoop appends a copy of in to what is held: a piece of a header block, or
// what cannot be decoded yet.
func (c *Conn) holdOnLoop(in []byte) {
	bufs := &c.loop.s.memory.Held
	if c.state == stateHello {
		bufs = &c.loop.s.memory.Parts
	}
	if c.hold == nil {
		c.hold = bufs.Get(len(in))
	}
	c.hold.Grow(bufs, len(in))
	c.hold.B = append(c.hold.B, in...)
}

// unstashOnLoop decodes what was held. Reading may be paused again on the way.
func (c *Conn) unstashOnLoop() {
	held := c.hold
	if held == nil {
		return
	}
	c.hold = nil
	c.decodeOnLoop(held.B)
	c.loop.s.memory.Held.Put(held)
}

// awaitCloseOnLoop looks for the peer's Close frame among what it still sends.
// What a peer sent before it heard that this node goes away is still taken in:
// some of it may be sent only once. Whoever is sent away for another reason is
// not listened to any more.
func (c *Conn) awaitCloseOnLoop(in []byte) {
	for c.state == stateClosing {
		ev, n, ok, err := c.dec.Next(c.loop.s.decode, in)
		in = in[n:]
		switch {
		case err != nil: // no Close can be found any more, and ours must still arrive
			c.lingerOnLoop()
		case !ok:
			c.recv.Flush()
			return
		case ev.Op == wsproto.OpClose:
			c.recv.Flush()
			c.hangUpOnLoop() // [RFC6455 7.1.1]
		case !ev.Op.IsControl() && c.code == wsproto.CloseGoingAway:
			c.eventOnLoop(ev)
		}
	}
}
