//go:build !race && !invariants

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// TestHeap_Bounded: the log stands still, and devices send all that they are let,
// in every form in which it can be kept here. The node allows a MiB and a quarter of
// it; the heap shows whether something is held that nobody counts.
func TestHeap_Bounded(t *testing.T) {
	const allowed, slack = 1 << 20, 5 << 20 // of slack: connections and sessions, their sockets on this side
	long := `{"type":"telemetry","data":"` + strings.Repeat("x", 60<<10) + `"}`
	for _, tc := range []struct {
		name    string
		devices int
		frames  []byte
	}{
		{"two reads of 60 KiB", 400, append(frameOf(long), frameOf(long)...)},
		{"most of a message of 60 KiB", 300, frameOf(long)[:50<<10]},
		{"messages that inflate to 60 KiB", 100, deflatedOf(t, long, 200)},
		{"the front of a message declared at 64 KiB", 200, frameOf(strings.Repeat("x", 64<<10))[:10]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stuck := make(chan struct{})
			log := &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}
			n := startNodeWith(t, log, &memStore{}, gateway.Config{InFlight: allowed}, true)
			conns := make([]net.Conn, tc.devices)
			for i := range conns {
				conns[i] = n.dialCompressed(fmt.Sprintf("d%d", i))
			}
			before := heap()
			for _, c := range conns {
				_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // who is held back does not take all
				_, _ = c.Write(tc.frames)
			}
			var last uint64
			same := 0
			n.until("nothing more is read", func() bool {
				if got := n.server.Stats().BytesIn; got != last {
					last, same = got, 0
				}
				same++
				return same > 20
			})
			grown := heap() - before
			st := n.server.Stats()
			t.Logf("counted %d KiB, heap grew by %d KiB; %d paused, %d open of %d", n.gateway.Stats().InFlightBytes>>10, grown>>10, st.Paused, st.Open, tc.devices)
			if grown > allowed+slack {
				t.Errorf("the heap grew by %d KiB with %d KiB allowed", grown>>10, allowed>>10)
			}
			if used := n.gateway.Stats().InFlightBytes; used > allowed*5/4+128<<10 {
				t.Errorf("%d KiB count, a quarter above %d KiB and one read are allowed", used>>10, allowed>>10)
			}
			n.connect("another") // who comes now is welcome
			close(stuck)
			for _, c := range conns {
				_ = c.Close()
			}
			n.until("all have left", func() bool { return n.server.Stats().Open == 1 && n.gateway.Stats().InFlightBytes == 0 })
			log.empty()
			if kept := heap() - before; kept > slack/2 {
				t.Errorf("when all have left %d KiB are kept", kept>>10)
			}
		})
	}
}

// empty lets go of what the log keeps in memory.
func (l *memLog) empty() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = nil
}

// heap is what is in use after a collection.
func heap() int64 {
	for range 3 { // sync.Pools keep what they have for one
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // below 2^63
}

// deflatedOf is n compressed messages.
func deflatedOf(t *testing.T, text string, n int) (all []byte) {
	t.Helper()
	frame, err := wsflate.CompressFrame(ws.NewTextFrame([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	frame = ws.MaskFrameInPlaceWith(frame, [4]byte{})
	for range n {
		all = append(all, ws.MustCompileFrame(frame)...)
	}
	return all
}

// dialCompressed connects, with compression, and throws away what it receives.
func (n *node) dialCompressed(name string) net.Conn {
	n.Helper()
	dialer := ws.Dialer{Protocols: []string{"edgeloop.v1.json"}}
	dialer.Extensions = append(dialer.Extensions, wsflate.DefaultParameters.Option())
	conn, _, _, err := dialer.Dial(context.Background(), fmt.Sprintf("ws://%s/v1/device?device=%s", n.server.Addr(), name))
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() })
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	return conn
}
