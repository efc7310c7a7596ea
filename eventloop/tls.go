package eventloop

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/tlsrec"
)

// TLS lies around all bytes of a connection. Its handshake is expensive, so a worker does it, piece
// by piece. The loop does not wait: it hands a piece over and goes on when the worker wakes it. The
// cheap pieces of the handshake (tlsrec.Session.Cheap) and everything after it run on the loop.
//
// The newest of those that wait for a worker comes first: when there are more than can be
// served in time, those that waited long have given up, or will, and work for them is lost
// work.

// errBusy says that no worker takes a record.
var errBusy = errors.New("eventloop: too many TLS handshakes at a time")

// TLS makes the Greeting for listeners where devices speak TLS, and inside it protocol, named as in
// ALPN (tlsrec.NewSession). run has a worker call the function, and says whether one will. It must
// not block, and must not call the function before it returns. The number of workers bounds how
// much of the processor handshakes take.
func TLS(s *tlsrec.Server, protocol string, run func(func()) bool) func(*Conn) Greeting {
	w := &workshop{server: s, run: run}
	w.work = w.workOne
	return func(c *Conn) Greeting { return &tlsGreeting{c: c, shop: w, session: s.NewSession(protocol)} }
}

// A workshop is where handshakes wait for a worker.
type workshop struct {
	// Immutable after construction.
	server *tlsrec.Server
	run    func(func()) bool
	work   func() // workOne

	// Guarded by mu.
	mu      sync.Mutex
	waiting []job
}

// A tlsGreeting is TLS on one connection.
type tlsGreeting struct {
	// Immutable after construction.
	c       *Conn
	shop    *workshop
	session *tlsrec.Session // the loop's, unless it is handed over

	// Owned by the loop goroutine.
	open bool // the handshake is over

	// Atomic.
	held atomic.Int32
}

// A job is a record of a handshake, in memory of its own, that waits for a worker.
type job struct {
	of     *tlsGreeting
	record []byte
}

// Holders of the session.
const (
	heldByLoop int32 = iota
	heldByWorker
	heldByWorkerAlone // the connection is gone
)

var _ Greeting = (*tlsGreeting)(nil)

// Step implements Greeting.
func (g *tlsGreeting) Step(wire []byte) (s Step, err error) {
	if g.held.Load() != heldByLoop {
		return s, nil
	}
	if !g.open {
		if s, err = g.handshakeOnLoop(wire); err != nil || !g.open || s.Used > 0 {
			return s, err
		}
	}
	n := tlsrec.Cut(wire)
	if n == 0 {
		return s, nil
	}
	s.Used = n
	plain, reply, err := g.session.Open(wire[:n])
	s.Plain, s.Reply = plain, append(s.Reply, reply...)
	if errors.Is(err, io.EOF) {
		s.End, err = true, nil
	}
	return s, err
}

// handshakeOnLoop goes on with what the peer said. The last piece is not handed over: its worker
// costs the loop as much as the piece does.
func (g *tlsGreeting) handshakeOnLoop(wire []byte) (s Step, err error) {
	if s.Reply = g.session.Reply(); s.Reply == nil && g.session.Virgin() && !tlsrec.LooksLikeTLS(wire) {
		return Step{Used: len(wire), Reply: g.session.NotTLS(wire)}, tlsrec.ErrNotTLS
	}
	if err = g.settleOnLoop(); err != nil || g.open {
		return s, err
	}
	s.Used = g.session.Piece(wire)
	switch {
	case s.Used == 0:
	case g.session.Cheap():
		g.session.Advance(wire[:s.Used])
		s.Reply = append(s.Reply, g.session.Reply()...)
		err = g.settleOnLoop()
	default:
		err = g.shop.handOver(g, wire[:s.Used])
	}
	return s, err
}

// settleOnLoop looks whether the handshake is over.
func (g *tlsGreeting) settleOnLoop() (err error) {
	if g.open, err = g.session.Done(); g.open {
		g.session.Keep(&g.c.loop.ciphers)
	}
	return err
}

// CertificateOnLoop is who the peer's certificate stands for; nil where it has none, and
// once the connection is gone.
func (c *Conn) CertificateOnLoop() *tlsrec.Identity {
	c.loop.assertOnLoop()
	l, ok := c.gc.(*layered)
	if !ok {
		return nil
	}
	below := l.greeting
	if t, ok := below.(*tunnel); ok {
		below = t.below
	}
	if g, ok := below.(*tlsGreeting); ok {
		return g.session.Peer()
	}
	return nil
}

// Seal implements Greeting.
func (g *tlsGreeting) Seal(dst, plain []byte) []byte { return g.session.Seal(dst, plain) }

// Goodbye implements Greeting.
func (g *tlsGreeting) Goodbye(dst []byte) []byte {
	if g.held.Load() != heldByLoop {
		return dst
	}
	return g.session.Goodbye(dst)
}

// Closed implements Greeting. A worker that has the session closes it instead.
func (g *tlsGreeting) Closed() {
	if !g.held.CompareAndSwap(heldByWorker, heldByWorkerAlone) {
		g.session.Close()
	}
}

// handOver leaves a record of the handshake to a worker. It is copied: its memory is the
// loop's.
func (w *workshop) handOver(g *tlsGreeting, record []byte) error {
	j := job{g, append([]byte(nil), record...)}
	g.c.listener().lobby.serve(g.c, 0, time.Now())
	g.held.Store(heldByWorker)
	gone, err := w.post(j)
	if gone != nil {
		gone.session.Close()
	}
	if err != nil {
		g.held.Store(heldByLoop)
	}
	return err
}

// post has j wait for a worker. If no worker takes more, j takes the place of the oldest job whose
// connection is gone; the worker that comes for that one then serves the newest, and the caller
// closes gone. Without this such jobs would fill the room and keep it, because the newest are
// served first.
func (w *workshop) post(j job) (gone *tlsGreeting, err error) {
	// A worker is coming for each job that waits. If the lock were released in between, the worker
	// for another job could take this one, and the other would wait for good.
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.waiting)
	w.waiting = append(w.waiting, j)
	if w.run(w.work) {
		return nil, nil
	}
	for i := range w.waiting[:n] {
		if gone = w.waiting[i].of; gone.held.Load() == heldByWorkerAlone {
			w.waiting = slices.Delete(w.waiting, i, i+1)
			return gone, nil
		}
	}
	w.waiting = slices.Delete(w.waiting, n, n+1)
	return nil, errBusy
}

// workOne goes on with the handshake that came last. A worker calls it, once for each
// record.
func (w *workshop) workOne() {
	w.mu.Lock()
	n := len(w.waiting) - 1
	if n < 0 {
		w.mu.Unlock()
		return
	}
	g, record := w.waiting[n].of, w.waiting[n].record
	w.waiting[n] = job{}
	if w.waiting = w.waiting[:n]; n == 0 {
		w.waiting = nil // after a storm it is large
	}
	w.mu.Unlock()
	if g.held.Load() == heldByWorker {
		began := time.Now()
		g.session.Advance(record)
		now := time.Now()
		g.c.listener().lobby.serve(g.c, now.Sub(began), now)
	}
	if g.held.CompareAndSwap(heldByWorker, heldByLoop) {
		g.c.Wake()
	} else {
		g.session.Close()
	}
	runtime.Gosched() // the loops come before the next handshake
}
