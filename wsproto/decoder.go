package wsproto

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"edgeloop/internal/bytebuf"
)

// Limits bounds what one connection may make the decoder hold.
type Limits struct {
	MaxFrame   int // payload of one data frame on the wire, bytes; 0 = MaxMessage; too small: 1009 for honest devices
	MaxMessage int // payload of one message, bytes, inflated if it came compressed; 0 = 1 MiB
}

// MaxLimit is the largest allowed limit, bytes.
const MaxLimit = 1 << 30

func (l Limits) withDefaults() (Limits, error) {
	if l.MaxMessage == 0 {
		l.MaxMessage = 1 << 20
	}
	if l.MaxFrame == 0 {
		l.MaxFrame = l.MaxMessage
	}
	if min(l.MaxFrame, l.MaxMessage) < 0 || max(l.MaxFrame, l.MaxMessage) > MaxLimit {
		return l, fmt.Errorf("wsproto: limits of %d B a frame and %d B a message: allowed are 1 B to 1 GiB", l.MaxFrame, l.MaxMessage)
	}
	return l, nil
}

// DecoderConfig holds the limits and pools that all decoders of a server
// share. Any goroutine may use it. Each call may pass a decoder another one; so limits
// change while a server runs.
type DecoderConfig struct {
	// Immutable after construction.
	limits  Limits
	buffers *bytebuf.Pool

	// Atomic. Each sync.Pool synchronises itself.
	partials  sync.Pool // of *partial
	inflaters sync.Pool // of *inflater
}

// NewDecoderConfig checks l and fills in its defaults. Messages that arrive in pieces
// are kept in memory from buffers.
func NewDecoderConfig(l Limits, buffers *bytebuf.Pool) (*DecoderConfig, error) {
	l, err := l.withDefaults()
	if err != nil {
		return nil, err
	}
	return &DecoderConfig{limits: l, buffers: buffers}, nil
}

// Event is one whole message or control frame. It has four words: the compiler keeps one
// that has more in memory, and copies it at every return.
type Event struct {
	Op      OpCode    // OpText, OpBinary, OpClose, OpPing or OpPong
	Code    CloseCode // of a close: the peer's code, CloseNoStatus if it gave none
	Payload []byte    // borrowed until the next call of Next or Release, and no longer than `in`; of a close: its reason
}

// Decoder turns the bytes of one client into events. The zero value is ready
// for a connection without compression. It belongs to one goroutine.
type Decoder struct {
	p           *partial // nil between messages
	compression bool
	stream      bool // messages are handed out in the pieces in which they arrive
	ended       bool // a close frame or an error was returned
}

// NewDecoder returns a decoder for a connection that has negotiated compression
// or not (Handshake.Compression).
func NewDecoder(compression bool) Decoder { return Decoder{compression: compression} }

// NewStreamDecoder returns a decoder for a connection on which binary messages carry a
// stream of bytes, and their borders mean nothing. Each event is what has arrived of a
// message, so nothing is copied and nothing bounds a message but MaxLimit for one frame.
// Text is a fault. Nothing of it was negotiated compressed.
func NewStreamDecoder() Decoder { return Decoder{stream: true} }

// Next takes one event from the front of in and unmasks it in place. n is the number of
// bytes used. ok is false when all of in is used up and more bytes are needed. Call it
// until ok is false, even with an empty in: that last call returns the memory behind the
// last event.
//
// A message that lies whole in `in` is returned as a part of in; a partial message is
// copied, so in may be reused once its events are handled.
// err is one of the *CloseError values of this package, or ErrClosed.
func (d *Decoder) Next(cfg *DecoderConfig, in []byte) (ev Event, n int, ok bool, err error) {
	d.Reclaim(cfg)
	if d.ended { // [RFC6455 5.5.1] nothing after close
		d.Release(cfg)
		return Event{}, 0, false, ErrClosed
	}
	var fault *CloseError
	for !ok && fault == nil {
		if d.p == nil || !d.p.inFrame {
			var h frameHeader
			var used int
			if used, fault = d.header(&h, cfg, in[n:]); fault != nil {
				break
			}
			n += used
			if h.size == 0 {
				return Event{}, n, false, nil
			}
			if h.n <= len(in)-n && h.standsAlone() {
				payload := in[n : n+h.n : n+h.n]
				ws.Cipher(payload, h.mask, 0) // [RFC6455 5.3]
				n += h.n
				ev, fault = d.event(h.op, payload)
				break
			}
			d.hold(cfg).open(h)
		}
		if d.stream && !d.p.frame.op.IsControl() {
			if ok = n < len(in) || d.p.frame.n == 0; !ok {
				return Event{}, n, false, nil
			}
			var used int
			ev, used = d.p.piece(in[n:])
			n += used
			break
		}
		var used int
		if used, fault = d.p.take(cfg, in[n:]); fault != nil {
			break
		}
		n += used
		if d.p.inFrame {
			return Event{}, n, false, nil
		}
		ev, ok, fault = d.frameEnd(cfg)
	}
	if fault != nil {
		d.Release(cfg)
		return Event{}, n, false, fault
	}
	return ev, n, true, nil
}

// standsAlone reports whether a frame is an event by itself, so that its payload needs
// no copy.
func (h *frameHeader) standsAlone() bool {
	return h.op.IsControl() || h.fin && h.op != OpContinuation && !h.rsv1
}

// header reads the next frame header into h, which must be zero. An earlier call may
// have brought its front. used is the number of bytes taken from in: all of them while
// the header is incomplete.
func (d *Decoder) header(h *frameHeader, cfg *DecoderConfig, in []byte) (used int, fault *CloseError) {
	if d.p == nil || d.p.nhead == 0 {
		if fault = d.readHeader(h, in, &cfg.limits); fault != nil || h.size != 0 || len(in) == 0 {
			return h.size, fault
		}
	}
	p := d.hold(cfg)
	have := p.nhead
	p.nhead += copy(p.head[have:], in)
	if fault = d.readHeader(h, p.head[:p.nhead], &cfg.limits); fault != nil || h.size == 0 {
		return len(in), fault
	}
	p.nhead = 0
	return h.size - have, nil
}

// frameEnd is called when the frame in d.p has arrived in full.
func (d *Decoder) frameEnd(cfg *DecoderConfig) (ev Event, ok bool, fault *CloseError) {
	p := d.p
	switch {
	case p.frame.op.IsControl(): // [RFC6455 5.4] allowed between the fragments of a message
		ev, fault = d.event(p.frame.op, p.control[:p.got])
		return ev, fault == nil, fault
	case p.frame.fin:
		ev, fault = p.message(cfg)
		return ev, fault == nil, fault
	}
	return Event{}, false, nil
}

// event makes an event of a frame that stands alone.
func (d *Decoder) event(op OpCode, payload []byte) (Event, *CloseError) {
	switch op {
	case OpText:
		if !utf8.Valid(payload) { // [RFC6455 5.6] [RFC6455 8.1]
			return Event{}, ErrInvalidUTF8
		}
	case OpClose:
		d.ended = true
		return closeEvent(payload)
	}
	return Event{Op: op, Payload: payload}, nil
}

// closeEvent reads the payload of a close frame. [RFC6455 5.5.1]
func closeEvent(payload []byte) (Event, *CloseError) {
	if len(payload) == 0 {
		return Event{Op: OpClose, Code: CloseNoStatus}, nil // [RFC6455 7.1.5]
	}
	if len(payload) == 1 {
		return Event{}, ErrClosePayload
	}
	code, reason := CloseCode(binary.BigEndian.Uint16(payload)), payload[2:]
	if !code.ValidOnWire() {
		return Event{}, ErrCloseCode
	}
	if !utf8.Valid(reason) { // [RFC6455 7.1.6]
		return Event{}, ErrCloseReason
	}
	return Event{Op: OpClose, Code: code, Payload: reason}, nil
}

// inMessage reports whether a fragmented message has begun.
func (d *Decoder) inMessage() bool { return d.p != nil && d.p.op != OpContinuation }

// hold returns d's partial state, from the pool if d has none.
func (d *Decoder) hold(cfg *DecoderConfig) *partial {
	if d.p == nil {
		p, ok := cfg.partials.Get().(*partial)
		if !ok {
			p = new(partial)
		}
		d.p = p
	}
	return d.p
}

// drop returns the partial state to the pool.
func (d *Decoder) drop(cfg *DecoderConfig) {
	cfg.buffers.Put(d.p.buf)
	*d.p = partial{}
	cfg.partials.Put(d.p)
	d.p = nil
}

// Reclaim returns the memory behind the last event, for callers that will not call Next
// for a while.
func (d *Decoder) Reclaim(cfg *DecoderConfig) {
	if d.p != nil && d.p.reclaim() {
		d.drop(cfg)
	}
}

// Held is the capacity of the buffers that d holds, in bytes.
func (d *Decoder) Held() int {
	if d.p == nil {
		return 0
	}
	return d.p.buf.Size()
}

// Idle reports whether d is between messages and owns no memory.
func (d *Decoder) Idle() bool { return d.p == nil }

// Release returns all memory that d holds. After it, Next returns ErrClosed.
func (d *Decoder) Release(cfg *DecoderConfig) {
	d.ended = true
	if d.p != nil {
		d.drop(cfg)
	}
}
