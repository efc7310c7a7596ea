package tlsrec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// A suite of TLS 1.3. [RFC8446 B.4]
type suite struct {
	hash   func() hash.Hash
	hashed int // bytes of a hash, and of a secret
	key    int
	aead   func(key []byte) (cipher.AEAD, error)
}

var suites = map[uint16]*suite{
	tls.TLS_AES_128_GCM_SHA256:       {sha256.New, sha256.Size, 16, newGCM},
	tls.TLS_AES_256_GCM_SHA384:       {sha512.New384, sha512.Size384, 32, newGCM},
	tls.TLS_CHACHA20_POLY1305_SHA256: {sha256.New, sha256.Size, chacha20poly1305.KeySize, chacha20poly1305.New},
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err //nolint:wrapcheck // a key of another length, which there is not
	}
	return cipher.NewGCM(block) //nolint:wrapcheck // as above
}

const ivLen = 12

// sealer is one direction's cipher.
type sealer struct {
	aead  cipher.AEAD
	iv    [ivLen]byte
	mixed [ivLen]byte // scratch: what nonce returns
}

// nonce is what a record is sealed with, valid until the next one. [RFC8446 5.3]
func (s *sealer) nonce(seq uint64) []byte {
	s.mixed = s.iv
	low := s.mixed[ivLen-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^seq)
	return s.mixed[:]
}

// ciphers are what secrets become when the connection speaks.
type ciphers struct{ in, out sealer }

func (s *suite) ciphers(in, out *half) *ciphers {
	return &ciphers{in: s.sealer(in), out: s.sealer(out)}
}

func (s *suite) sealer(h *half) (c sealer) {
	key := s.expand(h, "key", s.key)
	c.aead, _ = s.aead(key) // the length is right
	clear(key)
	copy(c.iv[:], s.expand(h, "iv", ivLen))
	return c
}

// expand is HKDF-Expand-Label with an empty context. [RFC8446 7.1]
func (s *suite) expand(h *half, label string, n int) []byte {
	const prefix = "tls13 "
	info := []byte{byte(n >> 8), byte(n), byte(len(prefix) + len(label))}
	info = append(append(append(info, prefix...), label...), 0)
	out, err := hkdf.Expand(s.hash, h.secret[:s.hashed], string(info), n)
	if err != nil {
		panic("tlsrec: " + err.Error()) // more than 255 hashes were asked for
	}
	return out
}

// advance makes the next secret out of this one, which is gone then. [RFC8446 7.2]
func (s *suite) advance(h *half) {
	next := s.expand(h, "traffic upd", s.hashed)
	copy(h.secret[:], next)
	clear(next)
	h.seq = 0
}
