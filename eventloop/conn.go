package eventloop

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"edgeloop/internal/bytebuf"
	"edgeloop/wsproto"
)

// A Conn is one socket, from accept to close. Its life:
//
//	(greeting ──►) hello ──► pending ──► open ──► closing ──► closed
//	     │           │          │          └────► lingering ──┘
//	     └───────────┴──────────┴───────────────►
//
// greeting: the listener has one, and it has handed on nothing yet (greeting.go).
// hello: the opening is incomplete. pending: the Acceptor is deciding.
// closing: our Close frame went out, the peer's is awaited. lingering: nothing
// more is sent, the peer's bytes are thrown away until it hangs up, so that
// what we said last is not lost to a TCP reset.
//
// A Conn is never used again for another socket, so a reference that is held
// too long is harmless: after closed, every call is a no-op or ErrClosed.
type Conn struct {
	// Immutable after construction.
	loop *loop
	id   uint64 // set once more, by decideOnLoop, before anybody else knows of it

	// Owned by the loop goroutine; methods ending in OnLoop.
	gc     gnet.Conn // or what stands in its place (layered.go); nil once closed: its descriptor may already be another device's
	recv   Receiver  // nil before admission
	hold   *bytebuf.Buf
	dec    wsproto.Decoder
	node   uint32 // wheel id
	state  connState
	cause  Cause
	speech speech
	paused bool  // reading is paused by the Receiver
	deaf   bool  // epoll does not report what the peer sends
	push   bool  // it is in loop.blocked
	guest  bool  // it is in the lobby
	parted bool  // it is in loop.parts
	via    uint8 // by which listener it has come; set before anybody else knows of it
	// decoding says that a message may be lent to the Receiver: what it lies in
	// must not go back to its pool, and what is held not be decoded, before the
	// call has returned.
	decoding bool
	code     wsproto.CloseCode

	// Atomic.
	queued  atomic.Int32 // bytes posted by Send that the loop has not seen
	signals atomic.Uint32
}

type connState uint8

const (
	stateGreeting connState = iota
	stateHello
	statePending
	stateOpen
	stateClosing
	stateLingering
	stateClosed
)

// undecided says that nobody has been told yet whether the peer may stay.
func (s connState) undecided() bool { return s <= statePending }

const (
	signalWake   uint32 = 1 << iota // a wake is in the mailbox
	signalClosed                    // closed, closing, or about to be: nothing more may be sent
	seatTaken                       // it counts towards MaxConnections (seat.go)
	seatOver                        // it is gone, was refused, or gave its seat to another: it gets none any more
)

// ID is unique in this process. From Acceptor.Accept on it does not change, and the
// higher of two is of the handshake that came later.
func (c *Conn) ID() uint64 { return c.id }

// Queued is how many bytes were posted that the loop has not seen yet.
func (c *Conn) Queued() int { return int(c.queued.Load()) }

// Send writes one message; any goroutine. The bytes are shared, never written, and
// must not change afterwards: one message may go to many connections. It never
// blocks. The messages of one caller keep their order; those sent before Admit are
// dropped. Errors: ErrClosed, ErrSlowConsumer (the connection is then being closed).
func (c *Conn) Send(kind Kind, payload []byte) error {
	if c.signals.Load()&signalClosed != 0 {
		return ErrClosed
	}
	cost := mailCost(payload)
	if int(c.queued.Add(cost)) > c.loop.s.cfg.OutBuffer+mailOverhead {
		c.queued.Add(-cost)
		if c.signals.Or(signalClosed)&signalClosed == 0 {
			_ = c.loop.post(mail{c: c, kind: mailSlow})
		}
		return ErrSlowConsumer
	}
	return c.loop.post(mail{c: c, kind: mailSend, message: kind, payload: payload})
}

// Close closes the connection with a Close frame, behind what was sent before;
// any goroutine, idempotent. Nothing can be sent after it. With CloseGoingAway
// messages are still received until the peer's answer. The reason is cut to what
// a Close frame can carry.
func (c *Conn) Close(code wsproto.CloseCode, reason string) {
	if c.signals.Or(signalClosed)&signalClosed == 0 {
		_ = c.loop.post(mail{c: c, kind: mailClose, code: code, reason: reason})
	}
}

// Wake has the Receiver's Woken called on the loop, once for many calls; any
// goroutine, without allocation.
func (c *Conn) Wake() {
	if c.signals.Or(signalWake)&(signalWake|signalClosed) == 0 {
		c.loop.postWake(c)
	}
}

// CloseOnLoop is Close for callers that are on the loop: it takes effect before
// it returns.
func (c *Conn) CloseOnLoop(code wsproto.CloseCode, reason string) {
	c.loop.assertOnLoop()
	c.closeOnLoop(code, reason)
}

// PeerOnLoop is the other end of the socket, nil once that is closed. It is shared and never
// written, but for its Zone, which is good until Closed returns; so keeping it takes no memory.
// Behind a proxy it is the proxy; the peer is Credentials.Remote.
func (c *Conn) PeerOnLoop() *net.TCPAddr {
	if c.gc == nil {
		return nil
	}
	addr, _ := c.gc.RemoteAddr().(*net.TCPAddr)
	return addr
}

// dueOnLoop is called by the wheel from time to time, whether the peer is silent
// or not, and says when to call it again.
func (c *Conn) dueOnLoop() (wait uint32) {
	idle := c.loop.wheel.Idle(c.node)
	switch c.state {
	case stateGreeting, stateHello, statePending:
		return c.undecidedOnLoop(idle)
	case stateClosing:
		if limit := c.closeTicksOnLoop(); idle < limit {
			return limit - idle
		}
		c.hangUpOnLoop()
	case stateLingering:
		return c.lingeringOnLoop(idle)
	case stateOpen:
		return c.quietOnLoop(idle)
	}
	return 0
}

// quietOnLoop tells the Receiver how silent its peer is.
func (c *Conn) quietOnLoop(idle uint32) (wait uint32) {
	w, s := c.loop.wheel, c.loop.s
	asked := NotAsked
	ago, marked := w.Marked(c.node)
	deaf := c.paused || (idle > 0 && c.unreadOnLoop()) // it is we who do not listen
	switch {
	case deaf:
		w.Touch(c.node)
		idle = 0
	case marked:
		asked = time.Duration(ago) * s.cfg.Tick
	}
	next := c.recv.Quiet(time.Duration(idle)*s.cfg.Tick, asked)
	if deaf {
		next = min(next, s.cfg.Tick)
	}
	switch c.state {
	case stateOpen:
		return s.ticks(next)
	case stateClosing, stateLingering:
		return c.closeTicksOnLoop()
	}
	return 0
}

// AskQuietOnLoop calls Quiet now, and then when that call asks to be called again. It is for a
// Receiver that wants to be called sooner than it last said.
func (c *Conn) AskQuietOnLoop() {
	c.loop.assertOnLoop()
	if c.state != stateOpen {
		return
	}
	wait := c.quietOnLoop(c.loop.wheel.Idle(c.node))
	if c.state == stateOpen {
		c.loop.wheel.Move(c.node, wait)
	}
}

// wokenOnLoop passes a wake on, to the layer in charge.
func (c *Conn) wokenOnLoop() {
	switch c.state {
	case stateOpen:
		c.recv.Woken()
	case stateGreeting:
		if l, ok := c.gc.(*layered); ok {
			l.stepOnLoop(nil, nil)
			c.partsOnLoop()
		}
	}
}
