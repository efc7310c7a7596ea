package eventloop_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// The facts about gnet that the design rests on. When one of these fails after
// an upgrade, the code named beside it has to be thought through again.

// Read in the source of this version, and not to be had by a test: the line
// that is logged when accept fails (turnstile.go) is pinned by
// TestDescriptors_Exhausted, writing to a closed connection by
// TestSend_AfterCloseReachesNobodyElse.
func TestGnet_Version(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Skip("no build information")
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/panjf2000/gnet/v2" && dep.Version != "v2.10.0" {
			t.Errorf("gnet is %s: read again what libraries.md says of v2.10.0, then change this test", dep.Version)
		}
	}
}

// handler.go: what Next(-1) took leaves nothing behind, so gnet has no ring for
// the connection, also after a partial frame, and after output was blocked.
func TestGnet_NextLeavesNoRing(t *testing.T) {
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{OutBuffer: 64 << 20}, accept)
	d := n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	if err := unix.SetsockoptInt(eventloop.Descriptor(c), unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10); err != nil {
		t.Fatal(err) // however much the kernel would take, less than what is sent below
	}
	b := wire(text("hello"))
	d.raw(b[:4])
	testkit.Eventually(t, patience, "the bytes to be read", func() bool { return n.Stats().BytesIn == uint64(len(request)+4) })
	if in, out := eventloop.Rings(c); in || out {
		t.Errorf("rings after a partial frame: in %v, out %v", in, out)
	}
	d.raw(b[4:])
	d.want(text("hello"))

	big := bin(make([]byte, 8<<20))
	if err := send(c, big); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "output to wait", func() bool { return eventloop.Waiting(c) > 0 })
	if _, out := eventloop.Rings(c); !out {
		t.Error("output waits, but in none of gnet's buffers: what does it wait in?")
	}
	d.want(big)
	testkit.Eventually(t, patience, "the ring to be given back", func() bool {
		in, out := eventloop.Rings(c)
		return !in && !out
	})
}

// pause_linux.go, gate_linux.go: /proc/self/fdinfo tells which epoll descriptor
// watches a socket; each loop has its own, the acceptor another.
func TestGnet_EpollDescriptorsAreFound(t *testing.T) {
	conns := make(chan *eventloop.Conn, 8)
	n := serve(t, eventloop.Config{Loops: 2}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{}
	}))
	seen := map[int]bool{}
	for range 4 {
		n.open()
		c := testkit.Receive(t, patience, "a connection", conns)
		epfd := eventloop.EpollOf(c)
		if epfd <= 0 || !eventloop.Watches(epfd, eventloop.Descriptor(c)) {
			t.Fatalf("epoll descriptor %d does not watch the connection", epfd)
		}
		seen[epfd] = true
	}
	if len(seen) != 2 {
		t.Errorf("%d epoll descriptors for two loops", len(seen))
	}
	testkit.Eventually(t, patience, "the gate to be found", func() bool { epfd, _ := eventloop.GateEnds(n.Server); return epfd > 0 })
	epfd, lnfd := eventloop.GateEnds(n.Server)
	if seen[epfd] || !eventloop.Watches(epfd, lnfd) {
		t.Errorf("the acceptor's epoll descriptor is %d, the loops have %v", epfd, seen)
	}
}

// pause_linux.go: gnet registers a connection for reading and nothing else, and
// the listening socket as gate_linux.go puts it back.
func TestGnet_EpollEvents(t *testing.T) {
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{}, accept)
	n.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	fd := eventloop.Descriptor(c)
	if got, want := eventsOf(t, eventloop.EpollOf(c), fd), uint32(unix.EPOLLIN|unix.EPOLLPRI); got != want {
		t.Errorf("a connection is watched for %#x, want %#x", got, want)
	}
	testkit.Eventually(t, patience, "the gate to be found", func() bool { epfd, _ := eventloop.GateEnds(n.Server); return epfd > 0 })
	epfd, lnfd := eventloop.GateEnds(n.Server)
	want := uint32(unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET)
	if got := eventsOf(t, epfd, lnfd); got != want {
		t.Errorf("the listening socket is watched for %#x, want %#x", got, want)
	}
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("TCP_NODELAY is %d, %v: answers would wait for more", on, err)
	}
}

// eventsOf reads what an epoll descriptor watches fd for; error and hang-up are
// always among it and left out.
func eventsOf(t *testing.T, epfd, fd int) uint32 {
	t.Helper()
	info, err := os.ReadFile(filepath.Join("/proc/self/fdinfo", strconv.Itoa(epfd)))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(info) {
		var tfd int
		var events uint32
		if n, _ := fmt.Sscanf(string(line), "tfd: %d events: %x", &tfd, &events); n == 2 && tfd == fd {
			return events &^ (unix.EPOLLERR | unix.EPOLLHUP)
		}
	}
	t.Fatalf("%d does not watch %d: %s", epfd, fd, info)
	return 0
}

// handler.go: OnTick has a goroutine of its own. A loop that is blocked does not
// keep the others from their ticks, nor does it pile up any.
func TestGnet_TickerIsNotALoop(t *testing.T) {
	hold := make(chan struct{})
	quiet := make(chan struct{}, 100)
	first := true
	n := serve(t, eventloop.Config{Loops: 2, Tick: tick}, admit(func(*eventloop.Conn) eventloop.Receiver {
		if first {
			first = false
			return &ears{woken: func() { <-hold }}
		}
		return &ears{quiet: func(time.Duration) time.Duration {
			select {
			case quiet <- struct{}{}:
			default:
			}
			return tick
		}}
	}))
	n.dial().raw([]byte(request))
	testkit.Eventually(t, patience, "the first to be admitted", func() bool { return n.Stats().Admitted == 1 })
	n.open() // the other loop, which has fewer connections
	for range 3 {
		testkit.Receive(t, patience, "a tick on the other loop", quiet)
	}
	close(hold)
}
