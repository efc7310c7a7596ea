package wsproto

import (
	"unicode/utf8"

	"github.com/gobwas/ws"

	"edgeloop/internal/bytebuf"
	"edgeloop/internal/invariants"
)

// partial is what a decoder holds of an incomplete frame or message, and of an event until
// the next call. It is pooled, so that a connection between messages has none.
type partial struct {
	// Owned by the decoder that took it from the pool.
	head  [maxFrameHeader]byte // an incomplete header
	nhead int

	frame   frameHeader // the frame whose payload is arriving
	inFrame bool
	got     int              // bytes of frame's payload that have arrived
	control [maxControl]byte // payload, if frame is a control frame

	op         OpCode       // of the arriving message; OpContinuation = none
	compressed bool         // the message is
	buf        *bytebuf.Buf // the message; nil = nothing of it yet
	checked    int          // front of buf that is valid UTF-8, bytes
}

// length is the size of the message so far, bytes.
func (p *partial) length() int {
	if p.buf == nil {
		return 0
	}
	return len(p.buf.B)
}

// open starts the payload of frame h.
func (p *partial) open(h frameHeader) {
	p.frame, p.inFrame, p.got = h, true, 0
	if h.op == OpText || h.op == OpBinary {
		p.op, p.compressed, p.checked = h.op, h.rsv1, 0 // [RFC6455 5.4] [RFC7692 6.2]
	}
}

// take unmasks the part of the frame's payload in `in` into p's own memory, and returns the
// number of bytes. [RFC6455 5.3]
func (p *partial) take(cfg *DecoderConfig, in []byte) (n int, fault *CloseError) {
	n = min(p.frame.n-p.got, len(in))
	var dst []byte
	if p.frame.op.IsControl() {
		dst = p.control[p.got : p.got+n]
		copy(dst, in)
	} else if n > 0 {
		if p.buf == nil {
			p.buf = cfg.buffers.Get(n)
		}
		have, most := len(p.buf.B), cfg.limits.MaxMessage
		if p.frame.fin { // of a frame that others follow, the end says nothing
			most = have + p.frame.n - p.got
		}
		p.buf.GrowUpTo(cfg.buffers, n, most)
		p.buf.B = append(p.buf.B, in[:n]...)
		dst = p.buf.B[have:]
	}
	ws.Cipher(dst, p.frame.mask, p.got)
	p.got += n
	p.inFrame = p.got < p.frame.n
	return n, p.checkText()
}

// piece unmasks what has arrived of the frame's payload in place. [RFC6455 5.3]
func (p *partial) piece(in []byte) (ev Event, n int) {
	n = min(p.frame.n-p.got, len(in))
	ev.Op, ev.Payload = p.op, in[:n:n]
	ws.Cipher(ev.Payload, p.frame.mask, p.got)
	p.got += n
	if p.inFrame = p.got < p.frame.n; !p.inFrame && p.frame.fin {
		p.op = OpContinuation
	}
	return ev, n
}

// checkText checks the text that take has added. [RFC6455 8.1]
func (p *partial) checkText() *CloseError {
	if p.op != OpText || p.compressed || p.frame.op.IsControl() || p.buf == nil {
		return nil
	}
	n, ok := validUTF8(p.buf.B[p.checked:])
	p.checked += n
	if !ok || p.frame.fin && !p.inFrame && p.checked < len(p.buf.B) {
		return ErrInvalidUTF8
	}
	return nil
}

// message ends the message and lends it out until the next call.
func (p *partial) message(cfg *DecoderConfig) (ev Event, fault *CloseError) {
	ev.Op = p.op
	if p.compressed {
		if fault = cfg.inflate(p); fault != nil {
			return Event{}, fault
		}
		if p.op == OpText && !utf8.Valid(p.buf.B) { // [RFC6455 8.1] [RFC7692 6.2]
			return Event{}, ErrInvalidUTF8
		}
	}
	if p.buf != nil {
		ev.Payload = p.buf.B
	}
	p.op = OpContinuation
	return ev, nil
}

// reclaim ends the loan of the last event. spent reports that p holds nothing else: a lent
// message is the last thing that its partial held.
func (p *partial) reclaim() (spent bool) {
	if !p.inFrame {
		invariants.Mangle(p.control[:])
	}
	return p.op == OpContinuation && p.nhead == 0 && !p.inFrame
}
