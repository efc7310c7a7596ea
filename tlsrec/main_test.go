package tlsrec_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

const patience = time.Minute

// far is the server's end of a connection, as an event loop would have it: an echo.
type far struct {
	session *tlsrec.Session
	conn    net.Conn
	ended   chan error
}

// dial connects a client of crypto/tls to a Session of s.
func dial(t *testing.T, s *tlsrec.Server, cfg *tls.Config) (*tls.Conn, *far) {
	t.Helper()
	near, other := connected(t)
	f := &far{session: s.NewSession(""), conn: other, ended: make(chan error, 1)}
	go func() { f.ended <- f.serve() }()
	for _, c := range []net.Conn{near, other} {
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	t.Cleanup(func() {
		near.Close()
		other.Close()
		select { // the session is serve's until it ends
		case err := <-f.ended:
			f.ended <- err
		case <-time.After(patience):
			t.Error("it does not end")
		}
		f.session.Close()
	})
	if cfg.ServerName == "" {
		cfg.ServerName = "127.0.0.1"
	}
	return tls.Client(near, cfg), f
}

// connected are the two ends of a socket: unlike net.Pipe they take what nobody reads yet.
func connected(t *testing.T) (near, other net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if other, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, other
}

// serve echoes until the end.
func (f *far) serve() error {
	defer f.conn.Close()
	var wire []byte
	buf := make([]byte, 4096)
	for {
		n, err := f.conn.Read(buf)
		if err != nil {
			return err
		}
		wire = append(wire, buf[:n]...)
		for {
			n := tlsrec.Cut(wire)
			if n == 0 {
				break
			}
			if err := f.take(wire[:n]); err != nil {
				return err
			}
			wire = wire[n:]
		}
	}
}

func (f *far) take(record []byte) error {
	if done, _ := f.session.Done(); !done {
		f.session.Advance(record)
		_, err := f.session.Done()
		return errors.Join(f.write(f.session.Reply()), err)
	}
	plain, reply, err := f.session.Open(record)
	if len(plain) > 0 {
		reply = f.session.Seal(reply, plain)
	}
	if err != nil {
		reply = f.session.Goodbye(reply)
	}
	return errors.Join(f.write(reply), err)
}

func (f *far) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := f.conn.Write(b)
	return err
}

// echo has c send, and wants the same back.
func echo(t *testing.T, c *tls.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("%q came back, %v", got, err)
	}
}

func server(t *testing.T, ca *testkit.Authority, change func(*tlsrec.Config)) *tlsrec.Server {
	t.Helper()
	cert, key := ca.Issue("node", nil)
	cfg := tlsrec.Config{CertFile: cert, KeyFile: key}
	if change != nil {
		change(&cfg)
	}
	s, err := tlsrec.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
