package eventloop

import "edgeloop/wsproto"

// Framing is the layer that makes messages of bytes and bytes of messages: RFC 6455.
// Nobody outside this package builds a frame. A frame is a header and the payload
// as it is, so a message for many connections is encoded once, its bytes are shared,
// and each loop only puts the header before them. What comes in is cut in read.go, one
// event at a time.

// A Kind says what a message holds.
type Kind uint8

// The kinds.
const (
	Text   = Kind(wsproto.OpText)
	Binary = Kind(wsproto.OpBinary)
)

// maxFrameHeader is the longest header of a frame, in bytes.
const maxFrameHeader = 10

// WriteOnLoop writes one message with whatever else this event writes, compressed
// if that was agreed. payload is borrowed until return.
func (c *Conn) WriteOnLoop(kind Kind, payload []byte) {
	c.loop.assertOnLoop()
	if c.state != stateOpen {
		return
	}
	if c.window == 0 {
		c.frameOnLoop(wsproto.OpCode(kind), payload)
		return
	}
	if b := c.loop.gatherOnLoop(c); c.state == stateOpen {
		c.loop.scratch = wsproto.AppendCompressed(b, wsproto.OpCode(kind), payload, &c.loop.s.deflate, c.window)
	}
}

// PingOnLoop asks the peer for a sign of life.
func (c *Conn) PingOnLoop() {
	c.loop.assertOnLoop()
	if c.state != stateOpen {
		return
	}
	c.frameOnLoop(wsproto.OpPing, nil)
	if c.state == stateOpen {
		c.loop.wheel.Mark(c.node)
	}
}

// sendOnLoop writes a message that another goroutine posted. It is not compressed:
// a loop that has a message for thousands has no time for that.
func (c *Conn) sendOnLoop(kind Kind, payload []byte) {
	if c.state != stateOpen {
		return
	}
	c.loop.stats.framesOut.Add(1)
	c.frameOnLoop(wsproto.OpCode(kind), payload)
}

// frameOnLoop gathers one whole frame, or writes it if it is not worth a copy.
// payload is borrowed until return.
func (c *Conn) frameOnLoop(op wsproto.OpCode, payload []byte) {
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

// sayOnLoop gathers a Close frame.
func (c *Conn) sayOnLoop(code wsproto.CloseCode, reason string) {
	if b := c.loop.gatherOnLoop(c); c.gc != nil {
		c.loop.scratch = wsproto.AppendClose(b, code, reason)
	}
}

// frameAsOnLoop begins with what h agreed on.
func (c *Conn) frameAsOnLoop(h *Hello) {
	c.dec = wsproto.NewDecoder(h.upgrade.Compression)
	if h.upgrade.Compression {
		c.window = h.upgrade.WindowBits
	}
}

// nextOnLoop takes the next event off the front of in. What it carries is borrowed, of
// in or of the decoder.
func (c *Conn) nextOnLoop(in []byte) (ev wsproto.Event, n int, ok bool, err error) {
	return c.dec.Next(c.loop.s.decode, in)
}

// reclaimOnLoop ends the loan of the last event's payload.
func (c *Conn) reclaimOnLoop() { c.dec.Reclaim(c.loop.s.decode) }

// releaseOnLoop gives back all that the decoder holds: nothing more is taken from the
// peer.
func (c *Conn) releaseOnLoop() { c.dec.Release(c.loop.s.decode) }

// unfinishedOnLoop is how many bytes the decoder holds of a message that has not
// arrived in full.
func (c *Conn) unfinishedOnLoop() int { return c.dec.Held() }

// eventOnLoop deals with one event.
func (c *Conn) eventOnLoop(ev wsproto.Event) {
	switch ev.Op {
	case wsproto.OpText, wsproto.OpBinary:
		c.loop.stats.messagesIn.Add(1)
		c.recv.Receive(Kind(ev.Op), ev.Payload)
	case wsproto.OpPing:
		if c.state == stateOpen {
			c.frameOnLoop(wsproto.OpPong, ev.Payload) // [RFC6455 5.5.3]
		}
	case wsproto.OpPong, wsproto.OpContinuation: // a Pong has done its work by touching the wheel
	case wsproto.OpClose:
		c.recv.Flush()
		c.peerClosedOnLoop(ev.Code)
	}
}
