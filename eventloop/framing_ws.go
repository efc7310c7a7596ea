package eventloop

import "edgeloop/wsproto"

// wsFraming is RFC 6455. A frame is a header and the payload as it is, so a message for
// many connections is encoded once, its bytes are shared, and each loop only puts the
// header before them.
type wsFraming struct{}

// begin begins with what h agreed on.
func (wsFraming) begin(c *Conn, h *Hello) {
	c.dec = wsproto.NewDecoder(h.upgrade.Compression)
	if h.upgrade.Compression {
		c.speech = speech(h.upgrade.WindowBits)
	}
}

func (wsFraming) nextOnLoop(c *Conn, in []byte) (ev wsproto.Event, n int, ok bool, err error) {
	return c.dec.Next(c.loop.s.decode, in)
}

func (w wsFraming) frameOnLoop(c *Conn, kind Kind, payload []byte) {
	w.controlOnLoop(c, wsproto.OpCode(kind), payload)
}

// controlOnLoop is frameOnLoop for every kind of frame.
func (wsFraming) controlOnLoop(c *Conn, op wsproto.OpCode, payload []byte) {
	b := c.loop.gatherOnLoop(c)
	switch {
	case c.state != stateOpen: // what was gathered before found the peer gone
	case len(payload) < scratchCap:
		c.loop.scratch = wsproto.AppendFrame(b, op, payload)
	default:
		c.loop.scratch = wsproto.AppendFrameHeader(b, op, true, false, len(payload))
		c.loop.flushWithOnLoop(payload)
	}
}

// compressOnLoop gathers one message, compressed.
func (wsFraming) compressOnLoop(c *Conn, kind Kind, payload []byte) {
	if b := c.loop.gatherOnLoop(c); c.state == stateOpen {
		c.loop.scratch = wsproto.AppendCompressed(b, wsproto.OpCode(kind), payload, &c.loop.s.deflate, c.speech.parameter())
	}
}

func (w wsFraming) pingOnLoop(c *Conn) bool {
	w.controlOnLoop(c, wsproto.OpPing, nil)
	return true
}

// sayOnLoop gathers a Close frame.
func (wsFraming) sayOnLoop(c *Conn, code wsproto.CloseCode, reason string) {
	if b := c.loop.gatherOnLoop(c); c.gc != nil {
		c.loop.scratch = wsproto.AppendClose(b, code, reason)
	}
}

// reclaimOnLoop ends the loan of the last event's payload.
func (c *Conn) reclaimOnLoop() { c.dec.Reclaim(c.loop.s.decode) }

// releaseOnLoop gives back all that the decoder holds: nothing more is taken from the
// peer.
func (c *Conn) releaseOnLoop() { c.dec.Release(c.loop.s.decode) }

// unfinishedOnLoop is how many bytes the decoder holds of a message that has not
// arrived in full.
func (c *Conn) unfinishedOnLoop() int { return c.dec.Held() }
