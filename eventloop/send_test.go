package eventloop_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/wsproto"
)

// Whatever the number of senders, each one's frames arrive in its own order and
// whole.
func TestSend_KeepsEachSendersOrder(t *testing.T) {
	const senders, each = 8, 500
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{OutBuffer: 4 << 20}, accept)
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	before := n.Stats()
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if err := send(c, text(fmt.Sprintf("%d %d", s, i))); err != nil {
					t.Errorf("sender %d, frame %d: %v", s, i, err)
					return
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		var s, i int
		got := d.read()
		if _, err := fmt.Sscanf(string(got.payload), "%d %d", &s, &i); err != nil || next[s] != i {
			t.Fatalf("got %s, want frame %d of sender %d", got, next[s], s)
		}
		next[s]++
	}
	wg.Wait()
	after := n.Stats()
	if got := after.FramesOut - before.FramesOut; got != senders*each {
		t.Errorf("%d frames were counted, want %d", got, senders*each)
	}
	t.Logf("%d frames in %d writes", senders*each, after.Writes-before.Writes)
}

// libraries.md 1.2: gnet writes to whatever the descriptor of a closed
// connection is by then. The test first makes sure that it is the next
// device's.
func TestSend_AfterCloseReachesNobodyElse(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Loops: 1}, accept)
	for range 20 {
		first := n.open()
		c1 := testkit.Receive(t, patience, "the first connection", conns)
		fd := eventloop.Descriptor(c1)
		gc := eventloop.GnetConn(c1)
		first.conn.Close()
		testkit.Receive(t, patience, "its end", gone)

		second := n.open()
		c2 := testkit.Receive(t, patience, "the second connection", conns)
		if eventloop.Descriptor(c2) != fd {
			second.conn.Close()
			testkit.Receive(t, patience, "its end", gone)
			continue // the runtime took the descriptor: once more
		}
		if err := send(c1, text("for the first")); !errors.Is(err, eventloop.ErrClosed) {
			t.Errorf("Send after the end: %v, want ErrClosed", err)
		}
		c1.Close(1000, "for the first")
		c1.Wake()
		eventloop.OnLoop(c2, func() {
			c1.WriteOnLoop(eventloop.Text, []byte("for the first"))
			c1.PingOnLoop()
			c1.CloseOnLoop(1000, "")
			c1.PauseOnLoop()
			c1.ResumeOnLoop()
		})
		second.send(ping("mine"))
		second.want(pong("mine"))

		// The fact that all this is about. When it is gone, so may the care be.
		eventloop.OnLoop(c2, func() {
			if k, err := gc.Write(unmasked(text("for the first"))); k == 0 || err != nil {
				t.Errorf("gnet refuses to write to a closed connection now: %d, %v", k, err)
			}
		})
		second.want(text("for the first"))
		return
	}
	t.Fatal("no descriptor was reused")
}

// Connections come and go while others send to whom they saw last. No device
// ever reads what was meant for another, whoever has its descriptor now.
func TestSend_ChurnNeverMisdelivers(t *testing.T) {
	const slots, clients, lives = 32, 8, 60
	var current [slots]atomic.Pointer[eventloop.Conn]
	n := serve(t, eventloop.Config{Loops: 2}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{woken: func() {
			c.WriteOnLoop(eventloop.Text, strconv.AppendUint(nil, c.ID(), 10))
			current[c.ID()%slots].Store(c)
		}}
	}))
	stop := make(chan struct{})
	var senders, devices sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c := current[rand.IntN(slots)].Load(); c != nil {
					_ = send(c, text(strconv.FormatUint(c.ID(), 10)))
				}
			}
		})
	}
	for range clients {
		devices.Go(func() {
			for range lives {
				d := n.open()
				me := d.read().payload
				for range rand.IntN(30) {
					if got := d.read().payload; !bytes.Equal(got, me) {
						t.Errorf("device %s read what was meant for %s", me, got)
					}
				}
				if rand.IntN(2) == 0 {
					d.reset()
				} else {
					d.conn.Close()
				}
			}
		})
	}
	devices.Wait()
	close(stop)
	senders.Wait()
}

// A peer that does not read is cut off when OutBuffer is reached, costs no more than
// that, and its neighbours on the same loop do not notice.
func TestSend_SlowConsumer(t *testing.T) {
	const outBuffer = 256 << 10
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Loops: 1, OutBuffer: outBuffer}, accept)
	neighbour := n.open()
	testkit.Receive(t, patience, "the neighbour", conns)
	slow := n.open()
	c := testkit.Receive(t, patience, "the slow one", conns)
	message := make([]byte, 8<<10)

	taken, highest := 0, 0
	for {
		err := c.Send(eventloop.Binary, message)
		if errors.Is(err, eventloop.ErrSlowConsumer) || errors.Is(err, eventloop.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken += len(message)
		if taken > 64<<20 {
			t.Fatal("64 MiB were taken for a peer that does not read")
		}
		if taken%(20*len(message)) == 0 {
			highest = max(highest, eventloop.Waiting(c))
			neighbour.send(ping("still served"))
			neighbour.want(pong("still served"))
		}
	}
	g := testkit.Receive(t, patience, "Closed", gone)
	if g.Cause != eventloop.CauseSlowConsumer || g.Code != wsproto.CloseTryAgain {
		t.Errorf("ended with %s and %d", g.Cause, g.Code)
	}
	if highest > outBuffer {
		t.Errorf("%d bytes waited, more than OutBuffer", highest)
	}
	if err := c.Send(eventloop.Binary, message); !errors.Is(err, eventloop.ErrClosed) {
		t.Errorf("Send afterwards: %v, want ErrClosed", err)
	}
	neighbour.send(ping("still served"))
	neighbour.want(pong("still served"))
	t.Logf("%d KiB were taken, sockets included; at most %d KiB waited", taken>>10, highest>>10)
	slow.conn.Close()
}

// One message goes to many connections: it is encoded once, and what one of them does
// with it, compression included, changes nothing for the others.
func TestSend_OneMessageForMany(t *testing.T) {
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{OutBuffer: 4 << 20, Compression: true}, accept)
	for _, size := range []int{8, 125, 126, 1 << 16, 1 << 20} {
		message := counted(1, size)
		before := bytes.Clone(message)
		var devices []*dialogue
		for i := range 3 {
			d, asks := n.dial(), request
			if i == 1 {
				asks = strings.TrimSuffix(request, "\r\n") + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
			}
			d.raw([]byte(asks))
			d.wantSwitch()
			devices = append(devices, d)
			if err := testkit.Receive(t, patience, "the connection", conns).Send(eventloop.Binary, message); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range devices {
			d.want(bin(before))
		}
		if !bytes.Equal(message, before) {
			t.Fatalf("the message of %d bytes was written to", size)
		}
	}
}

// The mailbox is a bound too: a loop that is busy does not let one connection's
// senders pile up more than OutBuffer.
func TestSend_MailboxIsBounded(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Loops: 1, OutBuffer: 100_000}, accept)
	n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	eventloop.OnLoop(c, func() {
		for i := 0; c.Send(eventloop.Text, nil) == nil; i++ {
			if i > 50_000 {
				t.Error("empty messages are not bounded")
				return
			}
		}
		if got := eventloop.MailPosted(c); got > 2000 {
			t.Errorf("%d mails of empty messages wait", got)
		}
	})
	wantGone(t, gone, eventloop.CauseSlowConsumer, wsproto.CloseTryAgain)
	t.Run("one message whose frame is exactly OutBuffer passes", func(t *testing.T) {
		d := n.open()
		c := testkit.Receive(t, patience, "the connection", conns)
		f := bin(make([]byte, 100_000-10))
		if err := send(c, f); err != nil {
			t.Fatal(err)
		}
		d.want(f)
	})
}

// A wake is never lost: after the last Wake there is a Woken that sees all that
// was done before it, however many goroutines wake.
func TestWake_IsNeverLost(t *testing.T) {
	const wakers, each = 6, 20_000
	var done atomic.Int64 // what Woken is to see
	var seen atomic.Int64
	var woken atomic.Int64
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{receive: c.WriteOnLoop, woken: func() { woken.Add(1); seen.Store(done.Load()) }}
	}))
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	var wg sync.WaitGroup
	for range wakers {
		wg.Go(func() {
			for range each {
				done.Add(1)
				c.Wake()
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, patience, "Woken to see everything", func() bool { return seen.Load() == wakers*each })
	t.Logf("%d wakes cost %d calls", wakers*each, woken.Load())
	d.send(text("x"))
	d.want(text("x"))
}

// Posts that never cease do not keep a loop from its sockets: here each Woken
// wakes once more.
func TestWake_DoesNotStarveSockets(t *testing.T) {
	var stop atomic.Bool
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		return &ears{receive: c.WriteOnLoop, woken: func() {
			if !stop.Load() {
				c.Wake()
			}
		}}
	}))
	d := n.open()
	for range 200 {
		d.send(text("x"))
		d.want(text("x"))
	}
	stop.Store(true)
}

// A device that floods pings and reads none of the pongs is cut off too.
func TestSend_PingFloodWithoutReading(t *testing.T) {
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{OutBuffer: 64 << 10}, accept)
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	fd := eventloop.Descriptor(c)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	d.patient()
	b := bytes.Repeat(wire(ping("0123456789")), 1000)
	for range 10_000 {
		if _, err := d.conn.Write(b); err != nil {
			break
		}
	}
	wantGone(t, gone, eventloop.CauseSlowConsumer, wsproto.CloseTryAgain)
}
