package eventloop_test

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// counted is message i of a stream whose reader can tell what is missing.
func counted(i, size int) []byte {
	b := make([]byte, max(size, 8))
	binary.BigEndian.PutUint64(b, uint64(i))
	for j := 8; j < len(b); j++ {
		b[j] = byte(i + j)
	}
	return b
}

// checkCounted says what is wrong with message i of size bytes.
func checkCounted(p []byte, i, size int) error {
	if len(p) != max(size, 8) {
		return fmt.Errorf("message %d has %d bytes, want %d", i, len(p), max(size, 8))
	}
	if got := binary.BigEndian.Uint64(p); got != uint64(i) {
		return fmt.Errorf("message %d came where %d was due", got, i)
	}
	for j := 8; j < len(p); j++ {
		if p[j] != byte(i+j) {
			return fmt.Errorf("message %d is damaged at byte %d", i, j)
		}
	}
	return nil
}

// Reading stops while a flood goes on, and nothing of it is lost, doubled or
// out of order; the memory that is kept is bounded.
func TestPause_UnderFlood(t *testing.T) {
	for _, size := range []int{8, 100, 3000, 60_000} {
		t.Run(fmt.Sprintf("messages of %d bytes", size), func(t *testing.T) {
			messages := min(20_000, 12<<20/size)
			var received, paused atomic.Int64
			result := make(chan error, 1)
			conns := make(chan *eventloop.Conn, 1)
			n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
				conns <- c
				return &ears{
					receive: func(_ eventloop.Kind, p []byte) {
						i := int(received.Load())
						if c.PausedOnLoop() {
							result <- fmt.Errorf("message %d came while paused", i)
						}
						if err := checkCounted(p, i, size); err != nil {
							result <- err
						}
						if received.Add(1); i%37 == 0 { // in the midst of a read, mostly
							paused.Add(1)
							c.PauseOnLoop()
						}
						if i == messages-1 {
							result <- nil
						}
					},
					woken: func() { c.ResumeOnLoop() },
				}
			}))
			d := n.open()
			c := testkit.Receive(t, patience, "the connection", conns)
			sent := make(chan error, 1)
			_ = d.conn.SetDeadline(time.Time{}) // a flood takes as long as it takes
			go func() {
				var b []byte
				for i := range messages {
					b = append(b, wire(bin(counted(i, size)))...)
					if len(b) > 100_000 || i == messages-1 {
						if _, err := d.conn.Write(b); err != nil {
							sent <- err
							return
						}
						b = b[:0]
					}
				}
				sent <- nil
			}()
			highest := 0
			for done := false; !done; {
				select {
				case err := <-result:
					if err != nil {
						t.Fatal(err)
					}
					done = true
				default:
					highest = max(highest, eventloop.Held(c))
					c.Wake()
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if highest > 64<<10 {
				t.Errorf("%d bytes were kept, one read is %d", highest, 64<<10)
			}
			if st := n.Stats(); st.MessagesIn != uint64(messages) {
				t.Errorf("%d messages were counted, want %d", st.MessagesIn, messages)
			}
			t.Logf("%d pauses, at most %d bytes kept", paused.Load(), highest)
		})
	}
}

// A paused connection to which much is sent: each time that its socket is full
// and empties again, gnet would take up reading behind our back. Many rounds of
// that must not bring one byte in.
func TestPause_WhileOutputIsBlocked(t *testing.T) {
	const rounds, size = 8, 512 << 10
	var received atomic.Int64
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Tick: tick, OutBuffer: 4 << 20, InBuffer: 16 << 10}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{
			receive: func(_ eventloop.Kind, p []byte) {
				if err := checkCounted(p, int(received.Load()), 1000); err != nil {
					t.Error(err)
				}
				if received.Add(1) == 1 {
					c.PauseOnLoop()
				}
			},
			woken: func() { c.ResumeOnLoop() },
		}
	}))
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	if err := unix.SetsockoptInt(eventloop.Descriptor(c), unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	// Of less than some segments the kernel drops one now and then, and sends it again
	// with a delay that doubles.
	if err := d.conn.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}

	// More than is read at once, and less than the kernel keeps: where it has to drop what comes,
	// it does not heed the acknowledgements of what goes out either, until somebody reads.
	const messages, first = 10_000, 100
	var some []frame
	for i := range first {
		some = append(some, bin(counted(i, 1000)))
	}
	d.send(some...)
	testkit.Eventually(t, patience, "the pause", func() bool { return n.Stats().Paused == 1 })
	held, blocked := eventloop.Held(c), 0
	for round := range rounds {
		if err := send(c, bin(counted(round, size))); err != nil {
			t.Fatalf("round %d: %v (%s)", round, err, causes(n.Stats()))
		}
		if eventloop.Waiting(c) > 0 {
			blocked++
		}
		if err := checkCounted(d.read().payload, round, size); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, patience, "the output to be out", func() bool { return eventloop.Waiting(c) == 0 })
		if now := eventloop.Held(c); now != held {
			t.Fatalf("round %d: %d bytes are kept, %d were: something was read while paused", round, now, held)
		}
	}
	if blocked == 0 {
		t.Error("the output was never blocked: the test shows nothing")
	}
	if got := received.Load(); got != 1 {
		t.Errorf("%d messages were received while paused, want 1", got)
	}
	c.Wake()
	for i := first; i < messages; i++ {
		d.send(bin(counted(i, 1000)))
	}
	testkit.Eventually(t, patience, "every message", func() bool { return received.Load() == messages })
}

// Both at once, at random: messages both ways, pauses, a peer that reads in
// fits. Every byte arrives on both sides.
func TestPause_BothDirections(t *testing.T) {
	const messages, size = 3000, 2000
	conns := make(chan *eventloop.Conn, 1)
	var received int
	wrong := make(chan error, messages)
	n := serve(t, eventloop.Config{Tick: tick, OutBuffer: messages * size * 2}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{
			receive: func(op eventloop.Kind, p []byte) {
				if err := checkCounted(p, received, size); err != nil {
					wrong <- err
				}
				received++
				c.WriteOnLoop(op, p)
				if received%11 == 0 {
					c.PauseOnLoop()
				}
			},
			flush: func() {
				if received%22 == 0 { // resume from within, as a gateway may
					c.ResumeOnLoop()
				}
			},
			woken: func() { c.ResumeOnLoop() },
		}
	}))
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	if err := unix.SetsockoptInt(eventloop.Descriptor(c), unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10); err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range messages {
			if _, err := d.conn.Write(wire(bin(counted(i, size)))); err != nil {
				wrong <- err
				return
			}
		}
	}()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		wake := time.NewTicker(time.Millisecond)
		defer wake.Stop()
		for {
			select {
			case <-stop:
				return
			case <-wake.C:
				c.Wake()
			}
		}
	}()
	for i := range messages {
		if err := checkCounted(d.read().payload, i, size); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-wrong:
		t.Fatal(err)
	default:
	}
}

// Resuming from within Receive or Flush goes on with what was kept without
// calling itself: 64 KiB of tiny messages would be thousands of calls deep.
func TestPause_ResumedFromWithin(t *testing.T) {
	for _, where := range []string{"receive", "flush"} {
		t.Run(where, func(t *testing.T) {
			depth, received := 0, 0
			done := make(chan int, 1)
			const messages = 3000
			n := serve(t, eventloop.Config{}, admit(func(c *eventloop.Conn) eventloop.Receiver {
				return &ears{
					receive: func(eventloop.Kind, []byte) {
						depth++
						defer func() { depth-- }()
						if depth > 1 {
							t.Error("Receive inside Receive")
						}
						received++
						c.PauseOnLoop()
						if where == "receive" {
							c.ResumeOnLoop()
						}
						if received == messages {
							done <- received
						}
					},
					flush: func() {
						depth++
						defer func() { depth-- }()
						if depth > 1 {
							t.Error("Flush inside Receive or Flush")
						}
						c.ResumeOnLoop()
					},
				}
			}))
			d := n.open()
			var batch []frame
			for range messages {
				batch = append(batch, text("x"))
			}
			d.send(batch...)
			testkit.Receive(t, patience, "every message", done)
			d.send(ping("reading again"))
			d.want(pong("reading again"))
		})
	}
}

// A peer that vanishes while paused is noticed if it resets, and its pause is
// counted out.
func TestPause_PeerGone(t *testing.T) {
	n := serve(t, eventloop.Config{}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{receive: func(eventloop.Kind, []byte) { c.PauseOnLoop() }, closed: func(*eventloop.Gone) { c.ResumeOnLoop() }}
	}))
	d := n.open()
	d.send(text("a"), text("b"))
	testkit.Eventually(t, patience, "the pause", func() bool { return n.Stats().Paused == 1 })
	d.reset()
	n.gone(eventloop.CausePeerGone, 1)
	if p := n.Stats().Paused; p != 0 {
		t.Errorf("%d are paused", p)
	}
}

// While nobody listens, silence is no fault of the device.
func TestPause_IsNotSilence(t *testing.T) {
	var asked atomic.Int64
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{
			receive: func(eventloop.Kind, []byte) { c.PauseOnLoop() },
			woken:   func() { c.ResumeOnLoop() },
			quiet:   func(time.Duration) time.Duration { asked.Add(1); return tick },

			heartbeat: 2 * tick,
		}
	}))
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	d.send(text("hold me"))
	testkit.Eventually(t, patience, "the pause", func() bool { return n.Stats().Paused == 1 })
	asked.Store(0)
	witness := n.open() // is asked as usual
	testkit.Receive(t, patience, "the witness", conns)
	testkit.Eventually(t, patience, "the witness to be asked", func() bool { return asked.Load() >= 3 })
	before := asked.Load()
	witness.conn.Close()
	n.gone(eventloop.CausePeerGone, 1)
	after := asked.Load()
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for range 8 {
		<-ticks.C
	}
	if got := asked.Load(); got != after {
		t.Errorf("the paused connection was asked %d times whether it is silent (%d before)", got-after, before)
	}
	c.Wake()
	testkit.Eventually(t, patience, "it to be asked again", func() bool { return asked.Load() > after })
}
