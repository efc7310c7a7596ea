package wsproto

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"
)

const (
	// inflateTail ends the compressed data: the empty block that the sender cut off
	// [RFC7692 7.2.2], and another empty block marked as final, which distinguishes the
	// end from missing data.
	inflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

	// maxWindow is how far back compressed data may refer, in bytes.
	maxWindow = 1 << 15

	// maxRestarts bounds the blocks marked as final in one message. Each costs a copy
	// of the window, and a message may consist of two-byte blocks.
	maxRestarts = 64
)

// primed is an empty block, whose one literal ends it and whose one distance is 24,577 bytes or
// more, and a final empty one. Up to v1.20.4 the library reads a block that lacks one of these
// codes with that of the block before, even if that was in the message of another device; zlib and
// the standard library refuse such a block. Behind primed, the block before is one of the same
// message, or one with which nothing can be read. The standard library in its place would make 75
// MB of garbage for 64 KiB of tiny blocks with long codes; this one makes none.
var primed = []byte("\x04\xdd\x81\x00\x00\x00\x00\x00\x90\xff\x6b\x25\x04\x00\x00\xff\xff")

// inflater decompresses one message at a time.
type inflater struct {
	src  bytes.Reader
	z    io.Reader // also a flate.Resetter
	over [1]byte   // takes a byte over the limit
}

// prime has f forget the codes of the message before.
func (f *inflater) prime() bool {
	f.src.Reset(primed)
	if f.z.(flate.Resetter).Reset(&f.src, nil) != nil {
		return false
	}
	_, err := f.z.Read(f.over[:])
	return err == io.EOF
}

// inflate replaces the compressed message in p by its content. Each message starts with an
// empty window: the client's context takeover was declined.
// [RFC7692 7.2.2] [RFC7692 7.1.1.2]
func (cfg *DecoderConfig) inflate(p *partial) *CloseError {
	if p.buf == nil {
		return ErrInflate // even an empty message has one byte [RFC7692 7.2.3.6]
	}
	f, ok := cfg.inflaters.Get().(*inflater)
	if !ok {
		f = &inflater{}
		f.z = flate.NewReader(&f.src)
	}
	defer cfg.inflaters.Put(f)

	in := p.buf
	in.Grow(cfg.buffers, len(inflateTail))
	in.B = append(in.B, inflateTail...)
	defer f.src.Reset(nil)

	// The pool counts the inflated message as it grows.
	p.buf = cfg.buffers.Get(min(4*len(in.B), cfg.limits.MaxMessage))
	fault := f.run(cfg, in.B, p)
	cfg.buffers.Put(in)
	return fault
}

// run inflates data into p.buf, which never exceeds the limit.
// [RFC6455 10.4]
func (f *inflater) run(cfg *DecoderConfig, data []byte, p *partial) *CloseError {
	if !f.prime() {
		return ErrInflate
	}
	f.src.Reset(data)
	most := cfg.limits.MaxMessage
	var window []byte
	for range maxRestarts {
		if err := f.z.(flate.Resetter).Reset(&f.src, window); err != nil {
			return ErrInflate
		}
		var err error
		for err == nil {
			var n int
			if len(p.buf.B) == most {
				if n, err = f.z.Read(f.over[:]); n > 0 {
					return ErrMessageTooBig
				}
				continue
			}
			p.buf.GrowUpTo(cfg.buffers, 1, most)
			have := len(p.buf.B)
			n, err = f.z.Read(p.buf.B[have:min(cap(p.buf.B), most)])
			p.buf.B = p.buf.B[:have+n]
		}
		if err != io.EOF {
			return ErrInflate
		}
		if f.src.Len() == 0 {
			return nil
		}
		// A block marked as final does not end the message.
		// [RFC7692 7.2.1] [RFC7692 7.2.3.4]
		window = p.buf.B[max(0, len(p.buf.B)-maxWindow):]
	}
	return ErrInflate
}
