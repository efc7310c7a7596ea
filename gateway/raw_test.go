package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"

	"github.com/gobwas/ws"
)

// frameOf is a text message in one frame of a client.
func frameOf(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewTextFrame([]byte(text)), [4]byte{}))
}

// url is where a device of a name connects.
func (n *node) url(name string) string {
	return fmt.Sprintf("ws://%s/v1/device?device=%s", n.server.Addr(), name)
}

// rawDevice connects and throws away what it receives.
func (n *node) rawDevice(name string) net.Conn {
	n.Helper()
	dialer := ws.Dialer{Protocols: []string{"edgeloop.v1.json"}}
	conn, _, _, err := dialer.Dial(context.Background(), n.url(name))
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() })
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	return conn
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
