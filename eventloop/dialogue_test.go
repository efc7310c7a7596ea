package eventloop_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// A dialogue is a client's side of one connection, written so that a test reads
// as what goes over the wire.
type dialogue struct {
	t    testing.TB
	conn *net.TCPConn
	r    *bufio.Reader
}

const request = "GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// accepted is the Sec-WebSocket-Accept for the key above, from RFC 6455 1.3.
const accepted = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

func (n *node) connect() (net.Conn, error) {
	to := n.dialTo
	if to == "" {
		to = n.Addr().String()
	}
	return net.DialTimeout("tcp", to, patience)
}

// dial connects without saying anything.
func (n *node) dial() *dialogue {
	n.t.Helper()
	conn, err := n.connect()
	if err != nil {
		n.t.Fatal(err)
	}
	d := &dialogue{t: n.t, conn: conn.(*net.TCPConn), r: bufio.NewReader(conn)}
	n.t.Cleanup(func() { conn.Close() })
	return d
}

// open dials and shakes hands.
func (n *node) open() *dialogue {
	n.t.Helper()
	d := n.dial()
	d.handshake()
	return d
}

// tryOpen is open where the machine may stand still for longer than a handshake may take: nil then.
func (n *node) tryOpen() *dialogue {
	n.t.Helper()
	d := n.dial()
	d.patient()
	_, _ = d.conn.Write([]byte(request)) // of who is gone there is no answer
	if _, err := d.r.Peek(1); err != nil {
		d.conn.Close()
		return nil
	}
	d.wantSwitch()
	return d
}

// promptly dials and asks at once. Who is slow, because the machine stood still between the two, is
// nobody that the node has to wait for in a crowd: he gives up, and another one comes.
func (n *node) promptly() *dialogue {
	n.t.Helper()
	var d *dialogue
	testkit.Eventually(n.t, patience, "somebody to ask at once", func() bool {
		began := time.Now()
		d = n.dial()
		_, err := d.conn.Write([]byte(request))
		if err == nil && time.Since(began) < 25*time.Millisecond {
			return true
		}
		d.conn.Close()
		return false
	})
	return d
}

func (d *dialogue) handshake() {
	d.t.Helper()
	d.raw([]byte(request))
	d.wantSwitch()
}

// wantSwitch reads the 101.
func (d *dialogue) wantSwitch() {
	d.t.Helper()
	h := d.wantStatus(http.StatusSwitchingProtocols)
	if got := h.Get("Sec-WebSocket-Accept"); got != accepted {
		d.t.Fatalf("Sec-WebSocket-Accept is %q", got)
	}
}

// wantStatus reads a whole HTTP response.
func (d *dialogue) wantStatus(status int) http.Header {
	d.t.Helper()
	d.patient()
	resp, err := http.ReadResponse(d.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		d.t.Fatalf("waiting for status %d: %v", status, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		d.t.Fatalf("status %s, want %d", resp.Status, status)
	}
	if status != http.StatusSwitchingProtocols {
		if _, err := io.ReadAll(resp.Body); err != nil {
			d.t.Fatal(err)
		}
	}
	return resp.Header
}

// raw writes bytes as they are.
func (d *dialogue) raw(b []byte) {
	d.t.Helper()
	d.patient()
	if _, err := d.conn.Write(b); err != nil {
		d.t.Fatalf("write: %v", err)
	}
}

// send writes frames in one write.
func (d *dialogue) send(frames ...frame) {
	d.t.Helper()
	d.raw(wire(frames...))
}

// want reads frames and compares them.
func (d *dialogue) want(frames ...frame) {
	d.t.Helper()
	for _, want := range frames {
		got := d.read()
		if got.head != want.head || !bytes.Equal(got.payload, want.payload) {
			d.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// read takes one frame.
func (d *dialogue) read() frame {
	d.t.Helper()
	d.patient()
	f, err := readFrame(d.r)
	if err != nil {
		d.t.Fatalf("read a frame: %v", err)
	}
	return f
}

// wantClosed reads a Close frame with the code and then the end of the stream.
func (d *dialogue) wantClosed(code uint16) {
	d.t.Helper()
	got := d.read()
	if got.head != 0x88 || len(got.payload) < 2 || binary.BigEndian.Uint16(got.payload) != code {
		d.t.Fatalf("got %s, want a close with code %d", got, code)
	}
	d.wantEnd()
}

// wantEnd reads the end of the stream and nothing else.
func (d *dialogue) wantEnd() {
	d.t.Helper()
	d.patient()
	rest, err := io.ReadAll(d.r)
	if err != nil || len(rest) != 0 {
		d.t.Fatalf("want the end of the stream, got %d bytes and %v", len(rest), err)
	}
}

// wantGone reads until the connection is over, in whatever way.
func (d *dialogue) wantGone() {
	d.t.Helper()
	d.patient()
	var timeout net.Error
	if _, err := io.Copy(io.Discard, d.r); errors.As(err, &timeout) && timeout.Timeout() {
		d.t.Fatal("the connection is still open")
	}
}

func (d *dialogue) patient() {
	d.t.Helper()
	if err := d.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
}

// reset ends the connection with a TCP reset.
func (d *dialogue) reset() {
	d.t.Helper()
	if err := d.conn.SetLinger(0); err != nil {
		d.t.Fatal(err)
	}
	d.conn.Close()
}

// frame is one WebSocket frame: the first byte (FIN, RSV, opcode) and payload.
type frame struct {
	head    byte
	payload []byte
}

func (f frame) String() string {
	if len(f.payload) > 64 {
		return fmt.Sprintf("%#x with %d bytes", f.head, len(f.payload))
	}
	return fmt.Sprintf("%#x %q", f.head, f.payload)
}

func text(s string) frame { return frame{0x81, []byte(s)} }
func bin(b []byte) frame  { return frame{0x82, b} }
func ping(s string) frame { return frame{0x89, []byte(s)} }
func pong(s string) frame { return frame{0x8a, []byte(s)} }

func closing(code uint16, reason string) frame {
	return frame{0x88, append(binary.BigEndian.AppendUint16(nil, code), reason...)}
}

// wire is frames as a client sends them.
func wire(frames ...frame) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f.head)
		switch n := len(f.payload); {
		case n < 126:
			b = append(b, 0x80|byte(n))
		case n < 1<<16:
			b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
		default:
			b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
		}
		mask := [4]byte{0x12, 0x34, 0x56, 0x78}
		b = append(b, mask[:]...)
		for i, c := range f.payload {
			b = append(b, c^mask[i%4])
		}
	}
	return b
}

// send posts what is in f to c.
func send(c *eventloop.Conn, f frame) error {
	return c.Send(eventloop.Kind(f.head&0xf), f.payload)
}

// unmasked is one frame as a server sends it.
func unmasked(f frame) []byte {
	b := []byte{f.head}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, f.payload...)
}

// readFrame reads one frame of a server.
func readFrame(r *bufio.Reader) (frame, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return frame{}, err
	}
	f, n := frame{head: h[0]}, uint64(h[1])
	var err error
	switch n {
	case 126:
		_, err = io.ReadFull(r, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:2]))
	case 127:
		_, err = io.ReadFull(r, h[:])
		n = binary.BigEndian.Uint64(h[:])
	}
	if err != nil {
		return f, err
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

// causes names what ended connections, for messages.
func causes(st eventloop.Stats) string {
	var b strings.Builder
	for i, n := range st.Gone {
		if n != 0 {
			fmt.Fprintf(&b, "%s=%d ", eventloop.Cause(i), n)
		}
	}
	return b.String()
}

// tryDial connects and hangs up.
func (n *node) tryDial() (addr net.Addr, err error) {
	conn, err := n.connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.LocalAddr(), nil
}
