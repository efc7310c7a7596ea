//go:build !race && !invariants

package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// countLog counts records and makes them durable at once.
type countLog struct {
	// Atomic.
	records atomic.Int64
}

func (l *countLog) Append(records []backbone.Record) error {
	for i := range records {
		records[i].Done.Durable(records[i].Seq)
	}
	l.records.Add(int64(len(records)))
	return nil
}

func (l *countLog) Last(context.Context, string, string) (last backbone.Last, err error) {
	return last, nil
}
func (l *countLog) Flush(context.Context) error { return nil }

// TestAllocs_Telemetry: a message costs no allocation on its whole way from the
// socket through loop and lane to the log, and its ack none on the way back.
func TestAllocs_Telemetry(t *testing.T) {
	// gnet allocates twice for each wake-up of a loop, which serves many messages.
	const budget = 0.15
	const burst, bursts = 32, 500
	log := &countLog{}
	n := startNodeOn(t, log, gateway.Config{})
	conn := n.rawDevice("thrifty")
	frames := newBurst(burst)
	send := func(from int) {
		for i := range bursts {
			sent := from + (i+1)*burst
			if _, err := conn.Write(frames.from(sent - burst + 1)); err != nil {
				t.Fatal(err)
			}
			for log.records.Load() < int64(sent) {
				runtime.Gosched() // polling with timers would allocate
			}
		}
	}
	const messages = burst * bursts
	send(0)
	before := mallocs()
	send(messages)
	perMessage := float64(mallocs()-before) / messages
	t.Logf("%.4f allocations per message", perMessage)
	if perMessage > budget {
		t.Errorf("%.3f allocations per message, the budget is %.2f", perMessage, budget)
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// A burst is client frames behind one another whose sequences are written over
// in place.
type burst struct {
	bytes []byte
	step  int // from one frame to the next
	digit int // where the last digit of the first sequence is
}

func newBurst(n int) *burst {
	const digits = "00000000"
	text := []byte(`{"type":"telemetry","topic":"t","data":{"celsius":21.5},"seq":1` + digits + `}`)
	frame := ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewTextFrame(text), [4]byte{}))
	return &burst{bytes: bytes.Repeat(frame, n), step: len(frame), digit: len(frame) - 2}
}

// from numbers the frames first, first+1, … above a hundred million.
func (b *burst) from(first int) []byte {
	for i := 0; i*b.step < len(b.bytes); i++ {
		seq := first + i
		for at := i*b.step + b.digit; seq > 0; at-- {
			b.bytes[at] = byte('0' + seq%10)
			seq /= 10
		}
	}
	return b.bytes
}

// rawDevice connects and throws away what it receives.
func (n *node) rawDevice(name string) net.Conn {
	n.Helper()
	dialer := ws.Dialer{Protocols: []string{"edgeloop.v1.json"}}
	conn, _, _, err := dialer.Dial(context.Background(), fmt.Sprintf("ws://%s/v1/device?device=%s", n.server.Addr(), name))
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() })
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	return conn
}
