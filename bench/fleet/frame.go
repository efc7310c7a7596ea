package fleet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"

	"github.com/gobwas/ws"
)

// maxIncoming is the largest message a device accepts, in bytes.
const maxIncoming = 16 << 20

var errFrameTooBig = errors.New("fleet: message above 16 MiB")

// framer writes masked frames into one buffer and reads the node's frames.
// One per loop; the header work is gobwas/ws.
type framer struct {
	out    []byte // frames gathered for one write
	bare   bool   // no frames: what is written are packets
	rng    *rand.Rand
	header [ws.MaxHeaderSize]byte
	src    bytes.Reader
}

// Write appends to out; it makes a framer the io.Writer that gobwas asks for.
func (f *framer) Write(p []byte) (int, error) {
	f.out = append(f.out, p...)
	return len(p), nil
}

// frame appends a whole masked frame. payload is borrowed until return.
func (f *framer) frame(op ws.OpCode, payload []byte) {
	if f.bare {
		f.out = append(f.out, payload...)
		return
	}
	var mask [4]byte
	binary.LittleEndian.PutUint32(mask[:], f.rng.Uint32())
	h := ws.Header{Fin: true, OpCode: op, Masked: true, Mask: mask, Length: int64(len(payload))}
	_ = ws.WriteHeaderBuffer(f, h, f.header[:]) // Write never fails
	start := len(f.out)
	f.out = append(f.out, payload...)
	ws.Cipher(f.out[start:], mask, 0)
}

// next splits the first frame off b; ok is false when b holds no whole frame.
// payload borrows b. state tells whether a fragmented message is under way.
func (f *framer) next(b []byte, state ws.State) (h ws.Header, payload []byte, size int, ok bool, err error) {
	f.src.Reset(b)
	h, err = ws.ReadHeaderBuffer(&f.src, f.header[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return h, nil, 0, false, nil
	}
	if err != nil {
		return h, nil, 0, false, err
	}
	if err = ws.CheckHeader(h, state); err != nil {
		return h, nil, 0, false, err
	}
	if h.Length > maxIncoming {
		return h, nil, 0, false, errFrameTooBig
	}
	if f.src.Len() < int(h.Length) {
		return h, nil, 0, false, nil
	}
	at := len(b) - f.src.Len()
	size = at + int(h.Length)
	return h, b[at:size], size, true, nil
}
