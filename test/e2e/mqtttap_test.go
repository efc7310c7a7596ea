package e2e_test

import (
	"net"
	"sync"
	"testing"
)

// A tap stands between a client and the node, and can let nothing through any more, or reset
// every connection.
type tap struct {
	addr string

	mu   sync.Mutex
	flow *sync.Cond // with mu: frozen has changed
	// Guarded by mu.
	frozen bool
	conns  []*net.TCPConn
}

// newTap passes on to addr.
func newTap(t *testing.T, addr string) *tap {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{addr: l.Addr().String()}
	p.flow = sync.NewCond(&p.mu)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		p.freeze(false)
		p.cut()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp4", addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			a, b := near.(*net.TCPConn), far.(*net.TCPConn)
			p.mu.Lock()
			p.conns = append(p.conns, a, b)
			p.mu.Unlock()
			wg.Go(func() { p.pass(a, b) })
			wg.Go(func() { p.pass(b, a) })
		}
	})
	return p
}

// pass copies what comes, and its end, while nothing is frozen. An end is one in order, however
// the other side made it, or it could overtake the last words of the node.
func (p *tap) pass(from, to *net.TCPConn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		for p.frozen {
			p.flow.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			_, _ = to.Write(b[:n])
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// freeze lets nothing through, or everything again.
func (p *tap) freeze(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = on
	p.flow.Broadcast()
}

// cut resets every connection.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	p.conns = nil
}
