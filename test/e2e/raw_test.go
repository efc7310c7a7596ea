package e2e_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// rawConn says what no decent client would say: it writes bytes as they are.
type rawConn struct {
	t *testing.T
	net.Conn
	r     *bufio.Reader
	heard string // the last command of wantNext
}

// dialRaw shakes hands with n for a device, byte by byte as RFC 6455 1.2 has it.
func dialRaw(t *testing.T, n *node, device string) *rawConn {
	t.Helper()
	return upgradeRaw(t, n, "", "Authorization: Bearer "+n.token(device)+"\r\n")
}

// upgradeRaw is dialRaw with the query and the further header lines of the request.
func upgradeRaw(t *testing.T, n *node, query, header string) *rawConn {
	t.Helper()
	var c *rawConn
	var resp *http.Response
	testkit.Eventually(t, patience, "the node to let a device in", func() bool {
		c = dialTCP(t, n.listen)
		fmt.Fprintf(c, "GET /v1/device%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Protocol: edgeloop.v1.json\r\n%s\r\n", query, n.listen, header)
		answer, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close() // it is empty; frames follow
		resp = answer
		if resp.StatusCode == http.StatusServiceUnavailable { // others keep the machine too busy
			c.Close()
			return false
		}
		return true
	})
	n.mu.Lock()
	n.raw = append(n.raw, c)
	n.mu.Unlock()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake: %s %v", resp.Status, resp.Header)
	}
	c.wantText("welcome")
	return c
}

func dialTCP(t *testing.T, addr string) *rawConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{t: t, Conn: nc, r: bufio.NewReader(nc)}
}

// Opcodes of RFC 6455 5.2, and its FIN bit.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	fin            = 0x80
)

// frame makes one client frame with a shortest length and a mask of zeroes,
// under which the payload travels as it is.
func frame(first byte, payload string) string {
	h := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		h = append(h, 0x80|byte(n))
	case n <= 0xFFFF:
		h = binary.BigEndian.AppendUint16(append(h, 0x80|126), uint16(n))
	default:
		h = binary.BigEndian.AppendUint64(append(h, 0x80|127), uint64(n))
	}
	return string(h) + "\x00\x00\x00\x00" + payload
}

// say writes bytes; an error is left for the next read to find.
func (c *rawConn) say(bytes string) {
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, bytes)
}

// hear reads one server frame, which is never masked.
func (c *rawConn) hear() (first byte, payload []byte, err error) {
	var h [2]byte
	_ = c.SetDeadline(time.Now().Add(patience)) // of a connection that is closed there is nothing to read
	if _, err = io.ReadFull(c.r, h[:]); err != nil {
		return 0, nil, err
	}
	if h[1]&0x80 != 0 {
		c.t.Fatalf("the node masked a frame")
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var l [2]byte
		_, err = io.ReadFull(c.r, l[:])
		n = uint64(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		_, err = io.ReadFull(c.r, l[:])
		n = binary.BigEndian.Uint64(l[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return h[0], payload, err
}

// wantText reads the next text frame and insists on its type; pings are skipped.
func (c *rawConn) wantText(kind string) string {
	c.t.Helper()
	for {
		first, payload, err := c.hear()
		switch {
		case err != nil:
			c.t.Fatalf("waiting for %s: %v", kind, err)
		case first == fin|opPing:
		case first != fin|opText || !containsAll(string(payload), `"type":"`+kind+`"`):
			c.t.Fatalf("the node sent %#x %q, want a %s", first, payload, kind)
		default:
			return string(payload)
		}
	}
}

// wantClose reads until the close frame, then until the node has hung up, and
// returns the reason.
func (c *rawConn) wantClose(code int) string {
	c.t.Helper()
	for {
		first, payload, err := c.hear()
		if err != nil {
			c.t.Fatalf("waiting for close %d: %v", code, err)
		}
		if first != fin|opClose {
			continue
		}
		if len(payload) < 2 || int(binary.BigEndian.Uint16(payload)) != code {
			c.t.Fatalf("the node closed with %q, want code %d", payload, code)
		}
		c.wantHangup()
		return string(payload[2:])
	}
}

// wantHangup insists that the node sends nothing more and ends the connection.
func (c *rawConn) wantHangup() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Fatalf("after its close frame the node sent %#x", b)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("after its close frame the node kept the connection")
	}
}
