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
		if c.paused { // gnet takes up reading by itself after a full socket buffer emptied
			c.stashOnLoop(in)
			c.stopReadingOnLoop()
			return
		}
		c.decodeOnLoop(in)
	case stateClosing:
		c.awaitCloseOnLoop(in)
	case stateLingering, stateClosed:
	}
}

// decodeOnLoop cuts in into events and hands them on, until it is used up or
// the connection was paused or closed. in is borrowed until return.
func (c *Conn) decodeOnLoop(in []byte) {
	for c.state == stateOpen {
		if c.paused {
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
	if c.state == stateOpen {
		c.recv.Flush()
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

// stashOnLoop keeps bytes that cannot be decoded yet, as many as InBuffer
// allows. A peer that is paused cannot go beyond it; one that floods while its
// handshake is being decided can, and is cut off.
func (c *Conn) stashOnLoop(in []byte) {
	if len(in) == 0 {
		return
	}
	held := 0
	if c.hold != nil {
		held = len(c.hold.B)
	}
	limit := c.loop.s.cfg.InBuffer
	if c.state == stateOpen {
		// What one read brought is already here and has to be kept: TCP was told
		// to stop, so there are two reads at the most.
		limit += 2 * readBufferCap
	}
	if held+len(in) > limit {
		c.endOnLoop(CauseProtocolError, wsproto.ClosePolicy)
		return
	}
	c.holdOnLoop(in)
	if c.state == statePending && !c.paused && held+len(in) > c.loop.s.cfg.InBuffer/2 {
		c.stopReadingOnLoop()
	}
}

// holdOnLoop appends a copy of in to what is held.
func (c *Conn) holdOnLoop(in []byte) {
	bufs := &c.loop.s.buffers
	if c.hold == nil {
		c.hold = bufs.Get(len(in))
	}
	c.hold.Grow(bufs, len(in))
	c.hold.B = append(c.hold.B, in...)
}

// unstashOnLoop decodes what was held. It may be paused again on the way.
func (c *Conn) unstashOnLoop() {
	held := c.hold
	if held == nil {
		return
	}
	c.hold = nil
	c.decodeOnLoop(held.B)
	c.loop.s.buffers.Put(held)
}

// awaitCloseOnLoop looks for the peer's Close frame among what it still sends.
func (c *Conn) awaitCloseOnLoop(in []byte) {
	for {
		ev, n, ok, err := c.dec.Next(c.loop.s.decode, in)
		in = in[n:]
		if err != nil || ev.Op == wsproto.OpClose {
			c.hangUpOnLoop() // [RFC6455 7.1.1]
			return
		}
		if !ok {
			return
		}
	}
}
