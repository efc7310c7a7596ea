package tlsrec

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"slices"
)

// How the secrets come out of crypto/tls: as the lines of a key log, which a Config writes
// for each connection. One global lock is held meanwhile: copy, and return.

// secrets are what a handshake has told of the application keys. It is the KeyLogWriter of
// one handshake alone.
type secrets struct {
	client, server [48]byte
	lengths        [2]int
	late           []byte // what was sent once the server's was known
}

// telling has the handshakes by cfg tell their secrets, where they are of TLS 1.3: by a
// Config of their own, which the tls.Conn keeps. That of an older version shares cfg.
func telling(cfg *tls.Config) {
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		p, ok := hello.Conn.(*pipe)
		if !ok || p.secrets == nil || !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
			return nil, nil
		}
		own := cfg.Clone()
		own.KeyLogWriter = p.secrets
		return own, nil
	}
}

var labels = [2][]byte{[]byte("CLIENT_TRAFFIC_SECRET_0 "), []byte("SERVER_TRAFFIC_SECRET_0 ")}

// Write takes one line: label, the client's random, secret.
func (s *secrets) Write(line []byte) (int, error) {
	for i, to := range [2]*[48]byte{&s.client, &s.server} {
		if !bytes.HasPrefix(line, labels[i]) {
			continue
		}
		text := bytes.TrimSpace(line[bytes.LastIndexByte(bytes.TrimSpace(line), ' ')+1:])
		if len(text) <= 2*len(to) {
			s.lengths[i], _ = hex.Decode(to[:], text)
		}
	}
	return len(line), nil
}

// wrote hears of what the handshake sends. Tickets go under the application key, behind
// other records or alone.
func (s *secrets) wrote(b []byte) {
	if s.lengths[1] > 0 {
		s.late = append(s.late, b...)
	}
}

// sent counts the records that the handshake itself has sent under the application key.
// Which they are is not guessed but tried, because a count that is off by one would have
// a nonce used twice. ok is false where they are not the last ones. c opens them.
func (s *secrets) sent(c *sealer) (seq uint64, ok bool) {
	ok = true
	for b := s.late; len(b) > 0; {
		n := Cut(b)
		if n == 0 {
			return 0, false
		}
		_, err := c.aead.Open(nil, c.nonce(seq), b[headerLen:n], b[:headerLen])
		if err == nil {
			seq++
		} else if seq > 0 {
			ok = false
		}
		b = b[n:]
	}
	return seq, ok
}

// own is the record layer that goes on where the handshake ended; nil where it cannot.
func (s *secrets) own(st *tls.ConnectionState) *records {
	suite := suites[st.CipherSuite]
	if st.Version != tls.VersionTLS13 || suite == nil || s.lengths != [2]int{suite.hashed, suite.hashed} {
		return nil
	}
	r := &records{suite: suite, in: half{secret: s.client}, out: half{secret: s.server}, limit: keyRecords}
	r.live = suite.ciphers(&r.in, &r.out) // for what the peer says first, too
	var ok bool
	if r.out.seq, ok = s.sent(&r.live.out); !ok {
		return nil
	}
	return r
}

func (s *secrets) wipe() { *s = secrets{} }
