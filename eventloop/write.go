package eventloop

import "edgeloop/wsproto"

// sendOnLoop writes whole frames that another goroutine posted. Small ones are
// gathered with what else this event writes to the same peer.
func (c *Conn) sendOnLoop(frame []byte) {
	if c.state != stateOpen {
		return
	}
	c.loop.stats.framesOut.Add(1)
	scratch := c.loop.gatherOnLoop(c)
	if len(frame) < scratchCap {
		if c.state == stateOpen { // gathering may have found the peer gone
			scratch = append(scratch, frame...)
			c.loop.scratch = scratch
		}
		return
	}
	c.loop.flushOnLoop()
	c.writeOnLoop(frame)
}

// writeOnLoop is the only place that writes to a socket. What the kernel does
// not take is kept by gnet, up to OutBuffer beyond the one write that filled the
// socket: a peer that lets more pile up is cut off, because it would otherwise
// cost its neighbours their memory.
func (c *Conn) writeOnLoop(out []byte) {
	if c.gc == nil {
		return
	}
	waiting := c.gc.OutboundBuffered()
	if waiting > 0 && waiting+len(out) > c.loop.s.cfg.OutBuffer {
		c.endOnLoop(CauseSlowConsumer, wsproto.CloseTryAgain)
		return
	}
	c.loop.stats.bytesOut.Add(uint64(len(out)))
	c.loop.stats.writes.Add(1)
	if _, err := c.gc.Write(out); err != nil {
		return // gnet has closed the connection and told us, inside Write
	}
	if c.gc == nil {
		return
	}
	if c.deaf && c.gc.OutboundBuffered() > 0 {
		// gnet now waits for the socket to take more, and with that has asked for
		// reading again.
		c.deafenOnLoop()
	}
}
