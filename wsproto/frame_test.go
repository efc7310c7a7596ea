package wsproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"

	"edgeloop/internal/bytebuf"
	"edgeloop/wsproto"
)

// bits turns a drawing of zeros and ones into bytes; all else is decoration.
func bits(t *testing.T, drawing string) (out []byte) {
	t.Helper()
	digits := strings.Map(func(r rune) rune {
		if r == '0' || r == '1' {
			return r
		}
		return -1
	}, drawing)
	for ; len(digits) >= 8; digits = digits[8:] {
		n, err := strconv.ParseUint(digits[:8], 2, 8)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, byte(n))
	}
	if digits != "" {
		t.Fatalf("drawing ends with %d loose bits", len(digits))
	}
	return out
}

// The three forms of a frame header, as RFC 6455 draws them. [RFC6455 5.2]
func TestDecoder_HeaderBits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		drawing string
		payload int
	}{
		{"length in 7 bits", `
			1 000 0010  1 0000011
			| \_/ \__/  | \_____/
			F RSV  op   M  length
			00000001 00000010 00000011 00000100
			\_________________________________/
			               mask`, 3},
		{"length in 16 bits", `
			1 000 0010  1 1111110  00000001 00000000
			| \_/ \__/  | \_____/  \_______________/
			F RSV  op   M   =126         length
			00000001 00000010 00000011 00000100
			\_________________________________/
			               mask`, 256},
		{"length in 64 bits", `
			1 000 0010  1 1111111
			| \_/ \__/  | \_____/
			F RSV  op   M   =127
			00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000
			\_____________________________________________________________________/
			                                 length
			00000001 00000010 00000011 00000100
			\_________________________________/
			               mask`, 65536},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The labels under the drawing hold no zeros and ones but those of "=126" and "=127".
			drawing := strings.NewReplacer("=126", "", "=127", "").Replace(tt.drawing)
			in := bits(t, drawing)
			want := bytes.Repeat([]byte("x"), tt.payload)
			body := bytes.Clone(want)
			ws.Cipher(body, [4]byte{1, 2, 3, 4}, 0)
			in = append(in, body...)

			var d wsproto.Decoder
			ev, n, ok, err := d.Next(config(t, wsproto.Limits{}), in)
			if err != nil || !ok || n != len(in) {
				t.Fatalf("n %d of %d, ok %v, err %v", n, len(in), ok, err)
			}
			if ev.Op != wsproto.OpBinary || !bytes.Equal(ev.Payload, want) {
				t.Errorf("op %d, payload of %d bytes", ev.Op, len(ev.Payload))
			}
			if &ev.Payload[0] != &in[len(in)-tt.payload] {
				t.Error("a whole message was copied")
			}
		})
	}
}

func config(t tb, l wsproto.Limits) *wsproto.DecoderConfig {
	t.Helper()
	cfg, err := wsproto.NewDecoderConfig(l, new(bytebuf.Pool))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// 100,000 idle devices hold 100,000 decoders.
func TestDecoder_Size(t *testing.T) {
	if size := unsafe.Sizeof(wsproto.Decoder{}); size > 24 {
		t.Errorf("a decoder is %d bytes, want at most 24", size)
	}
}

// An event is returned in registers by each layer of a read; of five words it were copied
// through memory, which took half of the time of a message.
func TestEvent_Size(t *testing.T) {
	if size := unsafe.Sizeof(wsproto.Event{}); size > 4*unsafe.Sizeof(uintptr(0)) {
		t.Errorf("an event is %d bytes, want at most four words", size)
	}
}

func TestNewDecoderConfig(t *testing.T) {
	for _, l := range []wsproto.Limits{{MaxFrame: -1}, {MaxMessage: -1}, {MaxMessage: 1<<30 + 1}, {MaxFrame: 1 << 40}} {
		if _, err := wsproto.NewDecoderConfig(l, new(bytebuf.Pool)); err == nil {
			t.Errorf("%+v: no error", l)
		}
	}
}

// Limits can be changed under a connection that is in the middle of a message.
func TestDecoder_LimitsChange(t *testing.T) {
	var d wsproto.Decoder
	wide, narrow := config(t, wsproto.Limits{MaxMessage: 1000}), config(t, wsproto.Limits{MaxMessage: 10})
	first := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpBinary, false, make([]byte, 500))))
	if _, _, ok, err := d.Next(wide, first); ok || err != nil {
		t.Fatalf("ok %v, err %v", ok, err)
	}
	rest := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, []byte("x"))))
	if _, _, _, err := d.Next(narrow, rest); !errors.Is(err, wsproto.ErrMessageTooBig) {
		t.Errorf("err %v, want %v", err, wsproto.ErrMessageTooBig)
	}
}

// A peer that declares much and sends little makes the decoder hold little:
// memory is taken for bytes that came. [RFC6455 10.4]
func TestDecoder_DeclaredLengthTakesNoMemory(t *testing.T) {
	cfg := config(t, wsproto.Limits{MaxMessage: 1 << 30})
	in := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<30)
	in = append(in, "\x00\x00\x00\x00 some bytes"...)
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			var d wsproto.Decoder
			if _, _, ok, err := d.Next(cfg, in); ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1024 {
		t.Errorf("%d bytes for 11 that arrived", allocated)
	}
}

func TestDecoder_Release(t *testing.T) {
	cfg := config(t, wsproto.Limits{})
	var d wsproto.Decoder
	if _, _, ok, err := d.Next(cfg, []byte{0x82}); ok || err != nil {
		t.Fatal(ok, err)
	}
	if d.Idle() {
		t.Error("idle with half a header")
	}
	d.Release(cfg)
	if !d.Idle() {
		t.Error("not idle after Release")
	}
	if _, _, _, err := d.Next(cfg, nil); !errors.Is(err, wsproto.ErrClosed) {
		t.Errorf("Next after Release: %v", err)
	}
}

// A large message that arrives bit by bit never takes more memory than twice what is
// there, nor, from 1 MiB on, than it has said to be long. One that is said to be
// long takes nothing for that.
func TestDecoder_PartialMemory(t *testing.T) {
	const size, piece = 4<<20 - 1024, 16 << 10
	bufs := new(bytebuf.Pool)
	cfg, err := wsproto.NewDecoderConfig(wsproto.Limits{MaxMessage: 4 << 20}, bufs)
	if err != nil {
		t.Fatal(err)
	}
	var d wsproto.Decoder
	in := binary.BigEndian.AppendUint64([]byte{0x82, 0x80 | 127}, size)
	in = append(in, 0, 0, 0, 0)
	for arrived := 0; ; arrived += piece {
		ev, _, ok, err := d.Next(cfg, in)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			if len(ev.Payload) != size {
				t.Errorf("a message of %d bytes, want %d", len(ev.Payload), size)
			}
			break
		}
		held := int(bufs.Held())
		if bound := 2 * max(arrived, piece); held > bound || arrived > 1<<20 && held > size {
			t.Fatalf("%d bytes held for %d that arrived of %d", held, arrived, size)
		}
		in = make([]byte, min(piece, size-arrived))
	}
	d.Release(cfg)
	if held := bufs.Held(); held != 0 {
		t.Errorf("%d bytes held in the end", held)
	}
}

// TestDecoder_FragmentsAreCopiedSeldom: however small the fragments of a message are,
// what it lies in grows by doubling.
func TestDecoder_FragmentsAreCopiedSeldom(t *testing.T) {
	const size, fragment = 4 << 20, 64
	bufs := new(bytebuf.Pool)
	cfg, err := wsproto.NewDecoderConfig(wsproto.Limits{MaxMessage: size}, bufs)
	if err != nil {
		t.Fatal(err)
	}
	var d wsproto.Decoder
	grown, held := 0, int64(0)
	for sent := 0; sent < size; sent += fragment {
		head := byte(0) // a continuation
		if sent == 0 {
			head = 0x02
		}
		if sent+fragment == size {
			head |= 0x80
		}
		in := append([]byte{head, 0x80 | fragment, 0, 0, 0, 0}, make([]byte, fragment)...)
		ev, _, ok, err := d.Next(cfg, in)
		if err != nil || ok != (sent+fragment == size) || ok && len(ev.Payload) != size {
			t.Fatalf("after %d bytes: whole %t, %d bytes, error %v", sent+fragment, ok, len(ev.Payload), err)
		}
		if now := bufs.Held(); now != held {
			grown, held = grown+1, now
		}
	}
	if grown > 20 {
		t.Errorf("grew %d times", grown)
	}
	d.Release(cfg)
}

// A device's message that came in two frames is good until the next call, and
// no longer: the same memory then serves another device.
func ExampleDecoder_Next() {
	cfg, err := wsproto.NewDecoderConfig(wsproto.Limits{MaxMessage: 4096}, new(bytebuf.Pool))
	if err != nil {
		panic(err)
	}
	in := []byte("\x01\x83\x00\x00\x00\x00Hel" + "\x80\x82\x00\x00\x00\x00lo" + "\x89\x80\x00\x00\x00\x00")
	var d wsproto.Decoder
	for {
		ev, n, ok, err := d.Next(cfg, in)
		if err != nil || !ok {
			break
		}
		fmt.Printf("%d %q\n", ev.Op, ev.Payload)
		in = in[n:]
	}
	fmt.Println("idle:", d.Idle())
	// Output:
	// 1 "Hello"
	// 9 ""
	// idle: true
}
