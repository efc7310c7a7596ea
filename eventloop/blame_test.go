package eventloop_test

import (
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// halfHello is the beginning of a record with a ClientHello.
const halfHello = "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"

// Who fails its TLS handshake by its own doing is told of, once, with the address that the
// PROXY header says; who leaves, is silent, or finds no worker is not.
func TestTLS_Blames(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		leaves     bool
		busy       bool
		want       string
		cause      eventloop.Cause
	}{
		{name: "garbage", sent: "\x80\x2e\x01\x03\x01", want: "127.0.0.1", cause: eventloop.CauseRefused},
		{name: "HTTP", sent: request, want: "127.0.0.1", cause: eventloop.CauseRefused},
		{name: "half a hello", sent: halfHello, want: "127.0.0.1", cause: eventloop.CauseHandshakeTimeout},
		{name: "half a hello, then it leaves", sent: halfHello, leaves: true, cause: eventloop.CausePeerGone},
		{name: "silence", cause: eventloop.CauseHandshakeTimeout},
		{name: "it leaves", leaves: true, cause: eventloop.CausePeerGone},
		{name: "garbage behind a proxy", sent: "PROXY TCP4 10.1.2.3 10.9.9.9 5 6\r\n\x80\x2e\x01\x03\x01", want: "10.1.2.3", cause: eventloop.CauseRefused},
		{name: "silence behind a proxy", sent: "PROXY TCP4 10.1.2.3 10.9.9.9 5 6\r\n", cause: eventloop.CauseHandshakeTimeout},
		{name: "no worker", sent: "\x16\x03\x01\x00\x01\x01", busy: true, cause: eventloop.CauseRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, _ := secureServer(t)
			run := oneForEach
			if c.busy {
				run = func(func()) bool { return false }
			}
			listeners := over(server, run)
			if len(c.sent) > 5 && c.sent[:5] == "PROXY" {
				listeners[0].Proxies = func(netip.Addr) bool { return true }
			}
			within := time.Hour // but where the end of its time is what is looked at
			if c.cause == eventloop.CauseHandshakeTimeout {
				within = 50 * tick
			}
			var mu sync.Mutex
			var blamed []string
			n := serve(t, eventloop.Config{
				Listeners: listeners, Tick: tick, HandshakeTimeout: within, CloseTimeout: tick,
				OnFailedTLS: func(a netip.Addr) {
					mu.Lock()
					defer mu.Unlock()
					blamed = append(blamed, a.String())
				},
			}, echoing())
			comes := uint64(0)
			testkit.Eventually(t, patience, "somebody to be heard", func() bool { // in his time, which this machine may let pass
				comes++
				d := n.dial()
				d.patient()
				_, _ = d.conn.Write([]byte(c.sent))
				if c.leaves {
					if c.sent != "" {
						testkit.Eventually(t, patience, "bytes to arrive", func() bool { return n.Stats().BytesIn > 0 })
					}
					d.conn.Close()
				}
				n.gone(c.cause, comes)
				return c.cause != eventloop.CauseHandshakeTimeout || n.Stats().BytesIn >= uint64(len(c.sent))
			})
			n.finish()
			mu.Lock()
			defer mu.Unlock()
			if got := len(blamed); got > 1 || (got == 1) != (c.want != "") || got == 1 && blamed[0] != c.want {
				t.Errorf("blamed are %q, want %q", blamed, c.want)
			}
		})
	}
}

// A client that speaks another protocol, as a browser does that was sent to the wrong port, is not
// blamed for it; one that speaks another version of TLS is.
func TestTLS_BlamesNoOtherProtocol(t *testing.T) {
	for want, cfg := range []*tls.Config{
		{NextProtos: []string{"h2"}},
		{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
	} {
		server, pool := secureServer(t)
		var blamed atomic.Int32
		n := serve(t, eventloop.Config{
			Listeners: over(server, oneForEach), Tick: tick, HandshakeTimeout: time.Hour, CloseTimeout: tick,
			OnFailedTLS: func(netip.Addr) { blamed.Add(1) },
		}, echoing())
		cfg.RootCAs = pool
		if n.dialTLS(cfg).tls.Handshake() == nil {
			t.Error("it went through")
		}
		n.gone(eventloop.CauseRefused, 1)
		n.finish()
		if got := int(blamed.Load()); got != want {
			t.Errorf("%v, up to version %#x: blamed %d times, want %d", cfg.NextProtos, cfg.MaxVersion, got, want)
		}
	}
}
