package eventloop

import "edgeloop/wsproto"

// Memory. All that a connection holds of what its peer sent is lent by the pools of
// Config.Memory, which count it. What a read brought beyond what may be decoded is
// Held, and reading is paused; a header block or a message that has not arrived in
// full is one of the Parts. Nothing can be asked to wait for parts, because nobody
// knows whether the rest will ever come. So when the parts hold more than their
// share, those that hold most of them go.

// sampled is how many are looked at to find one that holds much. The largest of
// some is large: that costs the same however many there are.
const sampled = 16

// shedMost is how many are closed at a time. One read cannot have taken more than
// they give back.
const shedMost = 16

// partsHeldOnLoop is how many bytes c holds of what has not arrived in full.
func (c *Conn) partsHeldOnLoop() int {
	n := c.unfinishedOnLoop()
	if c.partOnLoop() {
		n += c.hold.Size()
	}
	n += c.wireHeldOnLoop()
	return n
}

// partsOnLoop follows everything that may have changed what c holds. It must not
// be called while a message is lent to the Receiver.
func (c *Conn) partsOnLoop() {
	if c.state == stateLingering {
		c.releaseOnLoop() // nothing more is taken from the peer
	}
	if c.state == stateClosed || c.partsHeldOnLoop() == 0 {
		if c.parted {
			c.departOnLoop()
		}
		return
	}
	if !c.parted {
		if c.loop.parts == nil {
			c.loop.parts = make(map[*Conn]struct{})
		}
		c.parted = true
		c.loop.parts[c] = struct{}{}
	}
	c.loop.shedPartsOnLoop()
}

func (c *Conn) departOnLoop() {
	if !c.parted {
		return
	}
	c.parted = false
	delete(c.loop.parts, c)
	if len(c.loop.parts) == 0 {
		c.loop.parts = nil // a map does not shrink
	}
}

// shedPartsOnLoop closes connections of this loop until the parts of the node are
// within their share again.
func (l *loop) shedPartsOnLoop() {
	for range shedMost {
		if len(l.parts) == 0 || !l.s.memory.OverParts() {
			return
		}
		c := l.worstOnLoop()
		c.ShedOnLoop()
		c.departOnLoop()
		if c.state == stateLingering {
			c.releaseOnLoop()
		}
	}
}

// worstOnLoop picks the connection to close when parts take too much: one that has not said yet who
// it is before any device, otherwise the one that holds most.
func (l *loop) worstOnLoop() (worst *Conn) {
	most, n := -1, 0
	for c := range l.parts { // in an order of the runtime's choice, another one each time
		held := c.partsHeldOnLoop()
		if c.state < statePending {
			held += wsproto.MaxLimit
		}
		if held > most {
			worst, most = c, held
		}
		if n++; n == sampled {
			break
		}
	}
	return worst
}

// ShedOnLoop closes the connection because there is no memory for what its peer
// sends. What was taken in before goes on. The Receiver may call it from Receive,
// and must not touch the payload afterwards.
func (c *Conn) ShedOnLoop() {
	c.loop.assertOnLoop()
	switch c.state {
	case stateGreeting:
		c.endOnLoop(CauseMemoryFull, wsproto.CloseAbnormal)
	case stateHello, statePending:
		c.refuseOnLoop(c.loop.s.later("this node has no memory left"))
		if c.state == stateLingering {
			c.cause = CauseMemoryFull
		}
	case stateOpen:
		c.recv.Flush()
		if c.state != stateOpen {
			return
		}
		c.cause, c.code = CauseMemoryFull, wsproto.CloseTryAgain
		c.sayOnLoop(c.code, "this node has no memory for it, come back later")
		c.lingerOnLoop()
	case stateClosing:
		c.lingerOnLoop()
	case stateClosed:
		c.cause = CauseMemoryFull // legacyOnLoop ends
	case stateLingering:
	}
}
