package wsproto

import (
	"fmt"

	"edgeloop/internal/bytebuf"
)

// Limits bounds what one connection may make the decoder hold.
type Limits struct {
	MaxFrame   int // payload of one data frame on the wire, bytes; 0 = MaxMessage; too small: 1009 for honest devices
	MaxMessage int // payload of one message, before and after inflating, bytes; 0 = 1 MiB
}

func (l Limits) withDefaults() (Limits, error) {
	if l.MaxMessage == 0 {
		l.MaxMessage = 1 << 20
	}
	if l.MaxFrame == 0 {
		l.MaxFrame = l.MaxMessage
	}
	if l.MaxFrame < 0 || l.MaxMessage < 0 {
		return l, fmt.Errorf("wsproto: negative limit: frame %d, message %d", l.MaxFrame, l.MaxMessage)
	}
	return l, nil
}

// DecoderConfig holds the limits and pools that all decoders of a server
// share. Any goroutine may use it. A decoder may be handed another one at any
// call, which is how limits change while a server runs.
type DecoderConfig struct {
	// Immutable after construction.
	limits  Limits
	buffers *bytebuf.Pool
}

// NewDecoderConfig checks l and fills in its defaults. buffers lends the memory
// for messages that arrive in pieces.
func NewDecoderConfig(l Limits, buffers *bytebuf.Pool) (*DecoderConfig, error) {
	l, err := l.withDefaults()
	if err != nil {
		return nil, err
	}
	return &DecoderConfig{limits: l, buffers: buffers}, nil
}

// Event is one whole message or control frame.
type Event struct {
	Op      OpCode    // OpText, OpBinary, OpClose, OpPing or OpPong
	Payload []byte    // borrowed until the next call of Next or Release, and no longer than `in`
	Code    CloseCode // for OpClose: the peer's code, CloseNoStatus if it gave none
}

// Decoder turns the bytes of one client into events. The zero value is ready
// for a connection without compression. It belongs to one goroutine.
type Decoder struct {
	compression bool
}

// NewDecoder returns a decoder for a connection that has negotiated compression
// or not (Handshake.Compression).
func NewDecoder(compression bool) Decoder { return Decoder{compression: compression} }

// Next takes one event from the front of in and unmasks it in place; n bytes of
// in were used. ok is false when all of in was used up and more bytes are
// needed. Call it until ok is false, also with an empty in: that call gives
// back the memory behind the last event.
//
// A message that lies whole in `in` is returned as a piece of in; everything
// partial is copied, so in may be reused after the events from it were handled.
// err is one of the *CloseError values of this package, or ErrClosed.
func (d *Decoder) Next(cfg *DecoderConfig, in []byte) (ev Event, n int, ok bool, err error) {
	return Event{}, len(in), false, nil
}

// Idle reports whether d is between messages and owns no memory.
func (d *Decoder) Idle() bool { return true }

// Release gives back all that d holds. d must not be used again.
func (d *Decoder) Release(cfg *DecoderConfig) {}
