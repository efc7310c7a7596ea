package eventloop

import (
	"fmt"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"edgeloop/wsproto"
)

// A bareSocket is a connection of gnet without a kernel: what it is asked for is always
// there, and what it is given is taken.
type bareSocket struct {
	gnet.Conn

	c  *Conn
	in []byte
}

func (s *bareSocket) Context() any                { return s.c }
func (s *bareSocket) Next(int) ([]byte, error)    { return s.in, nil }
func (s *bareSocket) Write(p []byte) (int, error) { return len(p), nil }
func (s *bareSocket) OutboundBuffered() int       { return 0 }

type echoer struct{ c *Conn }

func (e *echoer) Receive(kind Kind, payload []byte)                { e.c.WriteOnLoop(kind, payload) }
func (e *echoer) Flush()                                           {}
func (e *echoer) Woken()                                           {}
func (e *echoer) Closed(*Gone)                                     {}
func (e *echoer) Quiet(time.Duration, time.Duration) time.Duration { return time.Hour }

// What one echo of 128 B costs of ours: from what one read brought to what one write is
// given, without gnet and the kernel, which take nine tenths of an echo.
func BenchmarkTraffic_Echo(b *testing.B) {
	for _, conns := range []int{1, 5000} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			s, err := New(Config{Listeners: []Listener{{Address: "127.0.0.1:0"}}, Loops: 1}, nil)
			if err != nil {
				b.Fatal(err)
			}
			h, l := &handler{s: s}, newLoop(s, nil)
			frame := append([]byte{0x80 | byte(wsproto.OpBinary), 0x80 | 126, 0, 128, 1, 2, 3, 4}, make([]byte, 128)...)
			sockets := make([]*bareSocket, conns)
			for i := range sockets {
				c := &Conn{loop: l, state: stateOpen}
				c.recv = &echoer{c}
				sockets[i] = &bareSocket{c: c, in: frame}
				c.gc = sockets[i]
				l.enterOnLoop(c, 100)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.OnTraffic(sockets[i%conns])
			}
			if got := l.stats.messagesIn.Load(); got < uint64(b.N) { //nolint:gosec // not negative
				b.Fatalf("%d messages of %d were received", got, b.N)
			}
		})
	}
}
