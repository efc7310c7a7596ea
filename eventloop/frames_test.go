package eventloop_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

func TestFrames_PingPong(t *testing.T) { // [RFC6455 5.5.2] [RFC6455 5.5.3]
	n := serve(t, eventloop.Config{}, echoing())
	d := n.open()
	d.send(ping("x"), ping(""), ping(string(bytes.Repeat([]byte{'y'}, 125))))
	d.want(pong("x"), pong(""), pong(string(bytes.Repeat([]byte{'y'}, 125))))
	t.Run("a pong that nobody asked for is ignored", func(t *testing.T) {
		d.send(pong("unasked"), text("next"))
		d.want(text("next"))
	})
	t.Run("between the fragments of a message", func(t *testing.T) {
		d.send(frame{0x01, []byte("he")}, ping("now"), frame{0x80, []byte("llo")})
		d.want(pong("now"), text("hello"))
	})
}

// Every size around the borders of the length forms and of our buffers, with
// the stream cut where chance has it.
func TestFrames_EchoOfEverySize(t *testing.T) {
	n := serve(t, eventloop.Config{MaxMessage: 1 << 20, OutBuffer: 4 << 20}, echoing())
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var frames []frame
	for _, border := range []int{0, 125, 126, 256, 1 << 10, 4 << 10, 32 << 10, 64 << 10, 1 << 16, 256 << 10} {
		for size := max(0, border-3); size <= border+3; size++ {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			frames = append(frames, bin(b))
		}
	}
	frames = append(frames, bin(make([]byte, 1<<20)))
	for _, longest := range []int{7, 1000, 200_000} {
		t.Run(fmt.Sprintf("cuts of up to %d bytes", longest), func(t *testing.T) {
			d := n.open()
			d.patient()
			sending := frames
			if longest < 100 { // one write for each few bytes: not for the big ones
				sending = frames[:30]
			}
			sent := make(chan error, 1)
			go func() {
				for b := wire(sending...); len(b) > 0; {
					k := min(len(b), 1+rnd.IntN(longest))
					if _, err := d.conn.Write(b[:k]); err != nil {
						sent <- err
						return
					}
					b = b[k:]
				}
				sent <- nil
			}()
			d.want(sending...)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What one read asks for is answered with one write, however many frames.
func TestFrames_OneWriteForEachRead(t *testing.T) {
	var flushed int
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{receive: c.WriteOnLoop, flush: func() { flushed++ }}
	}))
	d := n.open()
	before := n.Stats()
	var batch []frame
	for i := range 100 {
		batch = append(batch, text(fmt.Sprint("message ", i)))
	}
	d.send(batch...)
	d.want(batch...)
	after := n.Stats()
	if w := after.Writes - before.Writes; w != 1 {
		t.Errorf("%d writes for one read of %d frames, want 1", w, len(batch))
	}
	if m := after.MessagesIn - before.MessagesIn; m != 100 {
		t.Errorf("%d messages were counted, want 100", m)
	}
	if got := after.BytesOut - before.BytesOut; got != uint64(len(wire(batch...))-4*len(batch)) {
		t.Errorf("%d bytes out", got)
	}
	d.send(pong(""))
	d.send(text("one more"))
	d.want(text("one more"))
	if c := n.tracked[0]; c.closed.Load() != 0 {
		t.Error("closed")
	}
}

// One loop gathers for several connections in turn; nothing gets to the wrong
// one.
func TestFrames_WritingToOthers(t *testing.T) {
	var all []*eventloop.Conn // owned by the one loop
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		all = append(all, c)
		return &ears{receive: func(op eventloop.Kind, p []byte) {
			for _, other := range all {
				other.WriteOnLoop(op, p)
			}
		}}
	}))
	ds := []*dialogue{n.open(), n.open(), n.open()}
	for round := range 20 {
		msg, big := text(fmt.Sprint("round ", round)), bin(numbered(round, 40_000))
		ds[round%3].send(msg, big)
		for _, d := range ds {
			d.want(msg, big)
		}
	}
}

// A violation is answered with its code, before it nothing is lost, after it
// nothing is taken.
func TestFrames_ProtocolErrors(t *testing.T) {
	n := serve(t, eventloop.Config{MaxMessage: 1000}, echoing())
	for _, c := range []struct {
		name string
		raw  []byte
		code uint16
	}{
		{"not masked", []byte{0x81, 1, 'x'}, 1002},          // [RFC6455 5.1]
		{"reserved opcode", wire(frame{0x83, nil}), 1002},   // [RFC6455 5.2]
		{"reserved bit", wire(frame{0xc1, nil}), 1002},      // [RFC6455 5.2]
		{"fragmented ping", wire(frame{0x09, nil}), 1002},   // [RFC6455 5.5]
		{"lone continuation", wire(frame{0x80, nil}), 1002}, // [RFC6455 5.4]
		{"not UTF-8", wire(text("\xff")), 1007},             // [RFC6455 8.1]
		{"too big", wire(bin(make([]byte, 1001))), 1009},    // [RFC6455 10.4]
		{"bad close code", wire(closing(1005, "")), 1002},   // [RFC6455 7.4.1]
		{"close of one byte", wire(frame{0x88, []byte{3}}), 1002},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := n.open()
			d.raw(append(append(wire(text("before")), c.raw...), wire(text("after"))...))
			d.want(text("before"))
			d.wantClosed(c.code)
			d.conn.Close()
		})
	}
	n.gone(eventloop.CauseProtocolError, 9)
}

// A peer that breaks the protocol and goes on sending is listened to no longer than
// the time to close, and what is said to it is not lost to a reset.
func TestFrames_LingeringPeerThatKeepsSending(t *testing.T) {
	n := serve(t, eventloop.Config{Tick: tick, CloseTimeout: 5 * tick}, echoing())
	d := n.open()
	d.raw([]byte{0x81, 1, 'x'})
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for b := make([]byte, 64<<10); ; {
			if _, err := d.conn.Write(b); err != nil {
				return
			}
		}
	}()
	got := d.read()
	if got.head != 0x88 {
		t.Errorf("got %s, want a close", got)
	}
	testkit.Receive(t, patience, "the node to hang up", after(flood))
	n.gone(eventloop.CauseProtocolError, 1)
}

// after turns the closing of a channel into a value.
func after(done <-chan struct{}) <-chan struct{} {
	ch := make(chan struct{}, 1)
	go func() { <-done; ch <- struct{}{} }()
	return ch
}
