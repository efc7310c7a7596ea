package wsproto

import (
	"io"
	"strconv"
)

// exchange is the client's side of gobwas/ws: it lets it read exactly one header block, and
// keeps the response, which can still be discarded if the device is refused.
type exchange struct {
	in  []byte // borrowed
	out []byte // owned, reused
}

// Read implements io.Reader.
func (x *exchange) Read(p []byte) (int, error) {
	if len(x.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.in)
	x.in = x.in[n:]
	return n, nil
}

// Write implements io.Writer.
func (x *exchange) Write(p []byte) (int, error) {
	x.out = append(x.out, p...)
	return len(p), nil
}

// upgrade lets gobwas/ws judge block and write the 101. The callbacks are made once for
// each h.
func (h *Handshake) upgrade(block []byte) error {
	if h.upgrader.Header == nil {
		h.upgrader.Header = extensionHeader{h}
		h.upgrader.ProtocolCustom = func([]byte) (string, bool) { return h.Protocol, true }
	}
	if h.required.otherConnection {
		block = h.withoutOtherConnections(block)
	}
	h.exchange.in = block
	_, err := h.upgrader.Upgrade(&h.exchange)
	if err != nil || len(h.exchange.in) != 0 {
		h.exchange.out = h.exchange.out[:0]
		return errHandshake
	}
	return nil
}

// withoutOtherConnections copies block without the Connection fields that do not name
// Upgrade. The list may span several lines, but gobwas/ws wants the word in each.
func (h *Handshake) withoutOtherConnections(block []byte) []byte {
	out := make([]byte, 0, len(block))
	for rest := block; len(rest) > 0; {
		line, after, _ := cutLine(rest) // Parse has checked that every line has its end
		name, value, ok := cutField(line)
		if !ok || !equalFold(name, "Connection") || hasToken(value, "upgrade") {
			out = append(out, rest[:len(rest)-len(after)]...)
		}
		rest = after
	}
	return out
}

// AppendResponse appends the 101 for the handshake last parsed without an error, and
// returns the longer slice.
func (h *Handshake) AppendResponse(dst []byte) []byte { return append(dst, h.exchange.out...) }

// extensionHeader writes the agreed permessage-deflate into the 101. gobwas/ws could
// negotiate itself, but would fail the handshake where the RFC wants a bad offer
// declined. [RFC7692 7.1]
type extensionHeader struct{ h *Handshake }

// WriteTo implements ws.HandshakeHeader.
func (e extensionHeader) WriteTo(w io.Writer) (int64, error) {
	if !e.h.Compression {
		return 0, nil
	}
	var line [160]byte
	b := append(line[:0], "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
	if e.h.window {
		b = append(b, "; server_max_window_bits="...) // [RFC7692 7.1.2.1]
		b = strconv.AppendInt(b, int64(e.h.WindowBits), 10)
	}
	n, err := w.Write(append(b, "\r\n"...))
	return int64(n), err
}
