package faults

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/internal/pause"
)

// Proxy is a TCP relay that can be slow, silent or gone.
type Proxy struct {
	// Immutable after construction.
	target string
	addr   string
	wg     sync.WaitGroup

	// Guarded by mu.
	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	closed   bool

	// Atomic.
	delay atomic.Int64 // nanoseconds before each piece is forwarded
	held  atomic.Bool  // nothing is forwarded
}

// NewProxy listens on addr and relays to target.
func NewProxy(addr, target string) (*Proxy, error) {
	p := &Proxy{target: target, addr: addr, conns: map[net.Conn]struct{}{}}
	return p, p.Open()
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.addr }

// Slow delays each piece of data, in both directions. Any goroutine.
func (p *Proxy) Slow(d time.Duration) { p.delay.Store(int64(d)) }

// Hold stops forwarding, or resumes it; the connections stay. Any goroutine.
func (p *Proxy) Hold(on bool) { p.held.Store(on) }

// Cut ends all connections and accepts new ones. Any goroutine.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// Shut ends all connections and accepts no new ones until Open. Any goroutine.
func (p *Proxy) Shut() {
	p.mu.Lock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.mu.Unlock()
	p.Cut()
}

// Open accepts connections again. Any goroutine.
func (p *Proxy) Open() error {
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.listener != nil {
		return errors.Join(errors.New("fault: the proxy is open or closed for good"), l.Close())
	}
	p.listener = l
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Add(1)
			go func() {
				defer p.wg.Done()
				p.relay(c)
			}()
		}
	}()
	return nil
}

// Close ends the proxy for good and waits for its goroutines.
func (p *Proxy) Close() {
	p.Hold(false)
	p.Slow(0)
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Shut()
	p.wg.Wait()
}

func (p *Proxy) relay(near net.Conn) {
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		near.Close()
		return
	}
	p.mu.Lock()
	p.conns[near], p.conns[far] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Add(2)
	for _, way := range [2][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			defer wg.Done()
			p.pump(way[0], way[1])
			near.Close()
			far.Close()
		}()
	}
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, near)
	delete(p.conns, far)
	p.mu.Unlock()
}

// pump forwards what arrives, with the current delay.
func (p *Proxy) pump(from io.Reader, to io.Writer) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if d := p.delay.Load(); d > 0 {
			_ = pause.For(context.Background(), time.Duration(d)) // bounded by d
		}
		for p.held.Load() {
			_ = pause.For(context.Background(), 20*time.Millisecond) // Close ends it
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
