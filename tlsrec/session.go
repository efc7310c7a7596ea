package tlsrec

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

const (
	// handshakeRecords is how many records one handshake may take: some clients cut
	// their hello, and their certificates, into several.
	handshakeRecords = 64
	// handshakeBytes is how many bytes they may have together; a chain of certificates
	// has some thousands.
	handshakeBytes = 64 << 10
	// changesMost is how many bytes of ChangeCipherSpecs wait for what follows: a peer sends
	// one, of 6 bytes.
	changesMost = 64
	// barrenBytes is how many bytes of records without data may come in a row after it: a
	// KeyUpdate has some thirty. crypto/tls would wait for 256 KiB of one message.
	barrenBytes = 4 << 10
	// barrenEvery is for how long one such record pays, whatever comes between, and
	// barrenAtOnce how many may come before their time. A KeyUpdate costs its sender 27
	// bytes, and us new keys; no peer needs one a second for long.
	barrenEvery  = time.Second
	barrenAtOnce = 64
)

var (
	errTooLong = errors.New("tlsrec: the handshake takes too many records or bytes")
	errPanic   = errors.New("tlsrec: the handshake panicked")
	errBarren  = errors.New("tlsrec: too many bytes in records without data")
	errIdle    = errors.New("tlsrec: too many records without data in too short a time")
)

// A Session is the TLS of one connection, server side. Its methods are called by one
// goroutine at a time: by a worker Advance, until the handshake is over; all others by
// who owns the connection.
type Session struct {
	// Immutable after construction.
	server *Server

	// Owned by whoever has the Session now.
	m      *machine // nil once the record layer of our own has taken over
	own    *records // nil before, and without it
	peer   *Identity
	paid   uint32 // until when records without data have paid, in barrenEvery since the server was made
	barren uint16 // bytes of records without data, in a row
	done   bool   // the handshake is over, and well
	ended  bool   // our close_notify is out, or nothing may follow any more
}

// A machine is crypto/tls at work, with what only a handshake needs.
type machine struct {
	err     error // of the handshake, final
	began   time.Time
	conn    *tls.Conn
	pipe    pipe
	next    func() (struct{}, bool)
	stop    func()
	records int // of the handshake, so far
	bytes   int
	sealed  bool // a ChangeCipherSpec came, behind which a record may be the last one
	alerted bool // what came last is an alert that anybody can read
	alert   tls.AlertError
}

// NewSession begins with a connection whose peer has not said anything yet. protocol is one of
// Config.Protocols: what is spoken behind this TLS, so that a peer that names others alone
// by ALPN is refused; "" takes whatever it names. [RFC7301 3.2]
func (s *Server) NewSession(protocol string) *Session {
	n := &Session{server: s, m: &machine{began: time.Now()}}
	m := n.m
	if s.cfg.OwnRecords {
		m.pipe.secrets = &secrets{}
	}
	m.conn = tls.Server(&m.pipe, (*s.configs.Load())[protocol])
	m.next, m.stop = iter.Pull(func(yield func(struct{}) bool) {
		m.pipe.more = func() bool { return yield(struct{}{}) }
		m.err = m.conn.Handshake()
		m.pipe.more = nil
		n.done = m.err == nil
	})
	return n
}

// Piece is how much of wire Advance is to be given next: a record, with those before it that
// end no handshake; 0 while none is whole, or a ChangeCipherSpec alone, which its sender lets
// something follow. Nothing of what follows the handshake is in it: a Finished is sealed, which
// in TLS 1.2 begins behind a ChangeCipherSpec, and in 1.3 with another type. [RFC5246 7.1]
// [RFC8446 5]
func (n *Session) Piece(wire []byte) (size int) {
	at, sealed := 0, n.m.sealed
	for {
		cut := Cut(wire[at:])
		if cut == 0 {
			return size
		}
		kind := wire[at]
		at += cut
		switch {
		case cut == headerLen: // of a record that nothing is waited for
			return at
		case kind == typeChangeCipherSpec && at-size <= changesMost:
			sealed = true
			continue
		case kind != typeHandshake || sealed:
			return at
		}
		size = at
	}
}

// Cheap says that what is left of the handshake costs no more than to have it done elsewhere:
// the peer's Finished alone is missing, of TLS 1.3 with records of our own and without client
// certificates.
func (n *Session) Cheap() bool {
	s := n.m.pipe.secrets
	return s != nil && s.lengths[1] > 0 && n.server.cfg.ClientAuth == ClientAuthNone
}

// Advance runs the handshake on with a Piece, which is borrowed until return. It may
// take a millisecond of the processor, and never waits.
func (n *Session) Advance(piece []byte) {
	m := n.m
	if n.done || m.err != nil {
		return
	}
	for rest := piece; len(rest) > 0; rest = rest[max(1, Cut(rest)):] {
		m.records++
		m.sealed = m.sealed || rest[0] == typeChangeCipherSpec
		if m.alerted = plainAlert(rest); m.alerted {
			m.alert = tls.AlertError(rest[headerLen+1])
		}
	}
	if m.bytes += len(piece); m.records > handshakeRecords || m.bytes > handshakeBytes {
		n.fail(errTooLong)
		return
	}
	defer func() {
		m.pipe.in = nil
		if v := recover(); v != nil {
			m.err, n.done = errPanic, false
			n.server.panicked(v)
			n.note()
		}
	}()
	m.pipe.in = piece
	if _, under := m.next(); !under {
		m.next, m.stop = nil, func() {} // and what they hold
		if m.alerted && m.err != nil {  // crypto/tls calls it a record that was altered
			m.err = fmt.Errorf("remote error: %w", m.alert)
		}
		n.note()
	}
}

// fail ends the handshake before its time.
func (n *Session) fail(why error) {
	n.m.stop()
	n.m.err, n.done = why, false
	n.m.next, n.m.stop = nil, func() {}
	n.note()
}

// note counts how a handshake ended, notes who came, and takes over from crypto/tls.
func (n *Session) note() {
	m, st := n.m, n.m.conn.ConnectionState()
	n.server.count(outcomeOf(n, &st))
	if n.done {
		n.server.took.Observe(time.Since(m.began))
	}
	if n.done && len(st.PeerCertificates) > 0 && n.server.cfg.Identify != nil {
		if id, err := n.server.identify(st.PeerCertificates[0]); err == nil { // as it was in the handshake
			n.peer = &id
		}
	}
	if s := m.pipe.secrets; s != nil {
		if n.done {
			n.own = s.own(&st)
		}
		s.wipe()
		m.pipe.secrets = nil
	}
}

// Peer is who the certificate of the peer stands for; nil where it has none. Once the
// handshake is over.
func (n *Session) Peer() *Identity { return n.peer }

// Virgin says that nothing was heard of the peer yet.
func (n *Session) Virgin() bool { return n.m != nil && n.m.records == 0 }

// NotTLS ends a Session whose peer says first what is no TLS, and returns what to tell
// it: one that speaks HTTP understands it.
func (n *Session) NotTLS(wire []byte) []byte {
	n.m.records = 1
	n.fail(ErrNotTLS)
	if !startsHTTP(wire) {
		return nil
	}
	return []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis address speaks TLS: use wss:// or https://\n")
}

// Done says whether the handshake is over. An error is final: the connection is to end
// behind what Reply returns.
func (n *Session) Done() (bool, error) {
	if n.m == nil {
		return true, nil
	}
	return n.done, n.m.err
}

// Reply is what the peer is to be sent, as it goes over the wire; the caller's from now on.
func (n *Session) Reply() []byte {
	if n.m == nil {
		return nil
	}
	out := n.m.pipe.out
	n.m.pipe.out = nil
	if n.own != nil { // that was the last word of crypto/tls
		n.m = nil
	}
	return out
}

// Keep has the ciphers kept by c, whose owner the caller is from now on.
func (n *Session) Keep(c *Cache) {
	if n.own != nil {
		n.own.cache = c
		c.keep(n.own)
	}
}

// Open reads one record after the handshake: plain is what it says, in the memory of
// record, which is the caller's again once it is through with it. reply is to be sent to
// the peer before anything else, also with an error. io.EOF: the peer has said that it
// sends nothing more. [RFC8446 6.1]
func (n *Session) Open(record []byte) (plain, reply []byte, err error) {
	plain, reply, err = n.open(record)
	switch {
	case err != nil:
	case len(plain) > 0:
		n.barren = 0
	case int(n.barren)+len(record) > barrenBytes:
		n.ended, err = true, errBarren
	case !n.payOne():
		n.ended, err = true, errIdle
	default:
		n.barren += uint16(len(record)) //nolint:gosec // looked at here
	}
	return plain, reply, err
}

// payOne counts a record without data, and says whether it is in time. The clock is read
// for such records alone.
func (n *Session) payOne() bool {
	now := uint32(time.Since(n.server.since) / barrenEvery) //nolint:gosec // 136 years
	n.paid = max(n.paid, now) + 1
	return n.paid <= now+barrenAtOnce
}

func (n *Session) open(record []byte) (plain, reply []byte, err error) {
	if n.own != nil {
		plain, reply, err = n.own.open(nil, record)
		n.ended = n.ended || (err != nil && !errors.Is(err, io.EOF))
		return plain, reply, err
	}
	p := &n.m.pipe
	p.in = record
	used, err := n.m.conn.Read(record) // it has copied the record before it writes
	p.in = nil
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
	switch {
	case n.ended || !n.done:
		return dst
	case n.own != nil:
		return n.own.seal(dst, typeApplication, plain)
	}
	p := &n.m.pipe
	p.out = dst
	_, _ = n.m.conn.Write(plain) // it fails only once an alert has ended everything
	dst, p.out = p.out, nil
	return dst
}

// Goodbye appends a close_notify to dst, once, if there is anybody to hear it.
// [RFC8446 6.1]
func (n *Session) Goodbye(dst []byte) []byte {
	if n.ended || !n.done {
		return dst
	}
	n.ended = true
	if n.own != nil {
		return n.own.seal(dst, typeAlert, []byte{1, byte(alertCloseNotify)})
	}
	p := &n.m.pipe
	p.out = dst
	_ = n.m.conn.CloseWrite() // as in Seal
	dst, p.out = p.out, nil
	return dst
}

// Close gives up a Session, whose connection is gone, and what is secret of it. Idempotent.
func (n *Session) Close() {
	if n.own != nil {
		n.own.wipe()
		n.ended = true
	}
	if !n.done && n.m.err == nil {
		n.m.stop()
		n.m.err = io.ErrClosedPipe
		n.server.count(OutcomeGone)
	}
}
