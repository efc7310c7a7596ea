package wsproto_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/wsproto"
)

// readFrame reads the one frame that b is.
func readFrame(t tb, b []byte) ws.Frame {
	t.Helper()
	r := bytes.NewReader(b)
	h, err := ws.ReadHeader(r)
	if err != nil || h.Length != int64(r.Len()) {
		t.Fatal("not one frame", h, err)
	}
	return ws.Frame{Header: h, Payload: bytes.Clone(b[len(b)-r.Len():])}
}

// compressed is payload as a client would send it: one masked frame.
func compressed(t tb, z *wsproto.Deflater, payload []byte, windowBits uint8) []byte {
	t.Helper()
	f := readFrame(t, wsproto.AppendCompressed(nil, wsproto.OpBinary, payload, z, windowBits))
	return ws.MustCompileFrame(ws.MaskFrame(f))
}

// inflateAll is what the standard library makes of compressed data.
// [RFC7692 7.2.2]
func inflateAll(t tb, data []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(data), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What we compress, the standard library and our own decoder read.
// [RFC7692 7.2.1] [RFC7692 7.1.1.1]
func TestAppendCompressed(t *testing.T) {
	var z wsproto.Deflater
	text := []byte(strings.Repeat(`{"type":"telemetry","seq":7,"topic":"temp","data":{"c":21.5}}`+"\n", 2000))
	rng := rand.New(rand.NewPCG(1, 2))
	for bits := uint8(8); bits <= 15; bits++ {
		for _, n := range []int{0, 1, 63, 64, 65, 127, 128, 255, 256, 257, 1000, 32767, 32768, 32769, 70000, len(text)} {
			payload := bytes.Clone(text[:n])
			for range n / 100 { // not too regular
				payload[rng.IntN(n)] = byte('a' + rng.IntN(26))
			}
			out := wsproto.AppendCompressed([]byte("before"), wsproto.OpText, payload, &z, bits)
			out, ok := bytes.CutPrefix(out, []byte("before"))
			if !ok {
				t.Fatal("what was in dst is gone")
			}
			f := readFrame(t, out)
			got := f.Payload
			if f.Header.Rsv1() {
				got = inflateAll(t, got)
			}
			if !bytes.Equal(got, payload) {
				t.Errorf("%d bits, %d bytes: read back as %d bytes", bits, n, len(got))
			}
			if len(out) > ws.HeaderSize(f.Header)+n {
				t.Errorf("%d bits, %d bytes: the frame grew to %d", bits, n, len(out))
			}
			d := wsproto.NewDecoder(true)
			in := ws.MustCompileFrame(ws.MaskFrame(f))
			ev, _, ok, err := d.Next(config(t, wsproto.Limits{}), in)
			if err != nil || !ok || !bytes.Equal(ev.Payload, payload) {
				t.Errorf("%d bits, %d bytes: decoded as %d bytes, err %v", bits, n, len(ev.Payload), err)
			}
		}
	}
}

// No reference in what we send goes back further than the client's window:
// noise that repeats itself just beyond the window cannot be made smaller,
// noise that repeats itself inside it can. [RFC7692 7.1.2.1]
func TestAppendCompressed_Window(t *testing.T) {
	var z wsproto.Deflater
	rng := rand.New(rand.NewPCG(3, 4))
	for bits := uint8(8); bits <= 15; bits++ {
		window := 1 << bits
		noise := make([]byte, window+1)
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		beyond := bytes.Repeat(noise, 4)
		if out := wsproto.AppendCompressed(nil, wsproto.OpBinary, beyond, &z, bits); out[0]&0x40 != 0 {
			t.Errorf("%d bits: %d bytes of noise became %d", bits, len(beyond), len(out))
		}
		inside := bytes.Repeat(noise[:window/4], 8)
		if out := wsproto.AppendCompressed(nil, wsproto.OpBinary, inside, &z, bits); len(out) > len(inside)*2/3 {
			t.Errorf("%d bits: %d bytes of repeated noise became %d", bits, len(inside), len(out))
		}
	}
}

func TestAppendCompressed_Plain(t *testing.T) {
	var z wsproto.Deflater
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, tt := range map[string]struct {
		op      wsproto.OpCode
		payload []byte
		bits    uint8
	}{
		"a short message":           {wsproto.OpText, []byte("aaaaaaaaaaaaaaaaaaaaaaaa"), 15},
		"data that does not shrink": {wsproto.OpBinary, noise, 15},
		"nothing was negotiated":    {wsproto.OpText, bytes.Repeat([]byte("a"), 1000), 0},
		"a control frame":           {wsproto.OpPing, bytes.Repeat([]byte("a"), 100), 15}, // [RFC7692 6.1]
	} {
		t.Run(name, func(t *testing.T) {
			got := wsproto.AppendCompressed(nil, tt.op, tt.payload, &z, tt.bits)
			if want := wsproto.AppendFrame(nil, tt.op, tt.payload); !bytes.Equal(got, want) {
				t.Errorf("got %x…, want %x…", got[:8], want[:8])
			}
		})
	}
}

// A client may mark any block as the final one. Each such mark costs a copy of
// the window, so a message made of nothing else is cut short. [RFC7692 7.2.1]
func TestDecoder_ManyFinalBlocks(t *testing.T) {
	final := []byte{1, 0, 0, 0xff, 0xff} // empty, not compressed, final
	for n, want := range map[int]error{10: nil, 60: nil, 1000: wsproto.ErrInflate} {
		in := frame(ws.OpBinary, true, append(bytes.Repeat(final, n), 0))
		in[0] |= 0x40
		d := wsproto.NewDecoder(true)
		_, _, ok, err := d.Next(config(t, wsproto.Limits{}), in)
		if !errors.Is(err, want) || ok != (want == nil) {
			t.Errorf("%d final blocks: ok %v, err %v", n, ok, err)
		}
	}
}
