package eventloop_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// oddConn is a socket that is written to in another way.
type oddConn struct {
	*net.TCPConn
	write func([]byte) (int, error) // nil: as ever
}

func (c *oddConn) Write(b []byte) (int, error) {
	if c.write == nil {
		return c.TCPConn.Write(b)
	}
	return c.write(b)
}

// oneForEach is a worker for each record.
func oneForEach(do func()) bool {
	go do()
	return true
}

// secureServer is a listener's TLS, and who trusts it.
func secureServer(t *testing.T) (*tlsrec.Server, *x509.CertPool) { return secureServerBy(t, false) }

// byBoth tells a story with each record layer.
func byBoth(t *testing.T, story func(t *testing.T, server *tlsrec.Server, pool *x509.CertPool)) {
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("own=%v", own), func(t *testing.T) {
			server, pool := secureServerBy(t, own)
			story(t, server, pool)
		})
	}
}

func secureServerBy(t *testing.T, own bool) (*tlsrec.Server, *x509.CertPool) {
	t.Helper()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	s, err := tlsrec.New(tlsrec.Config{CertFile: cert, KeyFile: key, Protocols: []string{"http/1.1"}, OwnRecords: own})
	if err != nil {
		t.Fatal(err)
	}
	return s, ca.Pool()
}

// over is a table with one listener that speaks TLS.
func over(s *tlsrec.Server, run func(func()) bool) []eventloop.Listener {
	return []eventloop.Listener{{Address: "127.0.0.1:0", Greet: eventloop.TLS(s, "http/1.1", run)}}
}

// secure is a dialogue over TLS.
type secure struct {
	*dialogue
	tls *tls.Conn
}

func (n *node) dialTLS(cfg *tls.Config) *secure {
	d := n.dial()
	d.patient()
	if cfg.ServerName == "" {
		cfg.ServerName = "127.0.0.1"
	}
	s := &secure{dialogue: d, tls: tls.Client(d.conn, cfg)}
	s.r = bufio.NewReader(s.tls)
	return s
}

func (s *secure) raw(b []byte) {
	s.t.Helper()
	s.patient()
	if _, err := s.tls.Write(b); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

func (s *secure) open() {
	s.t.Helper()
	s.raw([]byte(request))
	s.wantSwitch()
}

// outcomes waits until so many handshakes have ended so.
func outcomes(t *testing.T, s *tlsrec.Server, o tlsrec.Outcome, want uint64) {
	t.Helper()
	testkit.Eventually(t, patience, "handshakes to end: "+o.String(), func() bool { return s.Outcomes()[o] == want })
}

// Messages of all sizes go both ways, by each version, also in records of 16 KiB.
func TestTLS_Echo(t *testing.T) { byBoth(t, tellsEcho) }

func tellsEcho(t *testing.T, server *tlsrec.Server, pool *x509.CertPool) {
	memory := bytebuf.NewBudget(1<<20, nil)
	accept, conns, gone := reporting()
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach), Memory: memory}, accept)
	for i, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		d := n.dialTLS(&tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}, DynamicRecordSizingDisabled: true})
		d.open()
		c := testkit.Receive(t, patience, "the connection", conns)
		for _, size := range []int{0, 1, 125, 16_000, 16_384, 40_000, 65_000} {
			f := bin(counted(size, size))
			d.raw(wire(f))
			d.want(f)
			if err := send(c, f); err != nil {
				t.Fatal(err)
			}
			d.want(f)
		}
		if st := d.tls.ConnectionState(); st.NegotiatedProtocol != "http/1.1" || st.Version != version {
			t.Errorf("version %x, protocol %q", st.Version, st.NegotiatedProtocol)
		}
		d.raw(wire(closing(1000, "")))
		d.want(closing(1000, ""))
		if _, err := d.r.ReadByte(); err != io.EOF { // not ErrUnexpectedEOF: close_notify came
			t.Errorf("the stream ends with %v", err)
		}
		d.conn.Close()
		wantGone(t, gone, eventloop.CausePeerClosed, 1000)
		outcomes(t, server, tlsrec.OutcomeFull, uint64(i+1))
	}
	emptied(t, memory)
}

// A handshake that comes byte by byte takes as well, and who has made half of it is cut
// off like anybody who is late; nothing of it stays.
func TestTLS_Slowly(t *testing.T) {
	server, pool := secureServer(t)
	memory := bytebuf.NewBudget(1<<20, nil)
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach), Memory: memory, Tick: tick, HandshakeTimeout: patience}, echoing())
	d := n.dial()
	d.patient()
	conn := &oddConn{TCPConn: d.conn}
	conn.write = func(b []byte) (int, error) {
		for i := range b { // in a segment of its own each
			if n, err := conn.TCPConn.Write(b[i : i+1]); err != nil {
				return i + n, err
			}
		}
		return len(b), nil
	}
	s := &secure{dialogue: d, tls: tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", CurvePreferences: []tls.CurveID{tls.CurveP256}})}
	s.r = bufio.NewReader(s.tls)
	s.open()
	s.raw(wire(text("slow")))
	s.want(text("slow"))
	emptied(t, memory)
}

// A peer that stops in the middle of its handshake, wherever, is cut off when its time is up.
func TestTLS_HalfAHandshake(t *testing.T) {
	server, pool := secureServer(t)
	memory := bytebuf.NewBudget(1<<20, nil)
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach), Memory: memory, Tick: tick, HandshakeTimeout: 50 * tick}, echoing())
	stops := func(writes int) (asFar bool) {
		before := n.Stats().BytesIn
		d := n.dial()
		d.patient()
		defer d.conn.Close()
		conn, left := &oddConn{TCPConn: d.conn}, writes
		conn.write = func(b []byte) (int, error) {
			switch left--; {
			case left >= 0:
				return d.conn.Write(b)
			case left == -1:
				_, err := d.conn.Write(b[:len(b)/2])
				return len(b), err
			}
			return len(b), nil
		}
		client := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
		err := client.Handshake()
		if err == nil && writes == 0 {
			t.Error("the handshake went through")
		}
		_, _ = client.Write([]byte("x")) // may fail
		if rest, err := io.ReadAll(d.conn); err != nil && !errors.Is(err, io.EOF) && len(rest) > 0 {
			t.Logf("after half a flight: %v", err)
		}
		return n.Stats().BytesIn > before && (writes == 0 || err == nil)
	}
	for _, writes := range []int{0, 1} { // whole flights; then half of the next one
		testkit.Eventually(t, patience, "a peer to come as far, in its time", func() bool { return stops(writes) })
	}
	n.gone(eventloop.CauseHandshakeTimeout, 2)
	testkit.Eventually(t, patience, "handshakes to end", func() bool { return server.Outcomes()[tlsrec.OutcomeGone] >= 2 })
	emptied(t, memory)
}

// What is no TLS is told so where it understands, and gets no further anyway.
func TestTLS_Refuses(t *testing.T) {
	server, pool := secureServer(t)
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach), CloseTimeout: tick, Tick: tick}, func(*eventloop.Conn, *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		t.Error("somebody was accepted")
		return nil, &eventloop.Refusal{}
	})
	http1 := n.dial()
	http1.raw([]byte(request))
	http1.wantStatus(http.StatusBadRequest)
	for _, first := range []string{"PRI * HTTP/2.0\r\n\r\n", "\x80\x2e\x01\x03\x01", "\x16\x02\x00", strings.Repeat("\x00", 100)} {
		d := n.dial()
		d.raw([]byte(first))
		d.patient()
		if said, err := io.ReadAll(d.r); err != nil || bytes.Contains(said, []byte("101")) {
			t.Errorf("%q: it says %q, %v", first, said, err)
		}
	}
	outcomes(t, server, tlsrec.OutcomeNotTLS, 5)
	long := n.dial()
	long.raw([]byte("\x16\x03\x01\xff\xff"))
	long.patient()
	if said, err := io.ReadAll(long.r); err != nil || !bytes.Equal(said, []byte{21, 3, 1, 0, 2, 2, 22}) {
		t.Errorf("to a record that is too long it says %x, %v", said, err) // record_overflow
	}
	old := n.dialTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err := old.tls.Handshake(); err == nil {
		t.Error("TLS 1.1 was agreed on")
	}
	distrusts := n.dialTLS(&tls.Config{})
	if err := distrusts.tls.Handshake(); err == nil {
		t.Error("an unknown authority was trusted")
	}
	outcomes(t, server, tlsrec.OutcomeRefused, 2)
	outcomes(t, server, tlsrec.OutcomeAlerted, 1)
	flood := n.dial()
	flood.patient()
	_, _ = io.Copy(flood.conn, io.LimitReader(endlessHello{}, 65*6))
	outcomes(t, server, tlsrec.OutcomeTooLong, 1)
}

// endlessHello is a ClientHello in records of one byte that never ends.
type endlessHello struct{}

func (endlessHello) Read(b []byte) (int, error) {
	n := 0
	for ; n+6 <= len(b); n += 6 {
		copy(b[n:], []byte{22, 3, 1, 0, 1, byte(1 - n/6%2)}) // a length that may be
	}
	return n, nil
}

// A peer that says close_notify has hung up, in good order.
func TestTLS_PeerSaysGoodbye(t *testing.T) {
	server, pool := secureServer(t)
	accept, _, gone := reporting()
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach)}, accept)
	d := n.dialTLS(&tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12})
	d.open()
	if err := d.tls.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(d.conn); err != nil || len(rest) < 5 || rest[0] != 21 { // an alert, our own close_notify
		t.Errorf("%x, %v", rest, err)
	}
	wantGone(t, gone, eventloop.CausePeerGone, 1006)
}

// A record that was altered ends the connection.
func TestTLS_AlteredRecord(t *testing.T) { byBoth(t, tellsAlteredRecord) }

func tellsAlteredRecord(t *testing.T, server *tlsrec.Server, pool *x509.CertPool) {
	accept, _, gone := reporting()
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach)}, accept)
	d := n.dialTLS(&tls.Config{RootCAs: pool})
	d.open()
	d.dialogue.raw(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...))
	if _, err := d.r.ReadByte(); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("it says %v", err)
	}
	d.conn.Close()
	wantGone(t, gone, eventloop.CauseProtocolError, 1002)
}

// While reading is paused, what waits is ciphertext; it is read with the resume.
func TestTLS_PausedKeepsCiphertext(t *testing.T) { byBoth(t, tellsPausedKeepsCiphertext) }

func tellsPausedKeepsCiphertext(t *testing.T, server *tlsrec.Server, pool *x509.CertPool) {
	memory := bytebuf.NewBudget(1<<20, nil)
	heard := make(chan string, 8)
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Listeners: over(server, oneForEach), Memory: memory}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{receive: func(_ eventloop.Kind, p []byte) {
			if heard <- string(p); string(p) == "a" {
				c.PauseOnLoop()
			}
		}}
	}))
	var records bytes.Buffer // three, in one segment
	d := n.dialTLS(&tls.Config{RootCAs: pool})
	catch := &oddConn{TCPConn: d.conn}
	d.tls = tls.Client(catch, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	d.r = bufio.NewReader(d.tls)
	d.open()
	c := testkit.Receive(t, patience, "the connection", conns)
	catch.write = records.Write
	for _, s := range []string{"a", "secret-b", "secret-c"} {
		d.raw(wire(text(s)))
	}
	d.dialogue.raw(records.Bytes())
	if got := testkit.Receive(t, patience, "a", heard); got != "a" {
		t.Fatalf("heard %q", got)
	}
	if got := eventloop.Wire(c); len(got) == 0 || bytes.Contains(got, []byte("secret")) || !bytes.HasSuffix(records.Bytes(), got) {
		t.Errorf("%d bytes wait of %d, as %q", len(got), records.Len(), got)
	}
	if got := eventloop.Held(c); got != 0 {
		t.Errorf("%d plain bytes wait", got)
	}
	eventloop.OnLoop(c, c.ResumeOnLoop)
	for _, want := range []string{"secret-b", "secret-c"} {
		if got := testkit.Receive(t, patience, want, heard); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	emptied(t, memory)
}
