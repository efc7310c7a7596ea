package tricks

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// client is a TLS client that trusts everybody: attackers do not care.
func client() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // an attacker
}

// hello is the record of a ClientHello.
func hello() []byte {
	c := &recorder{}
	_ = tls.Client(c, client()).Handshake() // ends with the first read
	return c.out.Bytes()
}

// recorder takes what is written, and has nothing to read.
type recorder struct {
	net.Conn
	out bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error)      { return r.out.Write(p) }
func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// record is one of TLS, in the clear.
func record(kind byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 1}, uint16(len(payload))), payload...) //nolint:gosec // as long as wished
}

// tlsHandshakes are handshakes that go wrong.
func tlsHandshakes() []Trick {
	whole := hello()
	// in says some bytes in the clear.
	in := func(name, about string, wire []byte, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.inTheClear(wire) }}
	}
	slow := func(name, about string, begin []byte) Trick {
		return Trick{Name: name, About: about, Slow: true, Want: []string{cut, "alert …"}, try: func(t *try) string { return t.holds(t.doors.WSS, string(begin)) }}
	}
	var crumbs, empties []byte
	for _, b := range whole[5:] {
		crumbs = append(crumbs, record(22, []byte{b})...)
	}
	for range 200 {
		empties = append(empties, record(22, nil)...)
	}
	endless := append([]byte{1, 0xff, 0xff, 0xff}, make([]byte, 16000)...)
	return []Trick{
		slow("silence", "nothing is said", nil),
		slow("half-a-hello", "half of the first flight, then nothing", whole[:len(whole)/2]),
		{Name: "half-a-finish", About: "half of the last flight, then nothing", Slow: true, Want: []string{cut, "alert …"}, try: (*try).halfFinish},
		{Name: "slowly", About: "the first flight, a byte at a time", Slow: true, Peers: 200, Want: []string{cut, "alert …"}, try: func(t *try) string { return t.drips(t.doors.WSS, string(whole)) }},
		{Name: "bytes", About: "every flight in writes of one byte, quickly: it is allowed", Want: []string{"101"}, try: (*try).byteWrites},
		in("crumbs", "the first flight in records of one byte", crumbs, "alert …", cut),
		in("empty", "empty records", empties, "alert …", cut),
		in("record-64k", "a record that announces 64 KiB", []byte{22, 3, 1, 0xff, 0xff, 1}, "alert 22"),
		in("hello-16m", "a hello that announces 16 MiB", bytes.Repeat(record(22, endless), 8), "alert …", cut),
		in("noise", "noise in a record", record(22, bytes.Repeat([]byte{1, 0, 0, 40, 0xa5}, 9)), "alert …"),
		in("data-first", "data before a handshake", record(23, []byte("GET / HTTP/1.1\r\n")), "alert …", cut),
		in("alerts", "alerts before a handshake", bytes.Repeat(record(21, []byte{1, 90}), 300), "alert …", cut),
		in("heartbeat", "a heartbeat with the wrong length (Heartbleed)", record(24, []byte{1, 0xff, 0xff, 0}), "alert …", cut),
		in("ssl2", "SSL 2", []byte{0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10}, cut, "alert …"),
		in("plain", "HTTP without TLS", []byte(upgrade(devicePath)+"\r\n"), "use wss"),
		{Name: "hangs-up", About: "the first flight, and the peer is gone", Want: []string{"gone"}, Peers: 32, try: func(t *try) string {
			c, err := t.dial(t.doors.WSS)
			if err != nil {
				return t.ended(err)
			}
			_, _ = c.Write(whole)
			c.Close()
			return "gone"
		}},
	}
}

// inTheClear says something and hears the alert.
func (t *try) inTheClear(wire []byte) string {
	c, err := t.dial(t.doors.WSS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	go func() { _, _ = c.Write(wire) }()
	answer, err := io.ReadAll(io.LimitReader(c, 8<<10))
	if i := bytes.Index(answer, []byte{21, 3}); i >= 0 && len(answer) >= i+7 {
		return fmt.Sprintf("alert %d", answer[i+6])
	}
	if strings.Contains(string(answer), "use wss://") {
		return "use wss"
	}
	if err == nil {
		return cut
	}
	return t.ended(err)
}

// scissors is a connection on which the second flight goes out in part alone.
type scissors struct {
	net.Conn
	flights int
}

func (s *scissors) Write(p []byte) (int, error) {
	s.flights++
	switch s.flights {
	case 1:
		return s.Conn.Write(p)
	case 2:
		if _, err := s.Conn.Write(p[:len(p)/2]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (t *try) halfFinish() string {
	c, err := t.dial(t.doors.WSS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	s := tls.Client(&scissors{Conn: c}, client())
	if err := s.HandshakeContext(t.ctx); err != nil {
		return t.ended(err)
	}
	return t.wait(s)
}

// crumbled writes each byte by itself.
type crumbled struct{ net.Conn }

func (c crumbled) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func (t *try) byteWrites() string {
	c, err := t.dial(t.doors.WSS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	s := tls.Client(crumbled{c}, client())
	status, _ := t.say(s, t.asking(""))
	return status
}

// tlsPeople are handshakes of people who are not what they say.
func tlsPeople() []Trick {
	as := func(name, about string, config func(t *try) (*tls.Config, error), want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.shakes(config) }}
	}
	with := func(file string, times int) func(t *try) (*tls.Config, error) {
		return func(t *try) (*tls.Config, error) {
			pair, err := tls.LoadX509KeyPair(t.doors.file(file+".crt"), t.doors.file(file+".key"))
			for range times {
				pair.Certificate = append(pair.Certificate, pair.Certificate[0])
			}
			c := client()
			// Whatever authorities the node names.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			return c, err
		}
	}
	plain := func(change func(c *tls.Config)) func(*try) (*tls.Config, error) {
		return func(*try) (*tls.Config, error) {
			c := client()
			change(c)
			return c, nil
		}
	}
	return []Trick{
		as("forged", "a certificate by an authority that only has the name", with(forgedFile, 0), "alert: …"),
		as("expired", "a certificate that is over", with(oldFile, 0), "alert: …"),
		as("chain", "a chain of 41 certificates", with(deviceFile, 40), "alert: …", cut),
		as("chain-large", "a chain of 400 KiB", with(deviceFile, 1000), "alert: …", cut),
		as("alpn", "ALPN of another protocol", plain(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), "alert: no application protocol"),
		as("alpn-mqtt", "ALPN of another door", plain(func(c *tls.Config) { c.NextProtos = []string{"mqtt"} }), "alert: no application protocol"),
		as("tls11", "TLS 1.1", plain(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "alert: protocol version not supported"),
		as("weak", "suites that are weak", plain(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
		}), "alert: …"),
		{Name: "ticket", About: "a session of another node", Want: []string{"full"}, try: (*try).foreignTicket},
		{Name: "other-device", About: "his own certificate and another device's token", Want: []string{"403"}, try: func(t *try) string {
			config, err := with(deviceFile, 0)(t)
			if err != nil {
				return err.Error()
			}
			c, err := t.dial(t.doors.WSS)
			if err != nil {
				return t.ended(err)
			}
			defer c.Close()
			status, _ := t.say(tls.Client(c, config), t.asking(""))
			return status
		}},
	}
}

// shakes makes a handshake and asks, and hears how far it came.
func (t *try) shakes(config func(t *try) (*tls.Config, error)) string {
	cfg, err := config(t)
	if err != nil {
		return err.Error()
	}
	c, err := t.dial(t.doors.WSS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	s := tls.Client(c, cfg)
	if err := s.HandshakeContext(t.ctx); err != nil {
		return t.ended(err)
	}
	status, _ := t.say(s, t.asking(""))
	return status
}

// foreignTicket has a server of its own give out a session, and shows it to the node.
func (t *try) foreignTicket() string {
	pair, err := tls.LoadX509KeyPair(t.doors.file(forgedFile+".crt"), t.doors.file(forgedFile+".key"))
	if err != nil {
		return err.Error()
	}
	cfg := client()
	cfg.ServerName, cfg.ClientSessionCache = "127.0.0.1", tls.NewLRUClientSessionCache(1)
	here, there := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		s := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
		_, _ = s.Write([]byte("x")) // behind the ticket
		_ = there.Close()
	})
	defer wg.Wait()
	mine := tls.Client(here, cfg)
	_, err = mine.Read(make([]byte, 1))
	here.Close()
	if err != nil {
		return "no session: " + err.Error()
	}
	c, err := t.dial(t.doors.WSS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	s := tls.Client(c, cfg)
	if err := s.HandshakeContext(t.ctx); err != nil {
		return t.ended(err)
	}
	if s.ConnectionState().DidResume {
		return "resumed"
	}
	return "full"
}

// errSuite says that the session has keys that a sealer cannot make.
var errSuite = errors.New("fault: the session is not of AES-128-GCM")

// overTLS is a device with TLS 1.3 whose records are made by hand.
func (t *try) overTLS() (*sealer, *device, error) {
	c, err := t.dial(t.doors.WSS)
	if err != nil {
		return nil, nil, err
	}
	secrets := &bytes.Buffer{}
	cfg := client()
	cfg.MinVersion, cfg.KeyLogWriter = tls.VersionTLS13, secrets
	s := tls.Client(c, cfg)
	if err := s.HandshakeContext(t.ctx); err != nil {
		c.Close()
		return nil, nil, err
	}
	if s.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		c.Close()
		return nil, nil, errSuite
	}
	seal, err := newSealer(c, secrets.String())
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	if err := seal.write(data, []byte(t.asking(""))); err != nil {
		c.Close()
		return nil, nil, err
	}
	d := &device{t: t, conn: s, r: bufio.NewReader(s)}
	if status := t.status(d.r); status != "101" {
		c.Close()
		return nil, nil, errors.New(status)
	}
	if _, text, err := d.frame(); err != nil || !strings.Contains(string(text), `"welcome"`) {
		c.Close()
		return nil, nil, fmt.Errorf("no welcome: %.80q %w", text, err)
	}
	return seal, d, nil
}
