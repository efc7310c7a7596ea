package tlsrec

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
)

const (
	// handshakeRecords is how many records one handshake may take: some clients cut
	// their hello, and their certificates, into several.
	handshakeRecords = 64
	// handshakeBytes is how many bytes they may have together; a chain of certificates
	// has some thousands.
	handshakeBytes = 64 << 10
)

var (
	errTooLong = errors.New("tlsrec: the handshake takes too many records or bytes")
	errPanic   = errors.New("tlsrec: the handshake panicked")
)

// A Session is the TLS of one connection, server side. Its methods are called by one
// goroutine at a time: by a worker Advance, until the handshake is over; all others by
// who owns the connection.
type Session struct {
	// Immutable after construction.
	server *Server

	// Owned by whoever has the Session now.
	conn    *tls.Conn
	pipe    pipe
	next    func() (struct{}, bool)
	stop    func()
	records int // of the handshake, so far
	bytes   int
	err     error // of the handshake, final
	done    bool  // the handshake is over, and well
	ended   bool  // our close_notify is out, or nothing may follow any more
	peer    *Identity
}

// NewSession begins with a connection whose peer has not said anything yet.
func (s *Server) NewSession() *Session {
	n := &Session{server: s}
	n.conn = tls.Server(&n.pipe, s.config.Load())
	n.next, n.stop = iter.Pull(func(yield func(struct{}) bool) {
		n.pipe.more = func() bool { return yield(struct{}{}) }
		n.err = n.conn.Handshake()
		n.pipe.more = nil
		n.done = n.err == nil
	})
	return n
}

// Advance runs the handshake on with one record, which is borrowed until return. It may
// take a millisecond of the processor, and never waits.
func (n *Session) Advance(record []byte) {
	if n.err != nil || n.done {
		return
	}
	n.records++
	if n.bytes += len(record); n.records > handshakeRecords || n.bytes > handshakeBytes {
		n.fail(errTooLong)
		return
	}
	defer func() {
		n.pipe.in = nil
		if v := recover(); v != nil {
			n.err, n.done = errPanic, false
			n.server.panicked(v)
			n.note()
		}
	}()
	n.pipe.in = record
	if _, under := n.next(); !under {
		n.next, n.stop = nil, func() {} // and what they hold
		n.note()
	}
}

// fail ends the handshake before its time.
func (n *Session) fail(why error) {
	n.stop()
	n.err, n.done = why, false
	n.next, n.stop = nil, func() {}
	n.note()
}

// note counts how a handshake ended, and notes who came.
func (n *Session) note() {
	n.server.count(outcomeOf(n))
	if certs := n.conn.ConnectionState().PeerCertificates; n.done && len(certs) > 0 && n.server.cfg.Identify != nil {
		if id, err := n.server.identify(certs[0]); err == nil { // as it was in the handshake
			n.peer = &id
		}
	}
}

// Peer is who the certificate of the peer stands for; nil where it has none. Once the
// handshake is over.
func (n *Session) Peer() *Identity { return n.peer }

// Virgin says that nothing was heard of the peer yet.
func (n *Session) Virgin() bool { return n.records == 0 }

// NotTLS ends a Session whose peer says first what is no TLS, and returns what to tell
// it: one that speaks HTTP understands it.
func (n *Session) NotTLS(wire []byte) []byte {
	n.records = 1
	n.fail(ErrNotTLS)
	if !startsHTTP(wire) {
		return nil
	}
	return []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis address speaks TLS: use wss:// or https://\n")
}

// Done says whether the handshake is over. An error is final: the connection is to end
// behind what Reply returns.
func (n *Session) Done() (bool, error) { return n.done, n.err }

// Reply is what the peer is to be sent, as it goes over the wire; the caller's from now on.
func (n *Session) Reply() []byte {
	out := n.pipe.out
	n.pipe.out = nil
	return out
}

// Open reads one record after the handshake: plain is what it says, in the memory of
// record, which is the caller's again once it is through with it. reply is to be sent to
// the peer before anything else, also with an error. io.EOF: the peer has said that it
// sends nothing more. [RFC8446 6.1]
func (n *Session) Open(record []byte) (plain, reply []byte, err error) {
	n.pipe.in = record
	used, err := n.conn.Read(record) // it has copied the record before it writes
	n.pipe.in = nil
	switch {
	case errors.Is(err, errDry):
		err = nil
	case errors.Is(err, io.EOF):
		err = io.EOF
	case err != nil:
		n.ended = true
		err = fmt.Errorf("tlsrec: read: %w", err)
	}
	return record[:used], n.Reply(), err
}

// Seal appends plain to dst as records.
func (n *Session) Seal(dst, plain []byte) []byte {
	if n.ended || !n.done {
		return dst
	}
	n.pipe.out = dst
	_, _ = n.conn.Write(plain) // it fails only once an alert has ended everything
	dst, n.pipe.out = n.pipe.out, nil
	return dst
}

// Goodbye appends a close_notify to dst, once, if there is anybody to hear it.
// [RFC8446 6.1]
func (n *Session) Goodbye(dst []byte) []byte {
	if n.ended || !n.done {
		return dst
	}
	n.pipe.out = dst
	_ = n.conn.CloseWrite() // as in Seal
	n.ended = true
	dst, n.pipe.out = n.pipe.out, nil
	return dst
}

// Close gives up a Session, whose connection is gone. Idempotent.
func (n *Session) Close() {
	if n.err == nil && !n.done {
		n.stop()
		n.err = io.ErrClosedPipe
		n.server.count(OutcomeGone)
	}
}
