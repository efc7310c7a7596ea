package eventloop

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"

	"edgeloop/internal/wheel"
	"edgeloop/tlsrec"
	"edgeloop/wsproto"
)

const (
	wheelSlots = 512
	// scratchCap is how much of one event's output is gathered for one write;
	// larger outputs take several.
	scratchCap = 32 << 10
)

// A loop is our half of one gnet event loop: the wheel, the mailbox and the
// output of the event at hand.
type loop struct {
	// Immutable after construction.
	s    *Server
	el   gnet.EventLoop
	turn gnet.Runnable // takes a turn (turn.go)
	tick gnet.Runnable // advances the wheel
	ring func()        // has turn run, from another goroutine
	fire func(id uint32) (wait uint32)
	bell chan struct{} // ends a nap, too; holds one

	// Owned by the loop goroutine; methods ending in OnLoop.
	epfd    int // gnet's epoll descriptor of this loop; 0 until found
	wheel   *wheel.Wheel
	ticked  uint32             // when the wheel was advanced the last time
	conns   []*Conn            // by wheel id
	blocked []*Conn            // paused, with output that waits for the socket (pause_linux.go)
	parts   map[*Conn]struct{} // those that hold something that has not arrived in full (memory.go)
	cur     *Conn              // whose output scratch holds
	scratch []byte
	sealed  []byte       // scratch of the layers (layered.go)
	framed  []byte       // the same of one between two others (tunnel.go)
	ciphers tlsrec.Cache // of those that speak (tls.go)
	pieces  [2][]byte
	mails   queue[mail]  // taken out of the mailbox and not delivered yet
	wakes   queue[*Conn] // the same of those that are to be woken
	push    []*Conn      // those of blocked that are looked at with this tick
	rung    bool         // the bell-ringer is on its way
	early   int          // how often it came before the sockets had their turn
	heard   int          // reads since the last turn
	// replaying is the size of the held buffer that is being decoded, which is not
	// in its connection's hold meanwhile (read.go).
	replaying int
	sliced    time.Time   // when the last slice ended
	gather    bool        // what was handed on since the last nap is not answered at once
	napped    time.Time   // when the last nap ended, or could have begun after a silence
	awake     time.Time   // no nap before it
	alarm     *time.Timer // ends a nap (nap.go)
	owner     owner       // for assertOnLoop

	// Guarded by mailbox.mu.
	mailbox mailbox

	// Guarded by alive, which is held for reading while gnet is called from
	// another goroutine: those calls write to a descriptor that gnet closes when
	// it ends, and whose number may be anybody's afterwards.
	alive sync.RWMutex
	dead  bool

	// Atomic.
	stats   loopStats
	late    atomic.Bool   // a tick is posted and has not run
	asked   atomic.Uint32 // when that one was posted, in ticks
	napping atomic.Bool
}

func newLoop(s *Server, el gnet.EventLoop) *loop {
	l := &loop{
		s:       s,
		el:      el,
		ticked:  s.now(),
		wheel:   wheel.New(wheelSlots, 0),
		scratch: make([]byte, 0, scratchCap),
		bell:    make(chan struct{}, 1),
		alarm:   time.NewTimer(0),
	}
	l.turn = runnable(func() { l.turnOnLoop() })
	l.tick = runnable(func() { l.tickOnLoop() })
	l.fire = l.fireOnLoop
	l.ring = func() { l.execute(l.turn) }
	return l
}

// runnable makes a function a gnet.Runnable.
type runnable func()

func (f runnable) Run(context.Context) error {
	f()
	return nil
}

// execute runs r on the loop, soon. It carries no data: gnet does not keep the
// order of what is executed (libraries.md 1.3), so r only empties a mailbox.
// When the loop is about to end r may never run.
func (l *loop) execute(r gnet.Runnable) {
	l.alive.RLock()
	defer l.alive.RUnlock()
	if !l.dead {
		_ = l.el.Execute(context.Background(), r) // fails only once the engine has ended
		l.endNap()
	}
}

// end lets nothing more be posted to the loop, and returns when no post is under way.
func (l *loop) end() {
	l.mailbox.close()
	l.alive.Lock()
	defer l.alive.Unlock()
	l.dead = true
}

// assertOnLoop panics when called from any goroutine but the loop's own, in
// builds with invariants.
func (l *loop) assertOnLoop() { l.owner.check() }

// enterOnLoop puts c on the wheel.
func (l *loop) enterOnLoop(c *Conn, wait uint32) {
	c.node = l.wheel.Add(wait)
	for int(c.node) >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.node] = c
}

// leaveOnLoop takes c off the wheel.
func (l *loop) leaveOnLoop(c *Conn) {
	l.wheel.Remove(c.node)
	l.conns[c.node] = nil
}

// tickOnLoop advances the wheel; connections whose time has come are asked what to
// do, in this turn and in those that follow.
func (l *loop) tickOnLoop() {
	l.late.Store(false)
	now := l.s.now()
	l.wheel.Advance(l.wheel.Now() + min(now-l.ticked, maxStep))
	l.ticked = now
	l.push, l.blocked = append(l.push, l.blocked...), l.blocked[:0]
	l.shedPartsOnLoop()
	l.ciphers.Sweep(time.Duration(now) * l.s.cfg.Tick)
	l.turnOnLoop()
}

// maxStep is how far one tick advances the wheel at most: a late tick makes up for one missed tick,
// not for more. While the loop stood still (a stopped process, a paused machine) nobody could be
// heard, so nobody was silent.
const maxStep = 2

func (l *loop) fireOnLoop(id uint32) (wait uint32) {
	c := l.conns[id]
	if c == nil {
		return 0
	}
	defer c.containOnLoop()
	return c.dueOnLoop()
}

// gatherOnLoop makes c the connection whose output is being gathered and
// returns the buffer to append to; put it back with l.scratch = b.
func (l *loop) gatherOnLoop(c *Conn) []byte {
	// A flush that fails calls Receiver.Closed, which may gather for a third
	// connection: so it is not over with one flush.
	for l.cur != nil && (l.cur != c || len(l.scratch) >= scratchCap) {
		l.flushOnLoop()
	}
	l.cur = c
	return l.scratch
}

// flushOnLoop writes what was gathered, in one write.
func (l *loop) flushOnLoop() { l.flushWithOnLoop(nil) }

// flushWithOnLoop writes what was gathered and tail behind it, for the same
// connection, in one write. tail is borrowed until return.
func (l *loop) flushWithOnLoop(tail []byte) {
	c, out := l.cur, l.scratch
	l.cur, l.scratch = nil, l.scratch[:0]
	if cap(out) > 4*scratchCap { // one large frame must not stay for good
		l.scratch = make([]byte, 0, scratchCap)
	}
	if c == nil || len(out)+len(tail) == 0 {
		return
	}
	// A failing write calls Receiver.Closed, which may gather for others: into
	// the memory of out, of which nothing is needed any more by then.
	c.writeOnLoop(out, tail)
}

// containOnLoop is deferred around everything that calls a Receiver: a panic
// costs the connection it was called for, never the node.
func (c *Conn) containOnLoop() {
	v := recover()
	if v == nil {
		return
	}
	c.panicked(v)
	if c.loop.cur == c {
		c.loop.cur, c.loop.scratch = nil, c.loop.scratch[:0]
	}
	c.decoding = false
	if c.state == stateClosed { // it panicked after it was closed: the lease ends here
		c.releaseOnLoop()
	}
	c.endOnLoop(CausePanic, wsproto.CloseInternal)
}

// contain is containOnLoop for calls that are made when there is no connection,
// or no loop, any more.
func (c *Conn) contain() {
	if v := recover(); v != nil {
		c.panicked(v)
	}
}

func (c *Conn) panicked(v any) {
	c.loop.stats.panics.Add(1)
	c.loop.s.log.Error("receiver panicked",
		zap.Uint64("conn_id", c.id), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
}
