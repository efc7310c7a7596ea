package conformance_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// noise is n bytes that do not compress; letters is n bytes of text.
func noise(n int) []byte {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = rnd.Read(b)
	return b
}

func letters(n int) []byte {
	return bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog. "), n/45+1)[:n]
}

// Sections 9 and 10: large messages, whole, in fragments and in small writes;
// many small messages. [RFC6455 5.4] [RFC6455 10.4]
func TestSection9_Limits(t *testing.T) {
	const kib, mib = 1 << 10, 1 << 20
	ops := []struct {
		op   byte
		mk   func(int) []byte
		name string
	}{{opText, letters, "text"}, {opBinary, noise, "binary"}}
	var cases []testCase
	sizes := []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib}
	for o, op := range ops {
		for i, size := range sizes {
			msg := op.mk(size)
			cases = append(cases, testCase{id: fmt.Sprintf("9.%d.%d", o+1, i+1), name: fmt.Sprintf("%s of %d bytes", op.name, size), send: frame(fin|op.op, msg), want: echoes(event{op.op, msg})})
		}
		msg := op.mk(4 * mib)
		for i, size := range []int{64, 256, kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, mib, 4 * mib} {
			cases = append(cases, testCase{id: fmt.Sprintf("9.%d.%d", o+3, i+1), name: fmt.Sprintf("%s of 4 MiB in fragments of %d", op.name, size), send: fragments(op.op, msg, size), want: echoes(event{op.op, msg})})
		}
		n := quickOr(50, 1000)
		for i, size := range []int{0, 16, 64, 256, kib, 4 * kib} {
			msg := op.mk(size)
			cases = append(cases, testCase{id: fmt.Sprintf("9.%d.%d", o+7, i+1), name: fmt.Sprintf("%d times %s of %d bytes", n, op.name, size), send: repeat(n, func() []byte { return frame(fin|op.op, msg) }), want: times(n, event{op.op, msg})})
		}
	}
	msg := letters(65536)
	cases = append(cases, testCase{id: "10.1.1", name: "65536 bytes in fragments of 1300", send: fragments(opText, msg, 1300), want: echoes(text(string(msg)))})
	run(t, cases)
}

// 9.5 and 9.6: a message of 1 MiB in writes of so many bytes.
func TestSection9_Chopped(t *testing.T) {
	size := quickOr(128<<10, 1<<20)
	for o, op := range []byte{opText, opBinary} {
		msg := noise(size)
		if op == opText {
			msg = letters(size)
		}
		for i, piece := range []int{64, 128, 256, 512, 1024, 2048} {
			t.Run(fmt.Sprintf("9.%d.%d", o+5, i+1), func(t *testing.T) {
				d, err := open(plainAddr, "", 0)
				if err != nil {
					t.Fatal(err)
				}
				defer d.close()
				if err := d.play(chop(frame(fin|op, msg), piece), echoes(event{op, msg}), stay); err != nil {
					t.Fatal(err)
				}
				if err := d.leave(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Section 22: the decoder's shortcuts. A message that lies whole in one read is
// not copied; one that does not, is. Both must be the same to the peer, on
// either side of every border of a buffer.
func TestSection22_BordersOfBuffers(t *testing.T) {
	var cases []testCase
	for i, border := range []int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20} {
		var send []byte
		var want []event
		for size := border - 16; size <= border+16; size++ {
			msg := noise(size)
			send = append(send, binFrame(msg)...)
			want = append(want, bin(msg))
		}
		cases = append(cases, testCase{id: fmt.Sprintf("22.1.%d", i+1), name: fmt.Sprintf("messages of %d bytes, give and take", border), send: send, want: want})
	}
	rnd := rand.New(rand.NewPCG(22, 22))
	for i := range 20 {
		var send []byte
		var want []event
		for range 200 {
			msg := noise(rnd.IntN(2000))
			switch rnd.IntN(4) {
			case 0:
				send, want = append(send, binFrame(msg)...), append(want, bin(msg))
			case 1:
				send, want = append(send, fragments(opBinary, msg, 1+rnd.IntN(500))...), append(want, bin(msg))
			case 2:
				msg = msg[:len(msg)%126]
				send, want = append(send, pingFrame(string(msg))...), append(want, pong(string(msg)))
			case 3:
				msg = letters(len(msg))
				send, want = append(send, fragments(opText, msg, 1+rnd.IntN(500))...), append(want, text(string(msg)))
			}
		}
		cases = append(cases, testCase{id: fmt.Sprintf("22.2.%d", i+1), name: "a medley", send: send, want: want})
	}
	run(t, cases)
}
