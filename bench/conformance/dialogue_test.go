package conformance_test

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
	"time"
)

// patience bounds every dialogue; those of the full mode are up to 100 MiB.
func patience() time.Duration { return time.Duration(quickOr(60, 180)) * time.Second }

const request = "GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// An ending says how the connection of a case ends.
type ending struct {
	kind  endKind
	code  int    // of a failure
	reply []byte // payload of the node's answer to our close
}

type endKind int

const (
	stays  endKind = iota // it could go on: we close it with 1000, in order
	fails                 // the node closes it with the code
	closes                // the case's own close frame is answered
)

var stay = ending{}

func fail(code int) ending       { return ending{kind: fails, code: code} }
func closed(reply []byte) ending { return ending{kind: closes, reply: reply} }
func closedWith(code int) ending { return closed(closePayload(code, "")) }

// A dialogue is one connection to a node.
type dialogue struct {
	conn   net.Conn // tcp, or TLS around it
	tcp    *net.TCPConn
	r      *reader
	unread *unread
}

// open dials and shakes hands; extra are header lines, window what may then be
// referred back to in compressed data.
func open(addr, extra string, window int) (*dialogue, error) {
	d, err := dial(addr)
	if err != nil {
		return nil, err
	}
	a, err := d.ask([][]byte{[]byte(request + extra + "\r\n")})
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if a.status != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("handshake: %d %s", a.status, a.body)
	}
	d.r.window = window
	if got := a.header.Get("Sec-WebSocket-Extensions"); (got != "") != (window != 0) {
		return nil, fmt.Errorf("handshake: extensions %q", got)
	}
	return d, nil
}

func dial(addr string) (*dialogue, error) {
	conn, err := net.DialTimeout("tcp", addr, patience())
	if err != nil {
		return nil, err
	}
	d := &dialogue{tcp: conn.(*net.TCPConn)}
	if conn, err = overTLS(conn); err != nil {
		return nil, err
	}
	d.conn, d.r = conn, &reader{r: bufio.NewReader(conn)}
	if d.unread, err = newUnread(); err != nil {
		return nil, err
	}
	return d, conn.SetDeadline(time.Now().Add(patience()))
}

func (d *dialogue) close() {
	d.conn.Close()
	d.unread.close()
}

// write sends the pieces, each when the node has read the one before. That the
// node has closed meanwhile is for the reader to judge.
func (d *dialogue) write(pieces [][]byte) error {
	for i, p := range pieces {
		if i > 0 {
			if err := d.unread.wait(d.tcp); err != nil {
				return err
			}
		}
		if _, err := d.conn.Write(p); err != nil {
			return nil //nolint:nilerr // see above
		}
	}
	return nil
}

// play sends the pieces and reads what must come back, up to the ending; after
// one that stays, the connection can be played on.
func (d *dialogue) play(pieces [][]byte, want []event, end ending) error {
	if err := d.conn.SetDeadline(time.Now().Add(patience())); err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() { written <- d.write(pieces) }()
	err := d.hear(want, end)
	if err != nil {
		_ = d.conn.SetDeadline(time.Now()) // the writer too
	}
	if werr := <-written; err == nil {
		err = werr
	}
	return err
}

func (d *dialogue) hear(want []event, end ending) error {
	for i, w := range want {
		got, err := d.r.next()
		if err != nil {
			return fmt.Errorf("waiting for %s (%d of %d): %w", w, i+1, len(want), err)
		}
		if got.op != w.op || !bytes.Equal(got.payload, w.payload) {
			return fmt.Errorf("got %s, want %s (%d of %d)", got, w, i+1, len(want))
		}
	}
	if end.kind == stays {
		return nil
	}
	return d.hearEnd(end)
}

// hearEnd reads a close frame and the end of the stream.
func (d *dialogue) hearEnd(end ending) error {
	got, err := d.r.next()
	if err != nil {
		return fmt.Errorf("waiting for the close: %w", err)
	}
	if got.op != opClose {
		return fmt.Errorf("got %s, want the close", got)
	}
	if err := end.compare(got.payload); err != nil {
		return err
	}
	if extra, err := d.r.next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the close: %v, %w, want the end of the stream [RFC6455 7.1.1]", extra, err)
	}
	return nil
}

func (e ending) compare(p []byte) error {
	if e.kind == closes {
		if !bytes.Equal(p, e.reply) {
			return fmt.Errorf("the close was answered with %q, want %q [RFC6455 5.5.1]", p, e.reply)
		}
		return nil
	}
	if len(p) < 2 || int(binary.BigEndian.Uint16(p)) != e.code {
		return fmt.Errorf("closed with %q, want code %d [RFC6455 7.1.7]", p, e.code)
	}
	return nil
}

// leave closes in order.
func (d *dialogue) leave() error {
	if err := d.play([][]byte{closeFrame(1000, "")}, nil, closedWith(1000)); err != nil {
		return fmt.Errorf("leaving: %w", err)
	}
	return nil
}

// An answer is a whole HTTP response.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request in pieces and reads the response.
func (d *dialogue) ask(pieces [][]byte) (answer, error) {
	written := make(chan error, 1)
	go func() { written <- d.write(pieces) }()
	a, err := d.answer()
	if err != nil {
		_ = d.conn.SetDeadline(time.Now()) // the writer too
	}
	if werr := <-written; err == nil {
		err = werr
	}
	return a, err
}

func (d *dialogue) answer() (answer, error) {
	resp, err := http.ReadResponse(d.r.r, nil)
	if err != nil {
		return answer{}, fmt.Errorf("no response: %w", err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if _, err := io.Copy(&body, resp.Body); err != nil {
			return answer{}, fmt.Errorf("body: %w", err)
		}
	}
	return answer{resp.StatusCode, resp.Header, body.String()}, nil
}
