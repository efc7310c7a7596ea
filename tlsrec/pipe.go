package tlsrec

import (
	"net"
	"time"
)

// A pipe stands in for the socket of a tls.Conn: it reads what it was given, and what it
// is told to write it keeps.
type pipe struct {
	in      []byte // to be read; lent by who gave it
	out     []byte // was written
	more    func() bool
	secrets *secrets // of the handshake; nil after it, and where they stay with the tls.Conn
}

// errDry says that there is nothing to read now. crypto/tls takes every error of Read for
// final but a temporary one.
var errDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "tlsrec: more records have to come first" }
func (dry) Timeout() bool   { return true }
func (dry) Temporary() bool { return true }

// Read hands on what there is. Where more can wait for the peer, it does.
func (p *pipe) Read(b []byte) (int, error) {
	for len(p.in) == 0 {
		if p.more == nil {
			return 0, errDry
		}
		if !p.more() {
			return 0, net.ErrClosed
		}
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

// Write keeps b. It never fails: crypto/tls does not write again after an error.
func (p *pipe) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	if p.secrets != nil {
		p.secrets.wrote(b)
	}
	return len(b), nil
}

func (p *pipe) Close() error { return nil }

// Nobody has an address here, and time is for who owns the socket.

func (p *pipe) LocalAddr() net.Addr              { return nowhere{} }
func (p *pipe) RemoteAddr() net.Addr             { return nowhere{} }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

type nowhere struct{}

func (nowhere) Network() string { return "none" }
func (nowhere) String() string  { return "none" }
