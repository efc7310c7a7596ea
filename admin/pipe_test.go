package admin_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes in memory: inside a bubble,
// a server on it runs on the bubble's clock, and a write that nobody reads
// blocks at once, without a kernel's buffers in between.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes {
	return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepted <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble is a fixture that serves on pipes, for use inside a synctest bubble.
type bubble struct {
	*fixture
	pipes  *pipes
	client *http.Client
}

// serve starts the fixture's server. stop must be called before the bubble ends.
func (f *fixture) serve() (b *bubble, stop func()) {
	p := newPipes()
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(p) }()
	transport := &http.Transport{DialContext: p.dial, DisableKeepAlives: true}
	b = &bubble{fixture: f, pipes: p, client: &http.Client{Transport: transport}}
	synctest.Wait()
	return b, func() {
		f.t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := f.server.Stop(ctx); err != nil {
			f.t.Errorf("Stop: %v", err)
		}
		if err := <-served; err != nil {
			f.t.Errorf("Serve: %v", err)
		}
		transport.CloseIdleConnections()
	}
}

// open sends a request and returns the response with its body yet to be read.
func (b *bubble) open(ctx context.Context, path string, headers ...string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// raw opens a connection and writes text to it.
func (b *bubble) raw(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := b.pipes.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return c
}
