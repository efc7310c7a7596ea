package eventloop

import (
	"edgeloop/wsproto"
)

// trafficOnLoop takes in what one read brought. in is the loop's own read
// buffer: borrowed until return, and written to (unmasking is in place).
func (c *Conn) trafficOnLoop(in []byte) {
	defer c.containOnLoop()
	c.loop.stats.bytesIn.Add(uint64(len(in)))
	if l := c.layerOnLoop(); l != nil {
		l.stepOnLoop(in, nil)
	} else {
		c.takeOnLoop(in)
	}
	c.partsOnLoop()
}

// takeOnLoop gives plain bytes to the layer in charge. in is borrowed until return.
func (c *Conn) takeOnLoop(in []byte) {
	switch c.state {
	case stateHello:
		c.openingOnLoop().helloOnLoop(c, in)
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
	}
}

// decodeOnLoop hands on what is in in, and what was held and may be read again
// because the Receiver resumed from within one of its calls; in is empty for the
// latter alone. in is borrowed until return.
func (c *Conn) decodeOnLoop(in []byte) {
	if c.partOnLoop() {
		c.joinOnLoop(in, func(whole []byte) { c.decodeOnLoop(whole) })
		c.listenOnLoop()
		return
	}
	c.decoding = true
	if len(in) > 0 {
		if rest := c.cutOnLoop(in); len(rest) > 0 {
			c.stashOnLoop(rest)
		}
	}
	for c.state == stateOpen && !c.paused && c.hold != nil && !c.partOnLoop() {
		c.replayOnLoop()
	}
	c.decoding = false
	if c.state == stateClosed {
		c.releaseOnLoop()
		return
	}
	c.listenOnLoop()
}

// replayOnLoop decodes what was held. What is left when reading is paused again
// stays where it is, so that it takes no memory a second time.
func (c *Conn) replayOnLoop() { c.borrowHeldOnLoop(c.cutOnLoop) }

// borrowHeldOnLoop lends what is held to f, and keeps of it what f returns: the end
// of it, or nothing. Nobody else may give it back meanwhile.
func (c *Conn) borrowHeldOnLoop(f func(held []byte) (rest []byte)) {
	held, rest := c.hold, []byte(nil)
	outer := c.loop.replaying // of one whose Receiver wrote, and found c gone
	c.hold, c.loop.replaying = nil, held.Size()
	defer func() { // also when a Receiver panics
		c.loop.replaying = outer
		if len(rest) == 0 {
			c.loop.s.memory.Held.Put(held)
			return
		}
		held.B = append(held.B[:0], rest...)
		c.hold = held
	}()
	rest = f(held.B)
}

// ReplayedOnLoop is how many bytes of Config.Memory hold what is being decoded now: 0 if that has
// just been read. A Receiver that copies them needs no more memory than will be given back, so it
// need not be refused.
func (c *Conn) ReplayedOnLoop() int { return c.loop.replaying }

// cutOnLoop cuts in into events and hands them on, until it is used up or the
// connection was paused or closed. It returns what has to wait because of a pause.
// in is borrowed until return.
func (c *Conn) cutOnLoop(in []byte) (rest []byte) {
	for c.state == stateOpen {
		if c.paused || len(in) == 0 {
			c.reclaimOnLoop() // what was lent must not stay until the next read
			rest = in
			break
		}
		ev, n, ok, err := c.nextOnLoop(in)
		in = in[n:]
		if err != nil {
			c.protocolErrorOnLoop(err)
			return nil
		}
		if !ok {
			break
		}
		c.eventOnLoop(ev)
	}
	if c.state == stateOpen {
		c.recv.Flush()
	}
	switch c.state {
	case stateOpen:
		return rest
	case stateClosing:
		c.awaitCloseOnLoop(in)
	}
	return nil
}

// stashOnLoop keeps bytes that cannot be decoded yet: what one read brought is already here. It
// stops reading from a connection that is being decided only now, with its first bytes: nearly all
// peers say nothing before they are answered, and so cost no change of what epoll reports.
func (c *Conn) stashOnLoop(in []byte) {
	if len(in) == 0 {
		return
	}
	if c.loop.s.memory.Over(len(in), 0) {
		c.ShedOnLoop()
		return
	}
	c.holdOnLoop(in)
	switch held := len(c.hold.B); {
	case held > c.loop.s.cfg.InBuffer+2*readBufferCap: // only where pausing does not work
		c.endOnLoop(CauseProtocolError, wsproto.ClosePolicy)
	case c.state == statePending && !c.deaf:
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

// awaitCloseOnLoop looks for the peer's Close frame among what it still sends.
// What a peer sent before it heard that this node goes away is still taken in:
// some of it may be sent only once. A peer that is sent away for another reason
// is not listened to any more.
func (c *Conn) awaitCloseOnLoop(in []byte) {
	c.lastWordsOnLoop(in, c.code == wsproto.CloseGoingAway)
}

// lastWordsOnLoop looks for the peer's Close frame, and hands on the messages before
// it or not. in is borrowed until return.
func (c *Conn) lastWordsOnLoop(in []byte, take bool) {
	c.joinOnLoop(in, func(in []byte) { c.wordsOnLoop(in, take) })
}

func (c *Conn) wordsOnLoop(in []byte, take bool) {
	for c.state == stateClosing {
		ev, n, ok, err := c.nextOnLoop(in)
		in = in[n:]
		switch {
		case err != nil: // no Close can be found any more, and ours must still arrive
			c.lingerOnLoop()
		case !ok:
			c.recv.Flush()
			return
		case ev.Op == wsproto.OpClose:
			c.farewellOnLoop(ev)
			c.recv.Flush()
			c.hangUpOnLoop() // [RFC6455 7.1.1]
		case take && !ev.Op.IsControl():
			c.eventOnLoop(ev)
		}
	}
}
