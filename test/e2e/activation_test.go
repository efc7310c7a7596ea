package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// socketUnit listens where the node's devices connect, as a socket unit of systemd does, and
// hands the socket over to each process of n.
func socketUnit(t *testing.T, n *node) {
	t.Helper()
	var c net.ListenConfig
	c.SetMultipathTCP(false) // as systemd's are
	ln, err := c.Listen(t.Context(), "tcp", n.listen)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); ln.Close() })
	n.sockets, n.env = []*os.File{f}, append(n.env, "LISTEN_FDS=1")
}

// asks connects and sends a request, which somebody may answer later.
func asks(t *testing.T, n *node, device string) (answered func()) {
	t.Helper()
	c, err := net.Dial("tcp", n.listen)
	if err != nil {
		t.Fatalf("%s is refused: %v", device, err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	fmt.Fprintf(c, "GET /v1/device?device=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n\r\n", device, n.listen)
	return func() {
		t.Helper()
		line := make([]byte, len("HTTP/1.1 101"))
		if _, err := io.ReadFull(c, line); err != nil || string(line) != "HTTP/1.1 101" {
			t.Errorf("%s got %q, %v", device, line, err)
		}
	}
}

// The service manager listens for the node. A device that connects before it runs, or while it is
// started again after a stop in good order or a crash, waits and is served; nobody is refused.
func TestActivation_NobodyIsRefused(t *testing.T) {
	t.Parallel()
	n := prepare(t, "--auth=none", "--drain-window=100ms")
	socketUnit(t, n)
	early := asks(t, n, "early")
	n.boot()
	early()
	asks(t, n, "later")()
	if status := n.status("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d", status)
	}
	for name, end := range map[string]func(){"a stop": n.stop, "a crash": n.kill} {
		end()
		waits := asks(t, n, "between")
		n.boot()
		waits()
		asks(t, n, "afterwards")()
		t.Logf("after %s", name)
	}
	n.stop()
}

// A socket that is handed over where the node does not listen would have devices wait for ever.
func TestActivation_AnotherAddress(t *testing.T) {
	t.Parallel()
	n := prepare(t, "--auth=none")
	socketUnit(t, n)
	of := n.listen
	n.listen = freeAddr(t)
	n.spawn()
	if code := n.wait(); code != 2 || !strings.Contains(n.log.String(), of) || !strings.Contains(n.log.String(), "--listen="+n.listen) {
		t.Errorf("exit code %d, %s", code, n.log)
	}
}
