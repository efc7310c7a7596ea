package tlsrec

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"edgeloop/internal/testkit"
)

// A client is the other end of a Session, that can say what no decent client would: a
// handshake of crypto/tls, and then records as a test has them.
type client struct {
	records // its own ends: in is what the server seals
	session *Session
	wire    []byte // of the server's, not read yet
}

// conduct carries a handshake between crypto/tls and a Session of s.
func conduct(t testing.TB, s *Server, ca *testkit.Authority, change ...func(*tls.Config)) *client {
	t.Helper()
	log := &secrets{}
	n, p := s.NewSession(""), &pipe{}
	cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", KeyLogWriter: log, ClientSessionCache: tls.NewLRUClientSessionCache(1), CurvePreferences: []tls.CurveID{tls.X25519}}
	for _, do := range change {
		do(cfg)
	}
	conn := tls.Client(p, cfg)
	var wire, rest []byte
	p.more = func() bool { // the server has its turn
		wire = append(wire, p.out...)
		p.out = nil
		for done, err := n.Done(); !done && err == nil; done, err = n.Done() {
			size := n.Piece(wire)
			if size == 0 {
				break
			}
			n.Advance(bytes.Clone(wire[:size]))
			wire = wire[size:]
		}
		rest = append(rest, n.Reply()...)
		p.in, rest = rest[:Cut(rest)], rest[Cut(rest):] // one record, or it takes the ticket too
		return len(p.in) > 0
	}
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	p.more = nil
	for wire = append(wire, p.out...); len(wire) > 0; {
		size := n.Piece(wire)
		if size == 0 {
			t.Fatalf("%x is no piece", wire)
		}
		n.Advance(bytes.Clone(wire[:size]))
		wire = wire[size:]
	}
	if done, err := n.Done(); !done {
		t.Fatalf("the handshake is not over: %v", err)
	}
	st := conn.ConnectionState()
	c := &client{session: n, wire: append(rest, n.Reply()...)}
	c.records = records{suite: suites[st.CipherSuite], in: half{secret: log.server}, out: half{secret: log.client}, limit: 1 << 62}
	return c
}

// said is what a server makes of a record: what it hands up, and what it answers.
type said struct {
	plain, answers string
	ended          bool
}

// say sends a record.
func (c *client) say(t testing.TB, record []byte) (s said) {
	t.Helper()
	plain, reply, err := c.session.Open(bytes.Clone(record))
	s.plain, s.ended = string(plain), err != nil
	c.wire = append(c.wire, reply...)
	s.answers = c.read(t)
	return s
}

// read opens what the server has sent: it must be under the right key, in the right order.
func (c *client) read(t testing.TB) (all string) {
	t.Helper()
	for n := Cut(c.wire); n > 0; n = Cut(c.wire) {
		plain, kind, err := c.decrypt(c.wire[:n])
		if err != nil {
			t.Fatalf("the server's record %d: %v", c.in.seq, err)
		}
		c.wire = c.wire[n:]
		switch {
		case kind == typeHandshake && len(plain) == 5 && plain[0] == typeKeyUpdate:
			c.suite.advance(&c.in)
			c.drop()
			all += fmt.Sprintf("update %d;", plain[4])
		case kind == typeHandshake: // a ticket
		default:
			all += fmt.Sprintf("%d %q;", kind, plain)
		}
	}
	return all
}

func twoServers(t testing.TB) (ca *testkit.Authority, std, own *Server) {
	ca = testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	for i, to := range []**Server{&std, &own} {
		s, err := New(Config{CertFile: cert, KeyFile: key, OwnRecords: i == 1})
		if err != nil {
			t.Fatal(err)
		}
		*to = s
	}
	return ca, std, own
}

// padded is a record with zeros behind its content.
func (c *client) padded(kind byte, plain []byte, zeros int) []byte {
	inner := append(append(bytes.Clone(plain), kind), make([]byte, zeros)...)
	return c.sealOne(nil, inner[len(inner)-1], inner[:len(inner)-1])
}

// step makes one record of two bytes of fuzz. stricter: RFC 8446 asks for an end where
// crypto/tls goes on.
func (c *client) step(op, arg byte) (record []byte, stricter bool) {
	content := bytes.Repeat([]byte{arg}, int(arg))
	switch op % 12 {
	case 0, 1:
		return c.sealOne(nil, typeApplication, content), false
	case 2:
		return c.padded(typeApplication, content, int(arg)*3), false
	case 3: // an update that may ask for one
		record = c.sealOne(nil, typeHandshake, []byte{typeKeyUpdate, 0, 0, 1, arg % 3})
		c.suite.advance(&c.out)
		c.drop()
		return record, false
	case 4: // a piece of one: crypto/tls waits for the rest of what can be none any more
		return c.sealOne(nil, typeHandshake, []byte{typeKeyUpdate, 0, 0, 1, 0, typeKeyUpdate}[:1+arg%6]), true
	case 5:
		return c.sealOne(nil, typeAlert, []byte{arg % 3, arg}), false
	case 6:
		record = c.sealOne(nil, typeApplication, content)
		record[len(record)-1-int(arg)%(len(record)-headerLen)] ^= 1
		return record, false
	case 7:
		return c.padded(typeApplication, make([]byte, maxPlain-2+int(arg%4)), int(arg%3)), false
	case 8:
		return c.padded(0, nil, int(arg)), false
	case 9:
		return c.sealOne(nil, arg, content), arg == 20
	case 10:
		return []byte{20, 3, 3, 0, 1, 1}, true // [RFC8446 5]
	}
	return append([]byte{typeApplication, 3, 3, 0, arg}, content...), false
}

// FuzzOwn_Agrees: whatever a client sends, the record layer of our own makes of it what
// crypto/tls makes of it, or ends the connection where RFC 8446 has it end.
func FuzzOwn_Agrees(f *testing.F) {
	for _, seed := range []string{
		"a", "\x00a\x03\x01\x00b", "\x03\x00\x03\x01\x02z\x00q", "\x04\x00\x00a", "\x04\x05\x00a", "\x05\x00", "\x06\x09",
		"\x07\x01\x07\x02\x07\x03", "\x08\x00", "\x0a\x00", "\x0b\x30", "\x05\x5a\x00x", string(make([]byte, 38)),
	} {
		f.Add([]byte(seed))
	}
	ca, std, own := twoServers(f)
	f.Fuzz(func(t *testing.T, ops []byte) {
		one, two := conduct(t, std, ca), conduct(t, own, ca)
		if two.session.own == nil || one.session.own != nil {
			t.Fatal("the wrong record layer")
		}
		stricter := false
		for i := 0; i+1 < len(ops) && i < 80; i += 2 {
			want, here := one.step(ops[i], ops[i+1])
			stricter = stricter || here // a piece is still waited for
			got, _ := two.step(ops[i], ops[i+1])
			a, b := one.say(t, want), two.say(t, got)
			if b.ended && stricter {
				return
			}
			if a.ended != b.ended || a.plain != b.plain || (!a.ended && a.answers != b.answers) {
				t.Fatalf("step %d (%d %d): crypto/tls %.100v, own %.100v", i/2, ops[i]%12, ops[i+1], a, b)
			}
			if a.ended {
				return
			}
			echo := bytes.Repeat([]byte{ops[i]}, int(ops[i+1]))
			one.wire, two.wire = one.session.Seal(one.wire, echo), two.session.Seal(two.wire, echo)
			if a, b := one.read(t), two.read(t); a != b {
				t.Fatalf("step %d, sealed: crypto/tls %.100q, own %.100q", i/2, a, b)
			}
		}
	})
}

// No nonce is used twice with one key, on any path: data, updates of both sides, of our
// own at the limit, alerts, tickets before.
func TestOwn_NoncesNeverRepeat(t *testing.T) {
	ca, _, own := twoServers(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := conduct(t, own, ca)
		r := c.session.own
		r.limit = uint64(rapid.IntRange(3, 9).Draw(rt, "limit"))
		used := map[string]bool{}
		for n := uint64(0); n < r.out.seq; n++ { // the ticket, and its number was found out
			used[string(r.out.secret[:])+fmt.Sprint(n)] = true
		}
		if len(used) != 1 || c.read(t) != "" {
			rt.Fatalf("%d records were sent by the handshake", len(used))
		}
		watch := func(do func()) {
			// The reader follows key by key and number by number: a record that were sealed
			// with anything else would not open. Here: that none was sealed so before.
			first := r.out
			do()
			answers := c.read(t)
			for seq, secret := first.seq, first.secret; ; seq++ {
				if secret == r.out.secret && seq == r.out.seq {
					break
				}
				key := string(secret[:]) + fmt.Sprint(seq)
				if used[key] {
					rt.Fatalf("nonce %d twice, after %s", seq, answers)
				}
				used[key] = true
				if seq > r.limit {
					rt.Fatalf("%d records under one key, limit %d", seq, r.limit)
				}
				if secret != r.out.secret && seq+1 >= r.limit { // it went on with the next key
					h := half{secret: secret}
					r.suite.advance(&h)
					secret, seq = h.secret, ^uint64(0)
				}
			}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				size := rapid.IntRange(0, 3*maxPlain).Draw(rt, "size")
				watch(func() { c.wire = c.session.Seal(c.wire, make([]byte, size)) })
			case 2:
				worn := r.in.seq >= 2*r.limit // it was asked for another key long ago
				s := c.say(t, c.sealOne(nil, typeApplication, []byte("x")))
				if worn && s.ended {
					return
				}
				if s.plain != "x" {
					rt.Fatalf("it says %+v", s)
				}
			case 3:
				ends := r.in.seq >= 2*r.limit || r.useless >= uselessMost
				record := c.sealOne(nil, typeHandshake, []byte{typeKeyUpdate, 0, 0, 1, 1})
				c.suite.advance(&c.out)
				c.drop()
				s := c.say(t, record)
				if ends && s.ended {
					return
				}
				if s.answers != "update 0;" {
					rt.Fatalf("it says %+v", s)
				}
			}
		}
	})
}

// A peer that never takes another key is asked for one, and then cut off: a key reads no
// more records than its limit allows.
func TestOwn_KeysWearOut(t *testing.T) {
	ca, _, own := twoServers(t)
	c := conduct(t, own, ca)
	c.session.own.limit = 5
	var all string
	for range 20 {
		s := c.say(t, c.sealOne(nil, typeApplication, []byte("x")))
		all += s.answers
		if s.ended {
			break
		}
	}
	if want := fmt.Sprintf("update 1;%d %q;", typeAlert, []byte{2, byte(alertUnexpectedMessage)}); all != want || c.session.own.in.seq != 10 {
		t.Errorf("it answers %q, want %q, after %d", all, want, c.session.own.in.seq)
	}
}

// What is secret is gone with the connection, and nothing can be said after its end.
func TestOwn_Wiped(t *testing.T) {
	ca, _, own := twoServers(t)
	c := conduct(t, own, ca)
	cache := &Cache{}
	c.session.Keep(cache)
	r := c.session.own
	c.wire = c.session.Seal(c.wire, []byte("x"))
	if r.live == nil || cache.newcomers[0] != r {
		t.Error("the ciphers are not kept")
	}
	c.wire = c.session.Goodbye(c.wire)
	c.wire = c.session.Seal(c.session.Goodbye(c.wire), []byte("too late"))
	if got := c.read(t); got != `23 "x";21 "\x01\x00";` {
		t.Errorf("it says %s", got)
	}
	if _, _, err := c.session.Open(c.sealOne(nil, typeAlert, []byte{1, 0})); !errors.Is(err, io.EOF) {
		t.Errorf("close_notify is %v", err)
	}
	c.session.Close()
	if r.in.secret != [48]byte{} || r.out.secret != [48]byte{} || r.live != nil || cache.newcomers[0] != nil {
		t.Error("something is left")
	}
}

// Every suite: what one end seals the other one opens, in place, without an allocation.
func TestOwn_Suites(t *testing.T) {
	for id, s := range suites {
		secret := half{}
		for i := range s.hashed {
			secret.secret[i] = byte(i + 1)
		}
		a := records{suite: s, out: secret, limit: keyRecords}
		b := records{suite: s, in: secret, limit: keyRecords}
		msg, buf := bytes.Repeat([]byte("m"), 128), []byte(nil)
		turn := func() {
			buf = a.seal(buf[:0], typeApplication, msg)
			if plain, reply, err := b.open(nil, buf); err != nil || len(reply) > 0 || !bytes.Equal(plain, msg) {
				t.Fatalf("%x: %q, %v", id, plain, err)
			}
		}
		turn()
		if n := testing.AllocsPerRun(100, turn); n > 0 {
			t.Errorf("%x: %v allocations", id, n)
		}
	}
}
