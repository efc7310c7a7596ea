package eventloop

import "edgeloop/wsproto"

// writeOnLoop is the only place that writes to a socket. tail follows out; both
// are borrowed until return. What the kernel does not take is kept by gnet, up
// to OutBuffer beyond the one write that filled the socket: a peer that lets
// more pile up is cut off, because it would otherwise cost its neighbours their
// memory.
func (c *Conn) writeOnLoop(out, tail []byte) {
	if c.gc == nil {
		return
	}
	waiting := c.gc.OutboundBuffered()
	n := len(out) + len(tail)
	if waiting > 0 && waiting+n > c.loop.s.cfg.OutBuffer {
		c.endOnLoop(CauseSlowConsumer, wsproto.CloseTryAgain)
		return
	}
	c.loop.stats.bytesOut.Add(uint64(n)) //nolint:gosec // a length
	c.loop.stats.writes.Add(1)
	// A failure closes the connection and tells us, inside the write.
	switch {
	case len(tail) == 0:
		_, _ = c.gc.Write(out)
	case len(out) == 0:
		_, _ = c.gc.Write(tail)
	default:
		pieces := &c.loop.pieces // not nested: a failing write has no use for it any more
		pieces[0], pieces[1] = out, tail
		_, _ = c.gc.Writev(pieces[:])
		*pieces = [2][]byte{}
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

// BufferedOnLoop is how many bytes wait for the peer to read: posted, or written and
// not taken by the kernel.
func (c *Conn) BufferedOnLoop() int {
	c.loop.assertOnLoop()
	if c.gc == nil {
		return 0
	}
	return c.Queued() + c.gc.OutboundBuffered()
}
