package eventloop_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/invariants"
	"edgeloop/internal/testkit"
)

// What the client sends and reads in the allocation tests is made beforehand
// and goes through file descriptors, so that only the node can allocate.
type bareClient struct {
	t  testing.TB
	fd int
}

func (n *node) bare() *bareClient {
	n.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.fds = append(n.fds, fd) // closed by finish
	n.mu.Unlock()
	sa := &unix.SockaddrInet4{Port: n.Addr().Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, sa); err != nil {
		n.t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		n.t.Fatal(err)
	}
	b := &bareClient{n.t, fd}
	b.write([]byte(request))
	b.readSome(make([]byte, 4096)) // the 101 comes in one piece on loopback
	return b
}

func (b *bareClient) write(p []byte) {
	if k, err := unix.Write(b.fd, p); k != len(p) || err != nil {
		b.t.Fatalf("wrote %d of %d: %v", k, len(p), err)
	}
}

func (b *bareClient) readSome(p []byte) int {
	k, err := unix.Read(b.fd, p)
	if err != nil || k == 0 {
		b.t.Fatalf("read %d: %v", k, err)
	}
	return k
}

func (b *bareClient) readFull(p []byte) {
	for len(p) > 0 {
		p = p[b.readSome(p):]
	}
}

func skipWithInvariants(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the invariants allocate")
	}
}

// From the socket to Receive, and for an answer back to the socket: nothing is
// allocated for a message. What a read event as a whole costs is gnet's.
func TestAllocs_ReceiveAndAnswer(t *testing.T) {
	skipWithInvariants(t)
	n := serve(t, eventloop.Config{Loops: 1}, echoing())
	b := n.bare()
	const messages = 64
	msg := bin(make([]byte, 128))
	var batch, reply []byte
	for range messages {
		batch = append(batch, wire(msg)...)
		reply = append(reply, unmasked(msg)...)
	}
	allocs := testing.AllocsPerRun(500, func() {
		b.write(batch)
		b.readFull(reply)
	})
	if perMessage := allocs / messages; perMessage >= 0.02 {
		t.Errorf("%.3f allocations for a message, want 0", perMessage)
	}
}

// Messages in pieces cost buffers, which are pooled.
func TestAllocs_Fragmented(t *testing.T) {
	skipWithInvariants(t)
	n := serve(t, eventloop.Config{Loops: 1}, echoing())
	b := n.bare()
	batch := wire(frame{0x02, make([]byte, 500)}, frame{0x80, make([]byte, 500)})
	reply := unmasked(bin(make([]byte, 1000)))
	allocs := testing.AllocsPerRun(500, func() {
		b.write(batch[:700])
		b.write(batch[700:])
		b.readFull(reply)
	})
	if allocs >= 1 {
		t.Errorf("%.2f allocations for a message in pieces, want 0", allocs)
	}
}

// echoed is a Greeting that does nothing, at no cost: what is left is the layer's own.
type echoed struct{}

func (echoed) Step(wire []byte) (eventloop.Step, error) {
	return eventloop.Step{Used: len(wire), Plain: wire}, nil
}
func (echoed) Seal(dst, plain []byte) []byte { return append(dst, plain...) }
func (echoed) Goodbye(dst []byte) []byte     { return dst }
func (echoed) Closed()                       {}

// A layer that stays costs no allocation for a message, either.
func TestAllocs_Greeting(t *testing.T) {
	skipWithInvariants(t)
	n := serve(t, eventloop.Config{Loops: 1, Listeners: greeted(echoed{})}, echoing())
	b := n.bare()
	msg := bin(make([]byte, 100))
	reply := make([]byte, len(unmasked(msg)))
	frames := wire(msg)
	allocs := testing.AllocsPerRun(500, func() {
		b.write(frames)
		b.readFull(reply)
	})
	if allocs > 0.1 {
		t.Errorf("%.2f allocations for a message", allocs)
	}
}

// Waking a loop costs two allocations of gnet's for as many posts as come
// together; a post none.
func TestAllocs_WakeAndSend(t *testing.T) {
	skipWithInvariants(t)
	conns := make(chan *eventloop.Conn, 1)
	var woken atomic.Int64
	n := serve(t, eventloop.Config{Loops: 1}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{woken: func() { woken.Add(1) }}
	}))
	b := n.bare()
	c := testkit.Receive(t, patience, "the connection", conns)
	message := []byte("to the device")
	reply := make([]byte, 32*len(unmasked(bin(message))))
	allocs := testing.AllocsPerRun(500, func() {
		for range 32 {
			if err := c.Send(eventloop.Binary, message); err != nil {
				t.Fatal(err)
			}
			c.Wake()
		}
		b.readFull(reply)
	})
	if perPost := allocs / 64; perPost > 0.25 {
		t.Errorf("%.2f allocations for a post, want hardly any", perPost)
	}
}

// An idle, admitted connection costs this many bytes of heap: gnet's 382 and
// ours. 5,000 of them make the measure.
func TestMemory_IdleConnection(t *testing.T) {
	if invariants.Race {
		t.Skip("the race detector's memory is not the product's")
	}
	const conns = 5000
	soft, _, err := eventloop.RaiseFDLimit(0)
	if err != nil || soft < 2*conns+200 {
		t.Skipf("%d descriptors, %v", soft, err)
	}
	nobody := &ears{}
	n := serve(t, eventloop.Config{}, admit(func(*eventloop.Conn) eventloop.Receiver { return nobody }))
	n.mu.Lock()
	n.tracked = make([]*tracked, 0, conns+10)
	n.fds = make([]int, 0, conns+10)
	n.mu.Unlock()
	for range 10 {
		n.bare()
	}
	before := heap()
	for range conns {
		n.bare()
	}
	testkit.Eventually(t, patience, "all to be admitted", func() bool { return n.Stats().Admitted == conns+10 })
	per := float64(int64(heap())-int64(before)) / conns
	// The test's own tracked (32 B) is among it.
	t.Logf("%.0f bytes of heap for an idle connection; a Conn is %d bytes", per, eventloop.SizeofConn)
	if per > 600 {
		t.Errorf("%.0f bytes of heap for an idle connection", per)
	}
	if eventloop.SizeofConn > 96 {
		t.Errorf("a Conn has grown to %d bytes: the next size class is 112", eventloop.SizeofConn)
	}
}

// heap is what is in use after two collections, which also empty the pools.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
