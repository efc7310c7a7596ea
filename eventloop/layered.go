package eventloop

import (
	"net/netip"

	"github.com/panjf2000/gnet/v2"

	"edgeloop/internal/bytebuf"
	"edgeloop/wsproto"
)

// maxPiece is how many bytes a Greeting may wait for.
const maxPiece = readBufferCap

// layered is a socket with a Greeting. It stands in gnet's place in the Conn, so who
// writes to it does not see the difference, and a plain connection pays nothing.
type layered struct {
	gnet.Conn

	c        *Conn
	greeting Greeting
	remote   *netip.AddrPort // that of Step; nil without one
	wire     *bytebuf.Buf    // what the Greeting has not taken
	waits    bool            // for us, and is lent by Held; else for the peer's next bytes, by Parts
	over     bool
	busy     bool // stepOnLoop is at work, and has wire
	parted   bool // Goodbye was said
}

// Write writes p through the Greeting.
func (l *layered) Write(p []byte) (int, error) { return l.writeSealed(l.seal(l.c.loop.sealed[:0], p)) }

// Writev is Write for several pieces.
func (l *layered) Writev(pieces [][]byte) (int, error) {
	b := l.c.loop.sealed[:0]
	for _, piece := range pieces {
		b = l.seal(b, piece)
	}
	return l.writeSealed(b)
}

func (l *layered) seal(dst, plain []byte) []byte {
	if l.over {
		return append(dst, plain...)
	}
	return l.greeting.Seal(dst, plain)
}

// writeSealed writes b, whose memory is the loop's.
func (l *layered) writeSealed(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if l.c.loop.sealed = b; cap(b) > 4*scratchCap { // one large frame must not stay for good
		l.c.loop.sealed = nil
	}
	return l.Conn.Write(b) //nolint:wrapcheck // it stands in gnet's place
}

// layerOnLoop is the layer of a connection that has one. A Greeting is made for the
// first byte, not for the socket: those who say nothing cost no more than elsewhere.
func (c *Conn) layerOnLoop() *layered {
	if l, ok := c.gc.(*layered); ok || c.state != stateGreeting {
		return l
	}
	return c.greetOnLoop()
}

func (c *Conn) greetOnLoop() *layered {
	l := &layered{Conn: c.gc, c: c, greeting: c.listener().greetingOf(c)}
	c.gc = l
	return l
}

// layeredOnLoop says whether a layer lies between the socket and the opening.
func (c *Conn) layeredOnLoop() bool {
	_, ok := c.gc.(*layered)
	return ok
}

// socketOnLoop is gnet's connection.
func (c *Conn) socketOnLoop() gnet.Conn {
	if l, ok := c.gc.(*layered); ok {
		return l.Conn
	}
	return c.gc
}

// unwrapOnLoop lets go of a Greeting that is over.
func (c *Conn) unwrapOnLoop() {
	if l, ok := c.gc.(*layered); ok && l.over {
		c.gc = l.Conn
		l.greeting.Closed()
	}
}

// goodbyeOnLoop has the Greeting say that nothing more comes.
func (c *Conn) goodbyeOnLoop() {
	l, ok := c.gc.(*layered)
	if !ok || l.over || l.parted {
		return
	}
	l.parted = true
	if b := l.greeting.Goodbye(c.loop.sealed[:0]); len(b) > 0 {
		_, _ = l.writeSealed(b) // a failure closes the connection and tells us, inside
	}
}

// remoteOnLoop is who the peer is.
func (c *Conn) remoteOnLoop() netip.AddrPort {
	if l, ok := c.gc.(*layered); ok && l.remote != nil {
		return *l.remote
	}
	return addrPortOf(c.gc.RemoteAddr())
}

// takesOnLoop says whether the layers above take anything now.
func (c *Conn) takesOnLoop() bool {
	switch c.state {
	case stateGreeting, stateHello, stateClosing:
		return true
	case stateOpen:
		return !c.paused
	}
	return false
}

// passRestOnLoop goes on with what waited for the layers above.
func (c *Conn) passRestOnLoop() {
	if l, ok := c.gc.(*layered); ok && l.wire != nil && !l.busy && c.takesOnLoop() {
		l.stepOnLoop(nil, nil)
	}
}

// stepOnLoop passes what waits, and in behind it, through the Greeting to the layers
// above, or to last instead, as long as they take anything. in is borrowed until return.
func (l *layered) stepOnLoop(in []byte, last func(plain []byte)) {
	c, kept := l.c, l.wire
	take := func(plain []byte) { // no method value: that would be an allocation a read
		if last != nil {
			last(plain)
			return
		}
		c.takeOnLoop(plain)
	}
	if kept != nil {
		l.wire = nil
		if len(in) > 0 {
			kept.Grow(l.pool(), len(in))
			kept.B = append(kept.B, in...)
		}
		in = kept.B
	}
	if l.busy = true; l.waits {
		c.loop.replaying = kept.Size()
	}
	defer func() { // also when a Receiver panics
		l.busy, c.loop.replaying = false, 0
		l.keepOnLoop(kept, in)
	}()
	for first := true; (first || len(in) > 0) && c.takesOnLoop(); first = false {
		if l.over {
			plain := in
			in = nil
			take(plain)
			return
		}
		step, err := l.greeting.Step(in)
		in = in[step.Used:]
		l.answerOnLoop(&step, err)
		if err != nil || c.gc == nil {
			in = nil
			return
		}
		if !c.handOnOnLoop(&step, take) {
			if step.End || step.Fault != nil {
				in = nil
			}
			return
		}
	}
}

// handOnOnLoop hands on what a step brought, and says whether another one may follow.
func (c *Conn) handOnOnLoop(step *Step, take func(plain []byte)) (more bool) {
	if len(step.Plain) > 0 {
		take(step.Plain)
	}
	switch {
	case step.Fault != nil:
		c.faultOnLoop(step.Fault)
		return false
	case step.End:
		c.hungUpOnLoop()
		return false
	}
	return step.Used > 0 || step.Over
}

// faultOnLoop fails a connection for what one of its layers cannot understand, behind what
// it understood before.
func (c *Conn) faultOnLoop(err error) {
	code, reason := closeCodeOf(err)
	switch c.state {
	case stateOpen:
		if c.hold != nil && !c.partOnLoop() { // it waits, and is handed on when the connection has ended
			c.noteFarewellOnLoop(code, reason)
			c.endOnLoop(CauseProtocolError, code)
			return
		}
		c.protocolErrorOnLoop(err)
	case stateGreeting, stateHello, statePending:
		if c.noteRefusedOnLoop(CauseRefused) {
			c.noteFarewellOnLoop(code, reason)
			c.lingerOnLoop()
		}
	}
}

// answerOnLoop does what a step asks for, but for what is handed on.
func (l *layered) answerOnLoop(step *Step, err error) {
	c := l.c
	if n := len(step.Reply); n > 0 {
		if waiting := l.OutboundBuffered(); waiting > 0 && waiting+n > c.loop.s.cfg.OutBuffer {
			c.endOnLoop(CauseSlowConsumer, wsproto.CloseTryAgain)
			return
		}
		c.loop.stats.bytesOut.Add(uint64(n)) //nolint:gosec // a length
		_, _ = l.Conn.Write(step.Reply)      // a failure closes the connection and tells us, inside
	}
	switch {
	case c.gc == nil:
		return
	case err != nil:
		c.blameOnLoop(err)
		if tell := c.loop.s.cfg.OnFailedGreeting; tell != nil && c.state == stateGreeting {
			tell(c.remoteOnLoop(), err)
		}
		l.failOnLoop()
		return
	case step.Remote.IsValid():
		remote := step.Remote // a copy, or every Step would be on the heap
		l.remote = &remote
		if cause := c.listener().judge(step.Remote.Addr()); cause != causeNone {
			c.endOnLoop(cause, wsproto.CloseAbnormal)
			return
		}
	}
	if step.Next != nil {
		l.greeting.Closed()
		l.greeting = step.Next
	}
	l.over = l.over || step.Over
	if c.state == stateGreeting && (step.Over || len(step.Plain) > 0) {
		c.state = stateHello
	}
}

// failOnLoop ends a connection whose Greeting failed. What it had to say is said.
func (l *layered) failOnLoop() {
	c := l.c
	switch c.state {
	case stateGreeting, stateHello, statePending:
		c.loop.stats.refused.Add(1)
		c.leaveSeat()
		c.cause, c.code = CauseRefused, wsproto.CloseAbnormal
	case stateOpen:
		c.recv.Flush()
		if c.state != stateOpen {
			return
		}
		c.cause, c.code = CauseProtocolError, wsproto.CloseProtocolError
	case stateLingering, stateClosed:
		return
	}
	c.lingerOnLoop()
}

// pool is what lends wire.
func (l *layered) pool() *bytebuf.Pool {
	if l.waits {
		return &l.c.loop.s.memory.Held
	}
	return &l.c.loop.s.memory.Parts
}

// keepOnLoop keeps rest, which is the end of what kept lends or was just read.
func (l *layered) keepOnLoop(kept *bytebuf.Buf, rest []byte) {
	c, lender := l.c, l.pool()
	if len(rest) == 0 || c.state == stateLingering || c.state == stateClosed {
		lender.Put(kept)
		return
	}
	if waits := !c.takesOnLoop(); kept == nil || waits != l.waits {
		l.waits = waits
		to := l.pool()
		moved := to.Get(len(rest))
		moved.B = append(moved.B, rest...)
		lender.Put(kept)
		l.wire = moved
	} else {
		kept.B = append(kept.B[:0], rest...)
		l.wire = kept
	}
	switch {
	case c.loop.s.memory.Over(0, 0):
		c.ShedOnLoop()
	case !l.waits && len(rest) > maxPiece, len(rest) > c.loop.s.cfg.InBuffer+2*readBufferCap:
		l.failOnLoop()
	}
}

// lastOnLoop hands f what waited when the connection ended, for as long as it takes more.
func (l *layered) lastOnLoop(f func(plain []byte) (more bool)) {
	kept := l.wire
	if kept == nil {
		return
	}
	l.wire = nil
	defer l.pool().Put(kept)
	for in := kept.B; l.waits && len(in) > 0; {
		step, err := l.greeting.Step(in)
		if err != nil || step.Used == 0 {
			return
		}
		in = in[step.Used:]
		if !f(step.Plain) {
			return
		}
	}
}

// dropWireOnLoop gives back what waits.
func (c *Conn) dropWireOnLoop() {
	if l, ok := c.gc.(*layered); ok && l.wire != nil {
		l.pool().Put(l.wire)
		l.wire = nil
	}
}

// wireHeldOnLoop is how many bytes c holds of a piece that has not arrived in full.
func (c *Conn) wireHeldOnLoop() int {
	if l, ok := c.gc.(*layered); ok && !l.waits {
		return l.wire.Size()
	}
	return 0
}
