package wsproto_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
	lax "github.com/klauspost/compress/flate"

	"edgeloop/wsproto"
)

// modelDecode is the decoder written for clearness alone, over gobwas/ws: it
// wants all bytes at once, copies everything and looks at text one character at
// a time. No compression.
func modelDecode(in []byte, l wsproto.Limits) (out []string) {
	var message []byte
	var op ws.OpCode
	state := ws.StateServerSide
	for {
		r := bytes.NewReader(in)
		h, err := ws.ReadHeader(r)
		fault := modelHeader(in, h, err, state, l, len(message))
		if fault != nil {
			return append(out, "error "+fault.Error())
		}
		if err != nil {
			if len(in) == 0 && !state.Fragmented() {
				return append(out, "idle")
			}
			return append(out, "needs more")
		}
		in = in[len(in)-r.Len():]
		payload := bytes.Clone(in[:min(int64(len(in)), h.Length)])
		whole := int64(len(payload)) == h.Length
		in = in[len(payload):]
		ws.Cipher(payload, h.Mask, 0)

		if h.OpCode.IsControl() {
			if !whole {
				return append(out, "needs more")
			}
			ev, fault := modelControl(h.OpCode, payload)
			if fault != nil {
				return append(out, "error "+fault.Error())
			}
			out = append(out, describe(ev))
			if h.OpCode == ws.OpClose {
				return append(out, "error "+wsproto.ErrClosed.Error())
			}
			continue
		}
		if h.OpCode != ws.OpContinuation {
			op = h.OpCode
		}
		message = append(message, payload...)
		if op == ws.OpText && !modelText(message, h.Fin && whole) {
			return append(out, "error "+wsproto.ErrInvalidUTF8.Error())
		}
		if !whole {
			return append(out, "needs more")
		}
		state = state.Set(ws.StateFragmented)
		if h.Fin {
			out = append(out, describe(wsproto.Event{Op: wsproto.OpCode(op), Payload: message}))
			message, state = nil, state.Clear(ws.StateFragmented)
		}
	}
}

// modelHeader is what gobwas/ws finds wrong with a header, and what it does not
// look at. err is what reading the header said.
func modelHeader(in []byte, h ws.Header, err error, state ws.State, l wsproto.Limits, have int) *wsproto.CloseError {
	if len(in) < 2 {
		return nil
	}
	switch first := ws.CheckHeader(modelStart(in), state); {
	case errors.Is(first, ws.ErrProtocolOpCodeReserved):
		return wsproto.ErrReservedOpCode
	case errors.Is(first, ws.ErrProtocolControlPayloadOverflow):
		return wsproto.ErrControlTooLong
	case errors.Is(first, ws.ErrProtocolControlNotFinal):
		return wsproto.ErrControlFragmented
	case errors.Is(first, ws.ErrProtocolNonZeroRsv):
		return wsproto.ErrReservedBits
	case errors.Is(first, ws.ErrProtocolMaskRequired):
		return wsproto.ErrNotMasked
	case errors.Is(first, ws.ErrProtocolContinuationExpected):
		return wsproto.ErrContinuationExpected
	case errors.Is(first, ws.ErrProtocolContinuationUnexpected):
		return wsproto.ErrContinuationUnexpected
	}
	switch {
	case errors.Is(err, ws.ErrHeaderLengthMSB):
		return wsproto.ErrLengthTopBit
	case err != nil:
		return nil
	case ws.HeaderSize(h) != modelSize(in):
		return wsproto.ErrLengthNotMinimal
	case !h.OpCode.IsControl() && h.Length > int64(l.MaxFrame):
		return wsproto.ErrFrameTooBig
	case !h.OpCode.IsControl() && h.Length > int64(l.MaxMessage-have):
		return wsproto.ErrMessageTooBig
	}
	return nil
}

// modelStart is what the first two bytes alone say of a header.
func modelStart(in []byte) ws.Header {
	return ws.Header{
		Fin: in[0]&0x80 != 0, Rsv: in[0] & 0x70 >> 4, OpCode: ws.OpCode(in[0] & 0x0f),
		Masked: in[1]&0x80 != 0, Length: int64(in[1] & 0x7f),
	}
}

// modelSize is the size of a masked header by its first length byte.
func modelSize(in []byte) int {
	switch in[1] & 0x7f {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

func modelControl(op ws.OpCode, payload []byte) (wsproto.Event, *wsproto.CloseError) {
	ev := wsproto.Event{Op: wsproto.OpCode(op), Payload: payload}
	if op != ws.OpClose {
		return ev, nil
	}
	switch len(payload) {
	case 0:
		ev.Code = wsproto.CloseNoStatus
		return ev, nil
	case 1:
		return ev, wsproto.ErrClosePayload
	}
	code := binary.BigEndian.Uint16(payload)
	ev.Code, ev.Payload = wsproto.CloseCode(code), payload[2:]
	err := ws.CheckCloseFrameData(ws.StatusCode(code), string(payload[2:]))
	switch {
	case code >= 1012 && code <= 1014: // in the registry, unknown to the library
		err = nil
	case code >= 5000: // beyond the ranges of the RFC, let pass by the library
		return ev, wsproto.ErrCloseCode
	case err != nil && !errors.Is(err, ws.ErrProtocolInvalidUTF8):
		return ev, wsproto.ErrCloseCode
	}
	if err != nil || !utf8.Valid(ev.Payload) {
		return ev, wsproto.ErrCloseReason
	}
	return ev, nil
}

// modelText looks at text one character at a time; unless it is complete, the
// last one may be unfinished.
func modelText(text []byte, complete bool) bool {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			return !complete && !utf8.FullRune(text)
		}
		text = text[n:]
	}
	return true
}

// modelInflate is what a reader makes of compressed data, at most limit bytes of it.
// [RFC7692 7.2.2] [RFC7692 7.2.1]
func modelInflate(z io.ReadCloser, data []byte, limit int) ([]byte, *wsproto.CloseError) {
	src := bytes.NewReader(append(bytes.Clone(data), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
	var out []byte
	for range 64 {
		_ = z.(flate.Resetter).Reset(src, out[max(0, len(out)-32768):])
		more, err := io.ReadAll(io.LimitReader(z, int64(limit-len(out)+1)))
		out = append(out, more...)
		if len(out) > limit {
			return nil, wsproto.ErrMessageTooBig
		}
		if err != nil || len(data) == 0 {
			return nil, wsproto.ErrInflate
		}
		if src.Len() == 0 {
			return out, nil
		}
	}
	return nil, wsproto.ErrInflate
}

// laxReader reads blocks without a code as the decoder does.
func laxReader() io.ReadCloser {
	z := lax.NewReader(bytes.NewReader(wsproto.Primed))
	_, _ = io.ReadAll(z)
	return z
}
