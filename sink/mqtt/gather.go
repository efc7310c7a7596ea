package mqtt

import (
	"net"
	"runtime"
	"sync"
	"time"
)

// gathered is a connection on which packets leave together that are written side by side: one
// write for each costs a system call here and, as small segments, one or two at the broker.
// What a packet's writer gets is no error then; the connection is closed, and reading says so.
type gathered struct {
	net.Conn

	// Immutable after construction.
	wake    chan struct{} // a token: there is something to write
	closing chan struct{}
	done    chan struct{} // closed when nothing is written any more

	close sync.Once

	mu sync.Mutex
	// Guarded by mu.
	buf []byte
	err error
}

// gather has packets of a connection leave together, until Close.
func gather(c net.Conn) *gathered {
	g := &gathered{Conn: c, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go g.run()
	return g
}

// Lock is called by the library before the parts of a packet.
func (g *gathered) Lock() { g.mu.Lock() }

// Unlock is called by the library behind the parts of a packet.
func (g *gathered) Unlock() {
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Write takes a part of a packet. It is called between Lock and Unlock.
func (g *gathered) Write(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	g.buf = append(g.buf, b...)
	return len(b), nil
}

// run writes, until the connection is closed.
func (g *gathered) run() {
	defer close(g.done)
	var out []byte
	for last := false; !last; {
		select {
		case <-g.wake:
			runtime.Gosched() // those who are about to write come first
		case <-g.closing:
			last = true
		}
		g.mu.Lock()
		out, g.buf = g.buf, out[:0]
		g.mu.Unlock()
		if len(out) == 0 {
			continue
		}
		if _, err := g.Conn.Write(out); err != nil {
			g.mu.Lock()
			g.err, g.buf = err, nil
			g.mu.Unlock()
			_ = g.Conn.Close() // who reads hears of it
			return
		}
		if cap(out) > 1<<20 {
			out = nil
		}
	}
}

// Close writes what is gathered, for as long as a goodbye may take, and closes the connection.
func (g *gathered) Close() error {
	var err error
	g.close.Do(func() {
		close(g.closing)
		timer := time.NewTimer(goodbyeWithin)
		defer timer.Stop()
		select {
		case <-g.done:
		case <-timer.C:
		}
		err = g.Conn.Close()
		<-g.done
	})
	return err
}
