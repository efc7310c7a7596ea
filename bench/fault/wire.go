package fault

import (
	"bufio"
	"context"
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

// wire is a device's end of one WebSocket connection. One goroutine reads, the same
// one writes.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte // frames that are being gathered
	rng  *rand.Rand
	pong func() // hears the answer to a ping; nil: nobody does
}

// dialer opens TCP connections to the node.
type dialer func(ctx context.Context, addr string) (net.Conn, error)

// handshakeLimit is how long a device waits for the answer to its handshake.
const handshakeLimit = 10 * time.Second

// open connects a device; a refusal is an error of type ws.StatusError.
func open(ctx context.Context, dial dialer, url string, rng *rand.Rand, token string) (*wire, error) {
	var raw net.Conn
	d := ws.Dialer{
		Protocols: []string{"edgeloop.v1.json"},
		Timeout:   handshakeLimit,
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
	w := &wire{conn: conn, rng: rng}
	if rest != nil {
		w.in = rest
	} else {
		w.in = bufio.NewReaderSize(conn, 4096)
	}
	return w, nil
}

// message is what the node sends.
type message struct {
	Type    string `json:"type"`
	Upto    uint64 `json:"upto"`
	Epoch   uint64 `json:"epoch"`
	ID      string `json:"id"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Seq     uint64 `json:"seq"`
	Window  int    `json:"window"`
}

// closedError says that the node closed with a close frame.
type closedError struct {
	code   ws.StatusCode
	reason string
}

func (e *closedError) Error() string { return fmt.Sprintf("closed with %d %s", e.code, e.reason) }

// errQuiet says that nothing arrived in time; the connection is still good.
var errQuiet = errors.New("fault: nothing arrived")

// next reads the next message; errQuiet if none begins to arrive within wait.
// Pings are answered on the way.
func (w *wire) next(wait time.Duration) (m message, err error) {
	for {
		if w.in.Buffered() == 0 {
			_ = w.conn.SetReadDeadline(time.Now().Add(wait))
			if _, err := w.in.Peek(1); err != nil {
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					return m, errQuiet
				}
				return m, err
			}
		}
		_ = w.conn.SetReadDeadline(time.Now().Add(handshakeLimit))
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
			if err := w.flush(); err != nil {
				return m, err
			}
		case ws.OpPong:
			if w.pong != nil {
				w.pong()
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return m, &closedError{code, reason}
		}
	}
}

// ping gathers a ping.
func (w *wire) ping() { w.frame(ws.OpPing, []byte("p")) }

// frame gathers one masked frame; payload is masked in place.
func (w *wire) frame(op ws.OpCode, payload []byte) {
	key := w.rng.Uint32()
	var mask [4]byte
	binary.LittleEndian.PutUint32(mask[:], key)
	w.out = append(w.out, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		w.out = append(w.out, 0x80|byte(n))
	case n < 1<<16:
		w.out = binary.BigEndian.AppendUint16(append(w.out, 0x80|126), uint16(n)) //nolint:gosec // just compared
	default:
		w.out = binary.BigEndian.AppendUint64(append(w.out, 0x80|127), uint64(n))
	}
	w.out = append(w.out, mask[:]...)
	ws.Cipher(payload, mask, 0)
	w.out = append(w.out, payload...)
}

// flush writes what was gathered. A node that does not read is as good as gone.
func (w *wire) flush() error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(writeLimit))
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	return err
}

// writeLimit is how long the node may hold a device back before it gives up.
const writeLimit = 30 * time.Second

// Parting is how a device ends a connection.
type Parting uint32

// The ways to part.
const (
	PartReset Parting = iota // RST, without a word
	PartFIN                  // the socket is closed
	PartClose                // a close frame, and the socket is closed
	numPartings
)

// part ends the connection. Any goroutine.
func (w *wire) part(how Parting) {
	switch how {
	case PartReset:
		w.cut()
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

// cut ends the connection without a word, and without leaving a port waiting.
func (w *wire) cut() {
	if t, ok := w.conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // only to save ports
	}
	w.conn.Close()
}
