package wsproto

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// minDeflate is the shortest payload worth compressing, bytes. Below it the result
	// is hardly ever shorter.
	minDeflate = 64

	// deflateTail is the length of the empty block that a sender cuts off the end
	// of compressed data, bytes. [RFC7692 7.2.1]
	deflateTail = 4
)

// Deflater compresses outgoing messages. One serves all connections; the zero
// value is ready and must not be copied. Any goroutine may use it.
type Deflater struct {
	// Atomic. A sync.Pool synchronises itself.
	writers sync.Pool // of *sliceWriter
}

// sliceWriter is an io.Writer that appends to a slice.
type sliceWriter struct{ b []byte }

// Write implements io.Writer.
func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// AppendCompressed appends payload as one frame and returns the longer slice. The frame
// is compressed unless compression would not make it smaller.
// windowBits is Handshake.WindowBits; with 0 nothing is compressed. payload is
// borrowed until return. No state is kept between messages.
// [RFC7692 7.2.1] [RFC7692 7.1.1.1]
func AppendCompressed(dst []byte, op OpCode, payload []byte, z *Deflater, windowBits uint8) []byte {
	if len(payload) < minDeflate || op.IsControl() || windowBits == 0 { // [RFC7692 6.1]
		return AppendFrame(dst, op, payload)
	}
	w, ok := z.writers.Get().(*sliceWriter)
	if !ok {
		w = new(sliceWriter)
	}
	// The header's size depends on the data's: leave room for the longest.
	start := len(dst)
	w.b = AppendFrameHeader(dst, op, true, true, len(payload))
	data := len(w.b)
	w.deflate(payload, windowBits)
	dst, w.b = w.b, nil
	z.writers.Put(w)

	n := len(dst) - data - deflateTail
	if n >= len(payload) {
		return AppendFrame(dst[:start], op, payload)
	}
	end := AppendFrameHeader(dst[:start], op, true, true, n)
	return append(end, dst[data:data+n]...)
}

// deflate writes payload so that no reference reaches back beyond the window. For a small
// window it compresses one window at a time.
// [RFC7692 7.1.2.1]
func (w *sliceWriter) deflate(payload []byte, windowBits uint8) {
	piece := len(payload)
	if windowBits < 15 {
		piece = 1 << windowBits
	}
	for len(payload) > 0 {
		n := min(piece, len(payload))
		// Writing to a slice cannot fail.
		_ = flate.StatelessDeflate(w, payload[:n], false, nil)
		payload = payload[n:]
	}
}
