package conformance_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Section 1: messages of every length form. [RFC6455 5.2]
func TestSection1_Framing(t *testing.T) {
	var cases []testCase
	for i, size := range []int{0, 125, 126, 127, 128, 65535, 65536, 65537} {
		s := strings.Repeat("*", size)
		b := bytes.Repeat([]byte{0xfe}, size)
		cases = append(cases,
			testCase{id: fmt.Sprintf("1.1.%d", i+1), name: fmt.Sprintf("text of %d bytes", size), send: textFrame(s), want: echoes(text(s))},
			testCase{id: fmt.Sprintf("1.2.%d", i+1), name: fmt.Sprintf("binary of %d bytes", size), send: binFrame(b), want: echoes(bin(b))})
	}
	run(t, cases)
}

// Section 2: pings and pongs. [RFC6455 5.5.2] [RFC6455 5.5.3]
func TestSection2_PingPong(t *testing.T) {
	long := strings.Repeat("\xfe", 125)
	var tenPings []byte
	var tenPongs []event
	for i := range 10 {
		tenPings = append(tenPings, pingFrame(fmt.Sprintf("payload-%d", i))...)
		tenPongs = append(tenPongs, pong(fmt.Sprintf("payload-%d", i)))
	}
	run(t, []testCase{
		{id: "2.1", name: "empty ping", send: pingFrame(""), want: echoes(pong(""))},
		{id: "2.2", name: "ping with text", send: pingFrame("Hello, world!"), want: echoes(pong("Hello, world!"))},
		{id: "2.3", name: "ping with binary, not UTF-8", send: pingFrame("\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), want: echoes(pong("\x00\xff\xfe\xfd\xfc\xfb\x00\xff"))},
		{id: "2.4", name: "ping with 125 bytes", send: pingFrame(long), want: echoes(pong(long))},
		{id: "2.5", name: "ping with 126 bytes", send: header(fin|opPing, 126, minimal), end: fail(1002), tail: make([]byte, 130)},
		{id: "2.6", name: "ping with 125 bytes, twice", send: join(pingFrame(long), pingFrame(long)), want: echoes(pong(long), pong(long))},
		{id: "2.7", name: "unasked pong without payload", send: join(pongFrame(""), textFrame("next")), want: echoes(text("next"))},
		{id: "2.8", name: "unasked pong with payload", send: join(pongFrame("unasked"), textFrame("next")), want: echoes(text("next"))},
		{id: "2.9", name: "unasked pong, then ping", send: join(pongFrame("unasked"), pingFrame("asked")), want: echoes(pong("asked"))},
		{id: "2.10", name: "ten pings", send: tenPings, want: tenPongs},
		{id: "2.11", name: "ten pings and a message", send: join(tenPings, textFrame("end")), want: append(tenPongs, text("end"))},
	})
}

// Section 3: reserved bits. [RFC6455 5.2]
func TestSection3_ReservedBits(t *testing.T) {
	var cases []testCase
	heads := []struct {
		name string
		head byte
	}{{"text", fin | opText}, {"binary", fin | opBinary}, {"ping", fin | opPing}, {"close", fin | opClose}, {"fragment", opText}}
	for i := 1; i < 8; i++ {
		for j, h := range heads {
			cases = append(cases, testCase{
				id: fmt.Sprintf("3.%d.%d", i, j+1), name: fmt.Sprintf("bits %03b on a %s frame behind a message", i, h.name),
				send: join(textFrame("before"), []byte{h.head | byte(i)<<4, 0x80}), want: echoes(text("before")),
				end: fail(1002), tail: []byte{1, 2, 3, 4},
			})
		}
	}
	run(t, cases)
}

// Section 4: reserved opcodes. [RFC6455 5.2]
func TestSection4_Opcodes(t *testing.T) {
	var cases []testCase
	for op := byte(3); op < 16; op++ {
		if op >= 8 && op <= 10 {
			continue
		}
		group := 1
		if op > 7 {
			group = 2
		}
		for i, lead := range [][]byte{nil, textFrame("before")} {
			var want []event
			if lead != nil {
				want = echoes(text("before"))
			}
			cases = append(cases,
				testCase{
					id: fmt.Sprintf("4.%d.%d.%d", group, op, 2*i), name: fmt.Sprintf("opcode %d", op),
					send: join(lead, []byte{fin | op, 0x80}), want: want, end: fail(1002), tail: join([]byte{1, 2, 3, 4}, pingFrame("")),
				},
				testCase{
					id: fmt.Sprintf("4.%d.%d.%d", group, op, 2*i+1), name: fmt.Sprintf("opcode %d in the first byte alone, with payload behind it", op),
					send: join(lead, []byte{fin | op, 0x85}), want: want, end: fail(1002), tail: []byte("\x01\x02\x03\x04hello"),
				})
		}
	}
	run(t, cases)
}

// Section 5: fragments. [RFC6455 5.4]
func TestSection5_Fragmentation(t *testing.T) {
	f1, f2 := frame(opText, []byte("fragment1")), frame(fin, []byte("fragment2"))
	both := echoes(text("fragment1fragment2"))
	mid := frame(opContinuation, []byte("fragment2"))
	last := frame(fin, []byte("fragment3"))
	five := func(ping bool) []byte {
		b := frame(opText, []byte("fragment1"))
		for i := 2; i <= 5; i++ {
			if ping && i%2 == 0 {
				b = append(b, pingFrame(fmt.Sprint("ping", i))...)
			}
			head := byte(opContinuation)
			if i == 5 {
				head |= fin
			}
			b = append(b, frame(head, fmt.Append(nil, "fragment", i))...)
		}
		return b
	}
	whole := text("fragment1fragment2fragment3fragment4fragment5")
	lone := func(head byte) []byte { return []byte{head, 0x80 | 3} } // fails with its header
	run(t, []testCase{
		{id: "5.1", name: "ping in two fragments", send: []byte{opPing, 0x80 | 9}, end: fail(1002), tail: f2},
		{id: "5.2", name: "pong in two fragments", send: []byte{opPong, 0x80 | 9}, end: fail(1002), tail: f2},
		{id: "5.2.1", name: "close in two fragments", send: []byte{opClose, 0x80 | 2}, end: fail(1002), tail: f2},
		{id: "5.3", name: "text in two fragments", send: join(f1, f2), want: both},
		{id: "5.4", name: "text in three fragments", send: join(f1, mid, last), want: echoes(text("fragment1fragment2fragment3"))},
		{id: "5.5", name: "binary in two fragments", send: join(frame(opBinary, []byte{0xff}), frame(fin, []byte{0xfe})), want: echoes(bin([]byte{0xff, 0xfe}))},
		{id: "5.6", name: "a ping between two fragments", send: join(f1, pingFrame("ping"), f2), want: append(echoes(pong("ping")), both...)},
		{id: "5.7", name: "an empty ping between two fragments", send: join(f1, pingFrame(""), f2), want: append(echoes(pong("")), both...)},
		{id: "5.8", name: "a pong between two fragments", send: join(f1, pongFrame("pong"), f2), want: both},
		{id: "5.9", name: "final continuation of nothing", send: lone(fin), end: fail(1002), tail: textFrame("x")},
		{id: "5.10", name: "continuation of nothing, not final", send: lone(opContinuation), end: fail(1002), tail: textFrame("x")},
		{id: "5.11", name: "final continuation behind a message", send: join(textFrame("whole"), lone(fin)), want: echoes(text("whole")), end: fail(1002)},
		{id: "5.12", name: "continuation behind a message, not final", send: join(textFrame("whole"), lone(opContinuation)), want: echoes(text("whole")), end: fail(1002)},
		{id: "5.13", name: "continuation behind a fragmented message", send: join(f1, f2, lone(opContinuation)), want: both, end: fail(1002)},
		{id: "5.14", name: "final continuation behind a fragmented message", send: join(f1, f2, lone(fin)), want: both, end: fail(1002)},
		{id: "5.15", name: "two fragments, a message, a continuation of nothing", send: join(f1, f2, textFrame("x"), lone(opContinuation)), want: append(both, text("x")), end: fail(1002)},
		{id: "5.16", name: "a continuation first, then all", send: join(lone(opContinuation)), end: fail(1002), tail: join(f1, f2)},
		{id: "5.17", name: "a final continuation first, then all", send: join(lone(fin)), end: fail(1002), tail: join(f1, f2)},
		{id: "5.18", name: "text inside fragmented text", send: join(f1, lone(fin|opText)), end: fail(1002)},
		{id: "5.18.1", name: "binary inside fragmented text", send: join(f1, lone(fin|opBinary)), end: fail(1002)},
		{id: "5.18.2", name: "the beginning of a message inside another", send: join(f1, lone(opText)), end: fail(1002)},
		{id: "5.19", name: "five fragments with pings between", send: five(true), want: echoes(pong("ping2"), pong("ping4"), whole)},
		{id: "5.20", name: "five fragments", send: five(false), want: echoes(whole)},
		{id: "5.21", name: "empty fragments", send: join(frame(opText, nil), frame(0, nil), frame(0, []byte("x")), frame(0, nil), frame(fin, nil)), want: echoes(text("x"))},
		{id: "5.22", name: "a close between two fragments", send: join(f1, closeFrame(1001, "")), end: closedWith(1001), tail: f2},
	})
}

// Section 20: what a server must refuse in a header and the suite does not ask.
// A fault of the length shows with the whole header, all others with its first
// two bytes.
func TestSection20_Headers(t *testing.T) {
	key := []byte{1, 2, 3, 4}
	run(t, []testCase{
		{id: "20.1", name: "a frame without a mask", send: []byte{fin | opText, 5}, end: fail(1002), tail: []byte("hello")},                                                    // [RFC6455 5.1]
		{id: "20.2", name: "an empty frame without a mask", send: []byte{fin | opText, 0}, end: fail(1002)},                                                                    // [RFC6455 5.1]
		{id: "20.3", name: "a ping without a mask", send: []byte{fin | opPing, 0}, end: fail(1002)},                                                                            // [RFC6455 5.1]
		{id: "20.4", name: "a close without a mask", send: []byte{fin | opClose, 2}, end: fail(1002), tail: closePayload(1000, "")},                                            // [RFC6455 5.1]
		{id: "20.5", name: "125 in sixteen bits", send: join(header(fin|opBinary, 125, sixteenBits), key), end: fail(1002)},                                                    // [RFC6455 5.2]
		{id: "20.6", name: "0 in sixteen bits", send: join(header(fin|opText, 0, sixteenBits), key), end: fail(1002)},                                                          // [RFC6455 5.2]
		{id: "20.7", name: "65535 in sixty-four bits", send: join(header(fin|opBinary, 65535, sixtyFourBits), key), end: fail(1002)},                                           // [RFC6455 5.2]
		{id: "20.8", name: "1 in sixty-four bits", send: join(header(fin|opBinary, 1, sixtyFourBits), key), end: fail(1002)},                                                   // [RFC6455 5.2]
		{id: "20.9", name: "the top bit of sixty-four", send: append([]byte{fin | opBinary, 0xff, 0x80}, append(make([]byte, 7), key...)...), end: fail(1002)},                 // [RFC6455 5.2]
		{id: "20.10", name: "a length beyond all limits", send: append([]byte{fin | opBinary, 0xff, 0x7f}, append(bytes.Repeat([]byte{0xff}, 7), key...)...), end: fail(1009)}, // [RFC6455 10.4]
		{id: "20.11", name: "one byte over the limit", send: join(header(fin|opBinary, 16<<20+1, minimal), key), end: fail(1009)},                                              // [RFC6455 7.4.1]
		{id: "20.12", name: "a close of 126 bytes", send: header(fin|opClose, 126, minimal), end: fail(1002), tail: key},                                                       // [RFC6455 5.5]
		{id: "20.13", name: "a pong of 126 bytes", send: header(fin|opPong, 126, minimal), end: fail(1002), tail: key},                                                         // [RFC6455 5.5]
		{id: "20.14", name: "a ping of 70000 bytes", send: header(fin|opPing, 70000, minimal), end: fail(1002), tail: key},                                                     // [RFC6455 5.5]
		{id: "20.15", name: "a mask of zeros", send: append(header(fin|opText, 2, minimal), 0, 0, 0, 0, 'h', 'i'), want: echoes(text("hi"))},                                   // [RFC6455 5.3]
		{id: "20.16", name: "a TLS hello behind the handshake", send: []byte{0x16, 0x03}, end: fail(1002), tail: []byte{1, 0, 200}},
		{id: "20.17", name: "sixteen bits and sixty-four, both minimal", send: join(binFrame(make([]byte, 126)), binFrame(make([]byte, 65536))), want: echoes(bin(make([]byte, 126)), bin(make([]byte, 65536)))},
		{id: "20.18", name: "fragments that together pass the limit", send: join(frame(opBinary, make([]byte, 100)), header(0, 16<<20-99, minimal), key), end: fail(1009)},
	})
}
