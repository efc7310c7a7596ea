package eventloop_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
	"edgeloop/internal/testkit"
)

// TestParts_LargestGoesFirst: many begin messages and do not end them. Above the
// share of parts those that hold most are closed with 1013, and who began small can
// end its message; before any of them goes who has not even ended its handshake.
func TestParts_LargestGoesFirst(t *testing.T) {
	memory := bytebuf.NewBudget(128<<10, nil) // 64 KiB for parts
	n := serve(t, eventloop.Config{Tick: tick, Loops: 1, Memory: memory}, echoing())
	small := n.open()
	whole := wire(bin(make([]byte, 300)))
	small.raw(whole[:200])
	testkit.Eventually(t, patience, "the small part is held", func() bool { return memory.Parts.Held() == 256 })
	hello := n.dial()
	hello.raw([]byte(request[:40]))
	testkit.Eventually(t, patience, "the header is held", func() bool { return memory.Parts.Held() == 512 })

	large := wire(bin(make([]byte, 60<<10)))
	for i := range 4 {
		d := n.open()
		d.raw(large[:20<<10]) // takes 32 KiB
		testkit.Eventually(t, patience, "the part is held, or something was closed for it", func() bool {
			return memory.Parts.Held() >= 32<<10*int64(i+1) || n.Stats().Gone[eventloop.CauseMemoryFull] > 0 || n.Stats().Refused > 0
		})
	}
	hello.wantStatus(503)
	n.gone(eventloop.CauseMemoryFull, 2)
	testkit.Eventually(t, patience, "the parts to be within their share", func() bool { return memory.Parts.Held() <= 64<<10 })
	small.raw(whole[200:])
	small.want(bin(make([]byte, 300)))
}

// A message that came in two reads was gathered in memory of the node's. When it is the
// last of its read, that memory goes back with it, not with the next read.
func TestParts_GivenBackBehindTheLastMessage(t *testing.T) {
	memory := bytebuf.NewBudget(128<<10, nil)
	n := serve(t, eventloop.Config{Loops: 1, Memory: memory}, echoing())
	d := n.open()
	whole := wire(bin(make([]byte, 300)))
	d.raw(whole[:200])
	testkit.Eventually(t, patience, "the front to be held", func() bool { return memory.Parts.Held() > 0 })
	d.raw(whole[200:])
	d.want(bin(make([]byte, 300)))
	testkit.Eventually(t, patience, "it to be given back", func() bool { return memory.Parts.Held() == 0 })
}

// TestHeld_TakesNothingTwice: a read is kept, decoded and kept again message by
// message, while the node has no memory left at all. It takes no more than it has.
func TestHeld_TakesNothingTwice(t *testing.T) {
	const messages = 20
	memory := bytebuf.NewBudget(256<<10, nil)
	conns, heard := make(chan *eventloop.Conn, 1), make(chan int64, messages)
	n := serve(t, eventloop.Config{Loops: 1, Memory: memory}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{
			receive: func(eventloop.Kind, []byte) { c.PauseOnLoop(); heard <- int64(c.ReplayedOnLoop()) },
			woken:   c.ResumeOnLoop,
		}
	}))
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	d.raw(bytes.Repeat(wire(bin(make([]byte, 200))), messages)) // small enough for one read
	if lent := testkit.Receive(t, patience, "the first message", heard); lent != 0 {
		t.Errorf("%d bytes are lent of what has just been read", lent)
	}
	testkit.Eventually(t, patience, "the rest to be kept", func() bool { return memory.Held.Held() > 0 })
	rest := memory.Held.Held()
	memory.Moving.Get(2 << 20)
	for range messages - 1 {
		c.Wake()
		if lent := testkit.Receive(t, patience, "the next message", heard); lent != rest {
			t.Errorf("%d bytes hold what is decoded, want %d", lent, rest)
		}
	}
	testkit.Eventually(t, patience, "all to be given back", func() bool { return memory.Held.Held() == 0 })
}

// What is handed on of one connection that ends while another's held bytes are decoded
// does not make the node forget that those will be given back.
func TestMemory_ReplayedWhileAnotherEnds(t *testing.T) {
	memory := bytebuf.NewBudget(1<<20, nil)
	conns := make(chan *eventloop.Conn, 2)
	heard := make(chan string, 8)
	var b *eventloop.Conn
	var reset func()
	n := serve(t, eventloop.Config{Memory: memory, Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{receive: func(_ eventloop.Kind, p []byte) {
			switch string(p) {
			case "wait":
				c.PauseOnLoop()
			case "a":
				before := c.ReplayedOnLoop()
				reset()
				b.WriteOnLoop(eventloop.Text, []byte("to nobody"))
				c.WriteOnLoop(eventloop.Text, []byte("has b flushed"))
				if after := c.ReplayedOnLoop(); before == 0 || after != before {
					t.Errorf("%d bytes are decoded, and then %d", before, after)
				}
			}
			heard <- string(p)
		}}
	}))
	da := n.open()
	a := testkit.Receive(t, patience, "a", conns)
	db := n.open()
	b = testkit.Receive(t, patience, "b", conns)
	fd := eventloop.Descriptor(b)
	reset = func() {
		db.reset()
		testkit.Eventually(t, patience, "the kernel to have the reset", func() bool {
			_, err := unix.Getpeername(fd)
			return err != nil
		})
	}
	da.send(text("wait"), text("a"))
	db.send(text("wait"), text("b"))
	for range 2 {
		testkit.Receive(t, patience, "a message", heard)
	}
	eventloop.OnLoop(a, a.ResumeOnLoop)
	for _, want := range []string{"b", "a"} {
		if got := testkit.Receive(t, patience, want, heard); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}
