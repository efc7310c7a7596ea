package fleettest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// Peer is one accepted connection after its handshake.
type Peer struct {
	net.Conn
	// Number counts connections of this server from 1.
	Number int
	// Request is the path and query of the handshake.
	Request string
	// Token is the value of the Authorization header.
	Token string

	sending sync.Mutex
}

// Send writes one unfragmented frame. Errors are the test's business to notice.
// Frames of several goroutines do not mix.
func (p *Peer) Send(op ws.OpCode, payload []byte) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return ws.WriteFrame(p, ws.NewFrame(op, true, payload))
}

// Next reads one whole frame and unmasks it; control frames are answered.
// io.EOF after a close frame.
func (p *Peer) Next() (ws.OpCode, []byte, error) {
	for {
		h, err := ws.ReadHeader(p)
		if err != nil {
			return 0, nil, err
		}
		if !h.Masked {
			return 0, nil, errors.New("fleettest: unmasked frame from the fleet")
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(p, payload); err != nil {
			return 0, nil, err
		}
		ws.Cipher(payload, h.Mask, 0)
		switch h.OpCode {
		case ws.OpClose:
			_ = p.Send(ws.OpClose, payload)
			return 0, nil, io.EOF
		case ws.OpPing:
			_ = p.Send(ws.OpPong, payload)
		case ws.OpPong:
		default:
			return h.OpCode, payload, nil
		}
	}
}

// Serve listens on loopback, upgrades each connection and gives it to handle;
// when handle returns the connection is closed. It returns the ws:// URL.
func Serve(t testing.TB, handle func(p *Peer)) (url string) {
	t.Helper()
	return "ws://" + listen(t, nil, handle) + "/"
}

// ServeTLS is Serve by TLS.
func ServeTLS(t testing.TB, cfg *tls.Config, handle func(p *Peer)) (url string) {
	t.Helper()
	return "wss://" + listen(t, cfg, handle) + "/"
}

// listen is Serve, by TLS where cfg is not nil, and returns the address.
func listen(t testing.TB, cfg *tls.Config, handle func(p *Peer)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	live := make(map[net.Conn]bool)
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range live {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			live[c] = true
			mu.Unlock()
			wg.Go(func() {
				serveOne(c, n, handle)
				mu.Lock()
				delete(live, c)
				mu.Unlock()
			})
		}
	})
	return addr
}

func serveOne(c net.Conn, n int, handle func(p *Peer)) {
	defer func() { _ = c.Close() }()
	p := &Peer{Conn: c, Number: n}
	up := ws.Upgrader{
		Protocol:  func(b []byte) bool { return true },
		OnRequest: func(uri []byte) error { p.Request = string(uri); return nil },
		OnHeader: func(key, value []byte) error {
			if string(key) == "Authorization" {
				p.Token = string(value)
			}
			return nil
		},
	}
	if _, err := up.Upgrade(c); err != nil {
		return
	}
	handle(p)
}
