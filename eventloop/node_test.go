package eventloop_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// patience bounds every wait of these tests; reaching it is a failure.
const patience = time.Minute

// A node is a running server whose counters are checked when the test ends.
type node struct {
	*eventloop.Server

	t      testing.TB
	dialTo string // "": the first listener
	ended  chan error

	mu      sync.Mutex
	tracked []*tracked
	fds     []int // sockets of bare clients
}

// serve starts a server on loopback. Everything that Accept admits is tracked.
func serve(t testing.TB, cfg eventloop.Config, accept acceptFunc) *node {
	t.Helper()
	if len(cfg.Listeners) == 0 {
		cfg.Listeners = []eventloop.Listener{{Address: "127.0.0.1:0"}}
	}
	n := &node{t: t, ended: make(chan error, 1)}
	srv, err := eventloop.New(cfg, acceptFunc(func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		r, refusal := accept(c, h)
		if r == nil {
			return nil, refusal
		}
		return n.track(r), refusal
	}))
	if err != nil {
		t.Fatal(err)
	}
	n.Server = srv
	go func() { n.ended <- srv.Run() }()
	testkit.Eventually(t, patience, "the server to boot", func() bool {
		select {
		case <-srv.Booted():
			return true
		default:
			return false
		}
	})
	t.Cleanup(n.finish)
	return n
}

// finish stops the server and checks that every connection was counted out and
// every Receiver told, once.
func (n *node) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		n.t.Errorf("Stop: %v", err)
		return
	}
	if err := <-n.ended; err != nil {
		n.t.Errorf("Run: %v", err)
	}
	n.ended <- nil // Stop is idempotent, and so is this
	st := n.Stats()
	if st.Open != 0 || st.Handshakes != 0 || st.Paused != 0 {
		n.t.Errorf("after Stop: %d open, %d handshakes, %d paused", st.Open, st.Handshakes, st.Paused)
	}
	var gone uint64
	for _, g := range st.Gone {
		gone += g
	}
	if gone != st.Accepted || st.Gone[0] != 0 {
		n.t.Errorf("%d connections accepted, %d ended (%d without a cause)", st.Accepted, gone, st.Gone[0])
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, fd := range n.fds {
		_ = unix.Close(fd)
	}
	n.fds = nil
	for i, r := range n.tracked {
		if c := r.closed.Load(); c != 1 {
			n.t.Errorf("receiver %d: Closed was called %d times", i, c)
		}
		if late := r.late.Load(); late != 0 {
			n.t.Errorf("receiver %d: %d calls after Closed", i, late)
		}
	}
}

// gone waits until at least want connections ended for cause.
func (n *node) gone(cause eventloop.Cause, want uint64) {
	n.t.Helper()
	testkit.Eventually(n.t, patience, "connections to end with "+cause.String(), func() bool {
		return n.Stats().Gone[cause] >= want
	})
}

// acceptFunc is an Acceptor.
type acceptFunc func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal)

func (f acceptFunc) Accept(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	return f(c, h)
}

// admit is an Acceptor that admits everyone with what make returns.
func admit(mk func(c *eventloop.Conn) eventloop.Receiver) acceptFunc {
	return func(c *eventloop.Conn, _ *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		return mk(c), nil
	}
}

// echoing admits everyone and sends back what it receives.
func echoing() acceptFunc {
	return admit(func(c *eventloop.Conn) eventloop.Receiver { return &ears{receive: c.WriteOnLoop} })
}

// ears is a Receiver of which a test fills in what it needs.
type ears struct {
	// quiet is called after heartbeat of silence, a tick at the least.
	quiet     func(idle time.Duration) time.Duration
	heartbeat time.Duration

	receive func(op eventloop.Kind, payload []byte)
	flush   func()
	woken   func()
	closed  func(gone *eventloop.Gone)
}

func (e *ears) Receive(op eventloop.Kind, payload []byte) {
	if e.receive != nil {
		e.receive(op, payload)
	}
}

func (e *ears) Flush() {
	if e.flush != nil {
		e.flush()
	}
}

func (e *ears) Woken() {
	if e.woken != nil {
		e.woken()
	}
}

func (e *ears) Quiet(idle, _ time.Duration) time.Duration {
	switch first := max(e.heartbeat, tick); {
	case e.quiet == nil:
		return time.Hour
	case idle < first:
		return first - idle
	}
	return e.quiet(idle)
}

func (e *ears) Closed(gone *eventloop.Gone) {
	if e.closed != nil {
		e.closed(gone)
	}
}

// tracked passes calls on and counts what must not happen.
type tracked struct {
	eventloop.Receiver

	closed atomic.Int32
	late   atomic.Int32 // calls after Closed
}

func (n *node) track(r eventloop.Receiver) *tracked {
	w := &tracked{Receiver: r}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tracked = append(n.tracked, w)
	return w
}

func (w *tracked) note() {
	if w.closed.Load() != 0 {
		w.late.Add(1)
	}
}

func (w *tracked) Receive(op eventloop.Kind, payload []byte) {
	w.note()
	w.Receiver.Receive(op, payload)
}

func (w *tracked) Flush() {
	w.note()
	w.Receiver.Flush()
}

func (w *tracked) Woken() {
	w.note()
	w.Receiver.Woken()
}

func (w *tracked) Quiet(idle, asked time.Duration) time.Duration {
	w.note()
	return w.Receiver.Quiet(idle, asked)
}

func (w *tracked) Closed(gone *eventloop.Gone) {
	w.closed.Add(1)
	w.Receiver.Closed(gone)
}
