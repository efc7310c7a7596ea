package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// framed is MQTT over WebSocket as a socket: what is written goes in binary frames, what is
// read is what came in some.
type framed struct {
	net.Conn

	r    *bufio.Reader
	cut  func(n int) int // how much of n bytes the next frame carries, and the next write
	rest []byte
	code uint16 // of the node's Close frame
	said string // its reason
	pong []byte // of the last Pong
}

func (f *framed) Write(b []byte) (int, error) {
	var out []byte
	for rest := b; len(rest) > 0; {
		n := f.cut(len(rest))
		out = append(out, maskedFrame(ws.OpBinary, rest[:n])...)
		rest = rest[n:]
	}
	for len(out) > 0 {
		n := f.cut(len(out))
		if _, err := f.Conn.Write(out[:n]); err != nil {
			return 0, err
		}
		out = out[n:]
	}
	return len(b), nil
}

func maskedFrame(op ws.OpCode, payload []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, payload)))
}

func (f *framed) Read(b []byte) (int, error) {
	for len(f.rest) == 0 {
		h, err := ws.ReadHeader(f.r)
		if err != nil {
			return 0, err
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(f.r, payload); err != nil {
			return 0, err
		}
		switch h.OpCode {
		case ws.OpBinary:
			f.rest = payload
		case ws.OpPong:
			f.pong = payload
		case ws.OpClose:
			f.code, f.said = binary.BigEndian.Uint16(payload), string(payload[2:])
			return 0, io.EOF
		default:
			return 0, fmt.Errorf("a frame with opcode %d", h.OpCode)
		}
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// upgrade asks for MQTT on a connection; behind are bytes that are sent with the request.
func upgrade(t *testing.T, conn net.Conn, path, protocols, more string, behind []byte) (f *framed, status int, header http.Header) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n%s\r\n%s", path, protocols, more, behind)
	f = &framed{Conn: conn, r: bufio.NewReader(conn), cut: func(n int) int { return n }}
	res, err := http.ReadResponse(f.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // a 101 has none
	return f, res.StatusCode, res.Header
}

// overWebSocket is a client before its CONNECT.
func (n *node) overWebSocket(v5 bool) (*client, *framed) {
	n.Helper()
	conn, err := net.Dial("tcp", n.server.Addr().String())
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() })
	f, status, header := upgrade(n.T, conn, gateway.MQTTPath, "mqtt", "", nil)
	if status != http.StatusSwitchingProtocols || header.Get("Sec-WebSocket-Protocol") != "mqtt" { // [MQTT-6.0.0-4]
		n.Fatalf("%d, subprotocol %q", status, header.Get("Sec-WebSocket-Protocol"))
	}
	return &client{n, f, v5}, f
}

// TestMQTTWebSocket_AnyCut: whatever frames carry the packets and however TCP cuts the frames,
// they are the same packets: of one session the log has the same. [MQTT-6.0.0-2]
func TestMQTTWebSocket_AnyCut(t *testing.T) {
	log := &memLog{}
	n := startNode(t, log, gateway.Config{})
	long := `"` + strings.Repeat("x", 60_000) + `"`
	for round := range 12 {
		random := rand.New(rand.NewPCG(uint64(round), 11)) //nolint:gosec // for cutting
		for name, cut := range map[string]func(n int) int{
			"whole":  func(n int) int { return n },
			"bytes":  func(n int) int { return min(n, 1+20*(n/400)) },
			"random": func(n int) int { return 1 + random.IntN(min(n, 1+n/(1+random.IntN(8)))) },
		} {
			if name != "random" && round > 0 {
				continue
			}
			device := fmt.Sprint(name, round)
			c, f := n.overWebSocket(round%2 == 0)
			f.cut = cut
			c.send(connectOf(map[bool]byte{false: 4, true: 5}[c.v5], 2, 60, "", device), c.publishOf(1, "topic", `1`), c.publishOf(0, "t", `2`), c.publishOf(2, "t", long))
			if ack := c.read(); ack[0] != 0x20 || ack[3] != 0 {
				t.Fatalf("%s: CONNECT was answered % x", device, ack)
			}
			c.want("first", 0x40, 2, 0, 1)
			c.want("second", 0x40, 2, 0, 2)
			c.send(c.publishOf(3, "t", `4`), []byte{0xc0, 0})
			got := append(c.read(), c.read()...) // PINGRESP may be first
			if !bytes.Contains(got, []byte{0x40, 2, 0, 3}) || !bytes.Contains(got, []byte{0xd0, 0}) {
				t.Fatalf("%s: % x", device, got)
			}
			c.send([]byte{0xe0, 0})
			if p := c.next(); p != nil || f.code != 1000 {
				t.Errorf("%s: behind DISCONNECT % x, close code %d", device, p, f.code)
			}
			var all []string
			for _, r := range log.of(device) {
				all = append(all, r.data)
			}
			if got, want := strings.Join(all, ","), "1,2,"+long+",4"; got != want {
				t.Errorf("%s: the log has %.40q", device, got)
			}
		}
	}
	n.until("nothing is held any more", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}

// TestMQTTWebSocket_Ends: what ends a connection is said in the packets, and in the code of
// the Close frame, which clients of 3.1.1 see too.
func TestMQTTWebSocket_Ends(t *testing.T) {
	n := startNode(t, &memLog{}, gateway.Config{})
	open := func(v5 bool, device string) (*client, *framed) {
		c, f := n.overWebSocket(v5)
		c.send(connectOf(map[bool]byte{false: 4, true: 5}[v5], 2, 60, "", device))
		c.read()
		return c, f
	}
	for name, story := range map[string]struct {
		do     func(c *client, f *framed)
		reason byte
		code   uint16
	}{
		"text":             {func(_ *client, f *framed) { _, _ = f.Conn.Write(maskedFrame(ws.OpText, []byte("ping"))) }, 0x81, 1003}, // [MQTT-6.0.0-1]
		"not masked":       {func(_ *client, f *framed) { _, _ = f.Conn.Write([]byte{0x82, 0}) }, 0x82, 1002},
		"no packet":        {func(c *client, _ *framed) { c.send([]byte{0, 0}) }, 0x82, 1002},
		"a packet, and so": {func(c *client, _ *framed) { c.send(c.publishOf(0, "t", "1"), []byte{0x10, 0}) }, 0x82, 1002},
	} {
		for _, v5 := range []bool{false, true} {
			c, f := open(v5, "d")
			story.do(c, f)
			if c.wantEnd(story.reason); f.code != story.code {
				t.Errorf("%s: close code %d %q, want %d", name, f.code, f.said, story.code)
			}
		}
	}
	c, f := open(false, "d")
	other, _ := open(true, "d")
	if p := c.next(); p != nil || f.code != 4409 {
		t.Errorf("taken over: % x, close code %d", p, f.code)
	}
	_, f = n.overWebSocket(false)
	_, _ = f.Conn.Write(maskedFrame(ws.OpBinary, []byte("GET /")))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || f.code != 1002 {
		t.Errorf("no CONNECT: %v, close code %d", err, f.code)
	}
	ping := other.conn.(*framed)
	_, _ = ping.Conn.Write(append(maskedFrame(ws.OpPing, []byte("one")), maskedFrame(ws.OpPing, []byte("two"))...))
	other.send([]byte{0xc0, 0})
	if other.want("PINGRESP", 0xd0, 0); string(ping.pong) != "two" {
		t.Errorf("Pong has %q", ping.pong)
	}
	_, _ = ping.Conn.Write(maskedFrame(ws.OpClose, []byte("\x03\xe9bye")))
	if p := other.next(); p != nil || ping.code != 1001 {
		t.Errorf("the peer's Close: % x, close code %d", p, ping.code)
	}
}

// TestMQTTWebSocket_Request: the path and the subprotocol are asked for before anything is
// agreed on, nothing is compressed, and what comes with the request is not lost.
func TestMQTTWebSocket_Request(t *testing.T) {
	n := startNodeWith(t, &memLog{}, &memStore{}, gateway.Config{}, true)
	for _, want := range []struct {
		path, protocols string
		status          int
	}{
		{"/mqtt", "mqtt", 101},
		{"/v1/device", "mqtt", 101},
		{"/v1/device", "mqttv3.1, mqtt", 101},
		{"/other", "mqtt", 404},
		{"/mqtt", "mqttv3.1", 400},
		{"/mqtt", "edgeloop.v1.json", 400}, // [MQTT-6.0.0-3]
	} {
		conn, err := net.Dial("tcp", n.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		var connect []byte
		if want.status == http.StatusSwitchingProtocols {
			connect = maskedFrame(ws.OpBinary, append(connectOf(4, 2, 60, "", "d"), 0xc0))
		}
		f, status, header := upgrade(t, conn, want.path, want.protocols, "Sec-WebSocket-Extensions: permessage-deflate\r\n", connect)
		if status != want.status || header.Get("Sec-WebSocket-Extensions") != "" {
			t.Errorf("%s, %s: %d, extensions %q", want.path, want.protocols, status, header.Get("Sec-WebSocket-Extensions"))
		}
		if c := (&client{n, f, false}); status == http.StatusSwitchingProtocols {
			c.want("CONNACK", 0x20, 2, 0, 0)
			c.send([]byte{0})
			c.want("PINGRESP", 0xd0, 0)
		}
		_ = conn.Close()
	}
}

// TestMQTTWebSocket_Origin: a page of another site has no token of its own to show, so it is
// not let in where none is asked for.
func TestMQTTWebSocket_Origin(t *testing.T) {
	n := startNode(t, &memLog{}, gateway.Config{AllowedOrigins: []string{"http://node"}})
	for origin, code := range map[string]byte{"http://node": 0, "http://elsewhere": 5} {
		conn, err := net.Dial("tcp", n.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		f, _, _ := upgrade(t, conn, "/mqtt", "mqtt", "Origin: "+origin+"\r\n", nil)
		c := &client{n, f, false}
		c.send(connectOf(4, 2, 60, "", "d"))
		c.want(origin, 0x20, 2, 0, code)
		_ = conn.Close()
	}
}

// TestMQTTWebSocket_TLS: the frames lie in records of TLS, cut without regard of each other,
// and a pause of reading holds them back without loss.
func TestMQTTWebSocket_TLS(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	server, err := tlsrec.New(tlsrec.Config{CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	log := &memLog{}
	n := startNodeBehind(t, log, &memStore{}, gateway.Config{Window: 4}, false,
		eventloop.Listener{Address: "127.0.0.1:0", Greet: eventloop.TLS(server, "", func(do func()) bool { go do(); return true })})
	conn, err := tls.Dial("tcp", n.server.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	f, _, _ := upgrade(t, conn, "/v1/device", "mqtt", "", nil)
	random := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // for cutting
	f.cut = func(n int) int { return 1 + random.IntN(min(n, 300)) }
	c := &client{n, f, true}
	c.send(connectOf(5, 2, 60, "", "d"))
	c.read()
	const many = 200
	go func() {
		for i := range many {
			if _, err := f.Write(c.publishOf(uint16(i+1), "t", fmt.Sprint(i))); err != nil {
				return
			}
		}
	}()
	for i := range many {
		c.want("PUBACK", 0x40, 2, byte((i+1)>>8), byte(i+1))
	}
	if got := log.of("d"); len(got) != many || got[many-1].data != fmt.Sprint(many-1) {
		t.Errorf("the log has %d records", len(got))
	}
	c.send([]byte{0xe0, 0})
	if p := c.next(); p != nil || f.code != 1000 {
		t.Errorf("behind DISCONNECT % x, close code %d", p, f.code)
	}
}
