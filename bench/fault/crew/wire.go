package crew

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// TimedOut says whether a socket's own deadline ended a call.
func TimedOut(err error) bool {
	t, ok := err.(net.Error) //nolint:errorlint // read from a socket itself
	return ok && t.Timeout()
}

// Wire is a device's end of one WebSocket connection. One goroutine reads, the same
// one writes.
type Wire struct {
	conn net.Conn
	in   *bufio.Reader
	Out  []byte // frames that are being gathered
	rng  *rand.Rand
	pong func() // hears the answer to a ping; nil: nobody does
}

// Dialer opens TCP connections to the node.
type Dialer func(ctx context.Context, addr string) (net.Conn, error)

// HandshakeLimit is how long a device waits for the answer to its handshake.
const HandshakeLimit = 10 * time.Second

// Open connects a device; a refusal is an error of type ws.StatusError.
func Open(ctx context.Context, dial Dialer, url string, rng *rand.Rand, token string) (*Wire, error) {
	var raw net.Conn
	d := ws.Dialer{
		Protocols: []string{"edgeloop.v1.json"},
		Timeout:   HandshakeLimit,
		NetDial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			c, err := dial(ctx, addr)
			raw = c
			return c, err
		},
	}
	if token != "" {
		d.Header = ws.HandshakeHeaderHTTP(http.Header{"Authorization": {"Bearer " + token}})
	}
	conn, rest, _, err := d.Dial(ctx, url)
	if err != nil {
		if raw != nil {
			raw.Close()
		}
		return nil, err
	}
	w := &Wire{conn: conn, rng: rng}
	if rest != nil {
		w.in = rest
	} else {
		w.in = bufio.NewReaderSize(conn, 4096)
	}
	return w, nil
}

// Message is what the node sends.
type Message struct {
	Type    string `json:"type"`
	Upto    uint64 `json:"upto"`
	Epoch   uint64 `json:"epoch"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Seq     uint64 `json:"seq"`
	Window  int    `json:"window"`
}

// ClosedError says that the node closed with a close frame.
type ClosedError struct {
	Code   ws.StatusCode
	reason string
}

// Error names the code and the reason.
func (e *ClosedError) Error() string { return fmt.Sprintf("closed with %d %s", e.Code, e.reason) }

// ErrQuiet says that nothing arrived in time; the connection is still good.
var ErrQuiet = errors.New("fault: nothing arrived")

// Next reads the next message; errQuiet if none begins to arrive within wait.
// Pings are answered on the way.
func (w *Wire) Next(wait time.Duration) (m Message, err error) {
	for {
		if w.in.Buffered() == 0 {
			_ = w.conn.SetReadDeadline(time.Now().Add(wait))
			if _, err := w.in.Peek(1); err != nil {
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					return m, ErrQuiet
				}
				return m, err
			}
		}
		_ = w.conn.SetReadDeadline(time.Now().Add(HandshakeLimit))
		h, err := ws.ReadHeader(w.in)
		if err != nil {
			return m, err
		}
		if h.Length > 1<<20 || h.Masked {
			return m, fmt.Errorf("a frame of %d bytes, masked %t", h.Length, h.Masked)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return m, err
		}
		switch h.OpCode {
		case ws.OpText:
			return m, json.Unmarshal(payload, &m)
		case ws.OpPing:
			w.frame(ws.OpPong, payload)
			if err := w.Flush(); err != nil {
				return m, err
			}
		case ws.OpPong:
			if w.pong != nil {
				w.pong()
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return m, &ClosedError{code, reason}
		}
	}
}

// Reply gathers the answer to a command.
func (w *Wire) Reply(id string) {
	w.frame(ws.OpText, []byte(`{"type":"reply","id":"`+id+`","ok":true,"data":{}}`))
}

// ping gathers a ping.
func (w *Wire) ping() { w.frame(ws.OpPing, []byte("p")) }

// frame gathers one masked frame; payload is masked in place.
func (w *Wire) frame(op ws.OpCode, payload []byte) {
	key := w.rng.Uint32()
	var mask [4]byte
	binary.LittleEndian.PutUint32(mask[:], key)
	w.Out = append(w.Out, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		w.Out = append(w.Out, 0x80|byte(n))
	case n < 1<<16:
		w.Out = binary.BigEndian.AppendUint16(append(w.Out, 0x80|126), uint16(n)) //nolint:gosec // just compared
	default:
		w.Out = binary.BigEndian.AppendUint64(append(w.Out, 0x80|127), uint64(n))
	}
	w.Out = append(w.Out, mask[:]...)
	ws.Cipher(payload, mask, 0)
	w.Out = append(w.Out, payload...)
}

// Flush writes what was gathered. A node that does not read is as good as gone.
func (w *Wire) Flush() error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(WriteLimit))
	_, err := w.conn.Write(w.Out)
	w.Out = w.Out[:0]
	return err
}

// WriteLimit is how long the node may hold a device back before it gives up.
const WriteLimit = 30 * time.Second

// Parting is how a device ends a connection.
type Parting uint32

// The ways to part.
const (
	PartReset Parting = iota // RST, without a word
	PartFIN                  // the socket is closed
	PartClose                // a close frame, and the socket is closed
	NumPartings
)

// part ends the connection. Any goroutine.
func (w *Wire) part(how Parting) {
	switch how {
	case PartReset:
		w.Cut()
	case PartClose:
		_ = w.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = w.conn.Write(goodbye) // whole frames are written, so it stands between two; the node may be gone
		fallthrough
	default:
		w.conn.Close()
	}
}

// goodbye is a close frame with 1000.
var goodbye = ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")), [4]byte{1, 2, 3, 4}))

// Cut ends the connection without a word, and without leaving a port waiting.
func (w *Wire) Cut() {
	conn := w.conn
	if s, ok := conn.(*tls.Conn); ok {
		conn = s.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // only to save ports
	}
	conn.Close()
}
