package fleet

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"time"
)

// TLS is how the devices of a wss:// or mqtts:// URL speak it.
type TLS struct {
	// CA is a PEM file of who signs the node's certificate. Default: those of the system.
	CA string
	// Cert and Key are PEM files of the devices' own certificate, one for all. Default none.
	Cert, Key string
	// Version is the only one that they speak, 1.2 or 1.3. Default: both.
	Version string
	// Classic leaves the post-quantum key share (X25519MLKEM768) out.
	Classic bool
	// Resume has each device come back by the ticket that one of its loop was given last.
	Resume bool
}

// config is that of one loop, nil for a URL without TLS.
func (c Config) config(t target) (*tls.Config, error) {
	if !t.tls {
		return nil, nil //nolint:nilnil // none
	}
	conf := &tls.Config{ServerName: t.name, NextProtos: []string{map[bool]string{false: "http/1.1", true: "mqtt"}[t.mqtt]}}
	if c.TLS.CA != "" {
		pem, err := os.ReadFile(c.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: tls: %w", ErrConfig, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: tls: %s: no certificate in it", ErrConfig, c.TLS.CA)
		}
	}
	if c.TLS.Cert != "" || c.TLS.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: tls: %w", ErrConfig, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	switch c.TLS.Version {
	case "":
	case "1.2":
		conf.MaxVersion = tls.VersionTLS12
	case "1.3":
		conf.MinVersion = tls.VersionTLS13
	default:
		return nil, fmt.Errorf("%w: tls: version %q: want 1.2 or 1.3", ErrConfig, c.TLS.Version)
	}
	if c.TLS.Classic {
		conf.CurvePreferences = []tls.CurveID{tls.X25519}
	}
	if c.TLS.Resume {
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return conf, nil
}

// secure is TLS on one connection: crypto/tls over byte slices. Its handshake is a
// coroutine that runs until it wants more bytes. Owned by its loop.
type secure struct {
	tls  *tls.Conn
	in   []byte // to be read; borrowed
	out  []byte // to be sent
	more func() bool
	next func() (struct{}, bool) // nil once the handshake is over
	stop func()
	err  error // of the handshake
}

func newSecure(conf *tls.Config) *secure {
	s := &secure{}
	s.tls = tls.Client(s, conf)
	s.next, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.more = func() bool { return yield(struct{}{}) }
		s.err = s.tls.Handshake()
		s.more = nil
	})
	return s
}

// advance runs the handshake on; over says that it is done, well or with an error.
func (s *secure) advance() (over bool, err error) {
	if _, under := s.next(); under {
		return false, nil
	}
	s.next = nil
	return true, s.err
}

// close ends a handshake under way.
func (s *secure) close() {
	if s.next != nil {
		s.stop()
	}
}

// errDry says that there is nothing to read now: crypto/tls goes on after a temporary error.
var errDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "fleet: no more bytes yet" }
func (dry) Timeout() bool   { return true }
func (dry) Temporary() bool { return true }

// Read hands crypto/tls what has arrived; in a handshake it waits for more.
func (s *secure) Read(b []byte) (int, error) {
	for len(s.in) == 0 {
		if s.more == nil {
			return 0, errDry
		}
		if !s.more() {
			return 0, net.ErrClosed
		}
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

// Write keeps what crypto/tls sends.
func (s *secure) Write(b []byte) (int, error) {
	s.out = append(s.out, b...)
	return len(b), nil
}

// Close, and what else a net.Conn has, means nothing here: the loop owns the socket.
func (s *secure) Close() error { return nil }

// LocalAddr implements net.Conn.
func (s *secure) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (s *secure) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn.
func (s *secure) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (s *secure) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (s *secure) SetWriteDeadline(time.Time) error { return nil }

// decipher takes bytes of TLS that arrived for device i. wire is borrowed until return.
func (l *loop) decipher(i int, s *secure, wire []byte) {
	c := &l.conns[i]
	s.in = wire
	if s.next != nil {
		over, err := s.advance()
		if l.write(i, l.now()); c.secure != s { // with an error too: the node is told why
			return
		}
		if err != nil {
			l.fail(i, "tls: "+err.Error())
			return
		}
		if !over {
			return
		}
		st := s.tls.ConnectionState()
		if st.DidResume {
			l.counts[Resumed]++
		}
		if st.CurveID == tls.X25519MLKEM768 {
			l.counts[PostQuantum]++
		}
		l.ask(i)
	}
	for c.secure == s {
		n, err := s.tls.Read(l.plain)
		if n > 0 {
			l.take(i, l.plain[:n])
		}
		switch {
		case c.secure != s:
			return
		case errors.Is(err, errDry):
			l.write(i, l.now()) // what crypto/tls itself has to say
			return
		case errors.Is(err, io.EOF):
			l.end(i, "eof", l.now())
		case err != nil:
			l.end(i, "tls: "+err.Error(), l.now())
		}
	}
}

// sealed is what device i sends, as TLS has it; valid until the next call.
func (l *loop) sealed(s *secure, plain []byte) []byte {
	if len(plain) > 0 {
		_, _ = s.tls.Write(plain) // it fails only after an alert, which ends the connection
	}
	out := s.out
	s.out = nil
	return out
}
