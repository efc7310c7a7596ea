package conformance_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const plainOffer = "permessage-deflate"

// compressed is a compressed message in one frame.
func compressed(op byte, payload []byte, level int) []byte {
	return frame(fin|rsv1|op, deflate(payload, level))
}

// squeezed is a compressed message in fragments of size bytes. [RFC7692 6.1]
func squeezed(op byte, payload []byte, size, level int) []byte {
	b := fragments(op, deflate(payload, level), size)
	b[0] |= rsv1
	return b
}

// The kinds of content of sections 12 and 13.
func contents() []struct {
	name string
	op   byte
	mk   func(n int) []byte
} {
	type kind = struct {
		name string
		op   byte
		mk   func(n int) []byte
	}
	return []kind{
		{"JSON", opText, func(n int) []byte {
			var b []byte
			for i := 0; len(b) < n; i++ {
				b = fmt.Appendf(b, `{"device":"sensor-%d","ts":%d,"c":%d.%d},`, i%17, 1795234836000+i, 20+i%7, i%10)
			}
			return b[:n]
		}},
		{"an image", opBinary, func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(i%512/2) ^ byte(i/512)
			}
			return b
		}},
		{"English", opText, letters},
		{"a log in several languages", opText, func(n int) []byte {
			s := strings.Repeat("2026-11-21 température 21,5 °C — 温度は正常です\n", n/50+1)
			for !strings.HasPrefix(s[n:], "\n") && n < len(s) && s[n]&0xc0 == 0x80 { // not inside a character
				n++
			}
			return []byte(s[:n])
		}},
		{"noise", opBinary, noise},
	}
}

// traffic is the 18 cases that the suite has for each kind of content and each
// offer: n messages of ten sizes whole, and of eight in fragments; half of them
// compressed, as a client may choose. [RFC7692 7.2]
func traffic(id, offer string, window int, name string, op byte, mk func(int) []byte) (cases []testCase) {
	add := func(i, size, fragment int) {
		n := quickOr(6, min(1000, 100<<20/size))
		msg := mk(size)
		var send []byte
		for k := range n {
			switch {
			case k%4 == 3 && fragment == 0:
				send = append(send, frame(fin|op, msg)...)
			case k%4 == 3:
				send = append(send, fragments(op, msg, fragment)...)
			case fragment == 0:
				send = append(send, compressed(op, msg, 1+k%9)...)
			default:
				send = append(send, squeezed(op, msg, fragment, 1+k%9)...)
			}
		}
		cases = append(cases, testCase{
			id: fmt.Sprintf("%s.%d", id, i), name: fmt.Sprintf("%d times %s of %d bytes, fragments of %d, %s", n, name, len(msg), fragment, offer),
			send: send, want: times(n, event{op, msg}), offer: offer, window: window,
		})
	}
	i := 1
	for _, size := range []int{16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072} {
		add(i, size, 0)
		i++
	}
	for _, c := range [][2]int{{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256}, {131072, 1024}, {131072, 4096}, {131072, 32768}} {
		add(i, c[0], c[1])
		i++
	}
	return cases
}

func TestSection12_CompressedContents(t *testing.T) {
	for i, c := range contents() {
		t.Run(c.name, func(t *testing.T) { run(t, traffic(fmt.Sprintf("12.%d", i+1), plainOffer, 1<<15, c.name, c.op, c.mk)) })
	}
}

// Each offer with the window that the node must then keep to. [RFC7692 7.1]
func TestSection13_CompressionOffers(t *testing.T) {
	json := contents()[0]
	for i, o := range []struct {
		offer string
		bits  int
	}{
		{"permessage-deflate; client_max_window_bits", 15},
		{"permessage-deflate; client_max_window_bits; server_no_context_takeover", 15},
		{"permessage-deflate; client_max_window_bits; server_max_window_bits=9", 9},
		{"permessage-deflate; client_max_window_bits; server_max_window_bits=15", 15},
		{"permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=9", 9},
		{"permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=15", 15},
		{"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate", 9},
		{"permessage-deflate; server_max_window_bits=8", 8},
		{"permessage-deflate; server_max_window_bits=10; client_no_context_takeover", 10},
		{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=10", 12},
		{"x-unknown, permessage-deflate; nonsense, permessage-deflate; server_max_window_bits=14", 14},
	} {
		t.Run(o.offer, func(t *testing.T) {
			run(t, traffic(fmt.Sprintf("13.%d", i+1), o.offer, 1<<o.bits, json.name, json.op, json.mk))
		})
	}
}

// The node does compress, and its answers are smaller for it.
func TestSection13_TheNodeCompresses(t *testing.T) {
	for _, bits := range []int{8, 9, 12, 15} {
		d, err := open(deflateAddr, fmt.Sprintf("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d\r\n", bits), 1<<bits)
		if err != nil {
			t.Fatal(err)
		}
		msg := letters(20_000)
		if err := d.play([][]byte{frame(fin|opText, msg)}, echoes(text(string(msg))), stay); err != nil {
			t.Error(err)
		}
		if d.r.sawRSV1 != 1 {
			t.Errorf("with %d window bits the answer was not compressed", bits)
		}
		if err := d.leave(); err != nil {
			t.Error(err)
		}
		d.close()
	}
}

// Section 15: what compressed data looks like, from the examples of RFC 7692
// 7.2.3 on, and what is wrong with some of it.
func TestSection15_CompressedFrames(t *testing.T) {
	hello := echoes(text("Hello"))
	z := "\xf2\x48\xcd\xc9\xc9\x07\x00" // [RFC7692 7.2.3.1]
	f := func(head byte, payload string) []byte { return frame(head, []byte(payload)) }
	most := make([]byte, 16<<20)
	cases := []testCase{
		{id: "15.1", name: "one block", send: f(fin|rsv1|opText, z), want: hello},
		{id: "15.2", name: "one block in two fragments", send: join(f(rsv1|opText, z[:3]), f(fin, z[3:])), want: hello},
		{id: "15.3", name: "a reference into the message before", send: join(f(fin|rsv1|opText, z), f(fin|rsv1|opText, "\xf2\x00\x11\x00\x00")), want: hello, end: fail(1007)}, // [RFC7692 7.1.1.2]
		{id: "15.4", name: "a stored block", send: f(fin|rsv1|opText, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), want: hello},                                            // [RFC7692 7.2.3.3]
		{id: "15.5", name: "a block marked as final", send: f(fin|rsv1|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), want: hello},                                               // [RFC7692 7.2.3.4]
		{id: "15.6", name: "two blocks", send: f(fin|rsv1|opText, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), want: hello},                                        // [RFC7692 7.2.3.5]
		{id: "15.7", name: "an empty message", send: f(fin|rsv1|opText, "\x00"), want: echoes(text(""))},                                                                       // [RFC7692 7.2.3.6]
		{id: "15.8", name: "a compressed message of no bytes at all", send: f(fin|rsv1|opText, ""), end: fail(1007)},
		{id: "15.9", name: "a ping between compressed fragments", send: join(f(rsv1|opText, z[:3]), pingFrame("x"), f(fin, z[3:])), want: append(echoes(pong("x")), hello...)},
		{id: "15.10", name: "plain messages among compressed ones", send: join(textFrame("Hello"), f(fin|rsv1|opText, z), f(opText, "Hel"), f(fin, "lo")), want: times(3, text("Hello"))}, // [RFC7692 6]
		{id: "15.11", name: "RSV1 on a continuation", send: join(f(rsv1|opText, z[:3]), []byte{fin | rsv1, 0x80}), end: fail(1002)},                                                       // [RFC7692 6.1]
		{id: "15.12", name: "RSV1 on a continuation of a plain message", send: join(f(opText, "Hel"), []byte{fin | rsv1, 0x80}), end: fail(1002)},                                         // [RFC7692 6.1]
		{id: "15.13", name: "RSV1 on a ping", send: []byte{fin | rsv1 | opPing, 0x80}, end: fail(1002)},                                                                                   // [RFC7692 6.1]
		{id: "15.14", name: "RSV1 on a close", send: []byte{fin | rsv1 | opClose, 0x80}, end: fail(1002)},                                                                                 // [RFC7692 6.1]
		{id: "15.15", name: "RSV2 with compression", send: []byte{fin | rsv1 | rsv2 | opText, 0x80}, end: fail(1002)},                                                                     // [RFC6455 5.2]
		{id: "15.16", name: "RSV3 with compression", send: []byte{fin | rsv3 | opText, 0x80}, end: fail(1002)},                                                                            // [RFC6455 5.2]
		{id: "15.17", name: "a block of type 3", send: f(fin|rsv1|opText, "\x07\x00"), end: fail(1007)},
		{id: "15.18", name: "a stored block with a wrong length", send: f(fin|rsv1|opText, "\x00\x05\x00\xfb\xff\x48\x65\x6c\x6c\x6f\x00"), end: fail(1007)},
		{id: "15.19", name: "data that ends too early", send: f(fin|rsv1|opText, "\x00\x50\x00\xaf\xff\x48\x65"), end: fail(1007)},
		{id: "15.20", name: "text that inflates to what is not UTF-8", send: compressed(opText, []byte("\xce\xba\xed\xa0\x80"), 1), end: fail(1007)}, // [RFC6455 8.1]
		{id: "15.21", name: "text that inflates to half a character", send: compressed(opText, []byte("\xe2\x82"), 1), end: fail(1007)},
		{id: "15.22", name: "binary that inflates to the same", send: compressed(opBinary, []byte("\xce\xba\xed\xa0\x80"), 1), want: echoes(bin([]byte("\xce\xba\xed\xa0\x80")))},
		{id: "15.23", name: "16 MiB of zeros in 16 KiB", send: compressed(opBinary, most, 9), want: echoes(bin(most))},
		{id: "15.24", name: "one byte more", send: compressed(opBinary, append(most, 0), 9), end: fail(1009)}, // [RFC6455 10.4]
		{id: "15.25", name: "one byte more in fragments", send: squeezed(opBinary, append(most, 0), 1000, 9), end: fail(1009)},
		{id: "15.26", name: "empty fragments before and behind", send: join(f(rsv1|opText, ""), f(0, z), f(fin, "")), want: hello},
		{id: "15.27", name: "a close between compressed fragments", send: join(f(rsv1|opText, z[:3]), closeFrame(1000, "")), end: closedWith(1000)},
		{id: "15.28", name: "the four bytes that should have been cut off", send: f(fin|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"), end: fail(1007)},
	}
	for i := range cases {
		cases[i].offer, cases[i].window = plainOffer, 1<<15
	}
	run(t, cases)
}

// What is left of compressed data after a bit was turned is what our own
// inflater makes of it: the same bytes, or an error.
func TestSection15_Damaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, uint64(quickOr(1, 2))))
	var cases []testCase
	for len(cases) < quickOr(200, 3000) {
		msg := letters(20 + rnd.IntN(80))
		z := deflate(msg, 1+rnd.IntN(9))
		z[rnd.IntN(len(z))] ^= 1 << rnd.IntN(8)
		whole := append(bytes.Clone(z), 0, 0, 0xff, 0xff)
		if hasDynamicBlock(whole) {
			continue // incomplete codes are a matter of taste
		}
		c := testCase{
			id: fmt.Sprintf("15.100.%d", len(cases)), name: fmt.Sprintf("%x", z), send: frame(fin|rsv1|opBinary, z),
			offer: plainOffer, window: 1 << 15, end: fail(1007),
		}
		if plain, err := inflate(whole, 1<<15); err == nil {
			c.end, c.want = stay, echoes(bin(plain))
		}
		cases = append(cases, c)
	}
	run(t, cases)
}

// hasDynamicBlock says whether inflating meets a block with codes of its own.
func hasDynamicBlock(b []byte) bool {
	z := &inflater{in: b, window: 1 << 15}
	_, _ = z.run()
	return z.sawDynamic
}
