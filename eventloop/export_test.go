package eventloop

import (
	"context"
	"reflect"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
)

// SizeofConn is the size of a Conn, bytes.
const SizeofConn = unsafe.Sizeof(Conn{})

// OnLoop runs f on c's loop and waits for it.
func OnLoop(c *Conn, f func()) {
	done := make(chan struct{})
	c.loop.execute(runnable(func() {
		defer close(done)
		f()
		c.loop.flushOnLoop()
	}))
	<-done
}

// Descriptor is the number of c's socket.
func Descriptor(c *Conn) (fd int) {
	OnLoop(c, func() { fd = c.gc.Fd() })
	return fd
}

// Held is how many bytes c keeps unread.
func Held(c *Conn) (n int) {
	OnLoop(c, func() {
		if c.hold != nil {
			n = len(c.hold.B)
		}
	})
	return n
}

// Deaf says whether epoll does not report what c's peer sends.
func Deaf(c *Conn) (deaf bool) {
	OnLoop(c, func() { deaf = c.deaf })
	return deaf
}

// Wire is a copy of what c keeps of what came over the wire and has not passed its
// Greeting.
func Wire(c *Conn) (b []byte) {
	OnLoop(c, func() {
		if l, ok := c.gc.(*layered); ok && l.wire != nil {
			b = append(b, l.wire.B...)
		}
	})
	return b
}

// Layered says whether c has something in gnet's place.
func Layered(c *Conn) (yes bool) {
	OnLoop(c, func() { _, yes = c.gc.(*layered) })
	return yes
}

// Waiting is how many bytes gnet keeps for c to write.
func Waiting(c *Conn) (n int) {
	OnLoop(c, func() {
		if c.gc != nil {
			n = c.gc.OutboundBuffered()
		}
	})
	return n
}

// Rings says whether gnet has buffers for what it read from c, and for what it is to
// write: a ring, and a list behind it. They are not exported by gnet.
func Rings(c *Conn) (in, out bool) {
	OnLoop(c, func() {
		v := reflect.ValueOf(c.gc).Elem()
		in = !v.FieldByName("inboundBuffer").FieldByName("rb").IsNil()
		buf := v.FieldByName("outboundBuffer")
		out = !buf.FieldByName("ringBuffer").FieldByName("rb").IsNil() || !buf.FieldByName("listBuffer").FieldByName("head").IsNil()
	})
	return in, out
}

// GnetConn is the gnet connection, for tests of gnet itself.
func GnetConn(c *Conn) (gc gnet.Conn) {
	OnLoop(c, func() { gc = c.gc })
	return gc
}

// EpollOf is the epoll descriptor that c's loop was found to have.
func EpollOf(c *Conn) (epfd int) {
	OnLoop(c, func() { epfd = c.loop.epfd })
	return epfd
}

// StopEngine ends gnet behind the server's back.
func StopEngine(s *Server) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.engine.Stop(now)
}

// WheelLen is how many timers c's loop has.
func WheelLen(c *Conn) (n int) {
	OnLoop(c, func() { n = c.loop.wheel.Len() })
	return n
}

// MailPosted is how many mails wait for c's loop.
func MailPosted(c *Conn) int {
	b := &c.loop.mailbox
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.full.mails)
}

// GateEnds are the descriptors of the accept gate.
func GateEnds(s *Server) (epfd, lnfd int) {
	g := &s.listeners[0].gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epfd, g.lnfd
}

// Watches says whether an epoll descriptor of this process watches fd.
func Watches(epfd, fd int) bool { return watches(epfd, fd) }

// Unread is unreadOnLoop; for tests that are on the loop.
func Unread(c *Conn) bool { return c.unreadOnLoop() }

// TurnMost is how much of each kind one turn of a loop takes.
const TurnMost = turnMost

// SkipTicks has the wheel of c's loop go on by n ticks at once; on the loop.
func SkipTicks(c *Conn, n uint32) {
	c.loop.wheel.Advance(c.loop.wheel.Now() + n)
	c.loop.execute(c.loop.turn)
}

// Newcomers is those whose header block is coming in.
func Newcomers(s *Server) (out []*Conn) {
	b := &s.listeners[0].lobby
	b.mu.Lock()
	defer b.mu.Unlock()
	for g := b.sending.oldest; g != nil; g = g.next {
		out = append(out, g.conn)
	}
	return out
}

// GiveWay asks all of them to give way to others, as the lobby does; on the loop.
func GiveWay(s *Server) {
	b := &s.listeners[0].lobby
	for _, c := range Newcomers(s) {
		b.mu.Lock()
		b.guests[c].stepOut()
		b.mu.Unlock()
		c.giveWayOnLoop()
	}
}

// Guests is how many are in the lobby and do not wait there.
func Guests(s *Server) int64 { return s.listeners[0].lobby.inside.Load() }

// GatesFound says whether every listener has its gate.
func GatesFound(s *Server) bool {
	for _, l := range s.listeners {
		if !l.gate.found() {
			return false
		}
	}
	return true
}

// HandOver has the first listener take in a connected socket.
func HandOver(s *Server, fd int) bool { return s.listeners[0].handOver(fd) }

// Napping says whether c's loop naps, or is about to.
func Napping(c *Conn) bool { return c.loop.napping.Load() }

// Served is how many guests of the first listener stand among those that a worker serves, and
// whether a worker's turn was measured.
func Served(s *Server) (guests int, measured bool) {
	b := &s.listeners[0].lobby
	b.mu.Lock()
	defer b.mu.Unlock()
	for g := b.served.oldest; g != nil; g = g.next {
		guests++
	}
	return guests, b.cost > 0
}
