package tricks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"strings"
)

// sealer makes records of TLS 1.3 with AES-128-GCM, whatever is in them.
type sealer struct {
	to     net.Conn
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// Kinds of records.
const (
	changeCipher = 20
	alert        = 21
	handshake    = 22
	data         = 23
)

// newSealer has the secret of a key log.
func newSealer(to net.Conn, log string) (*sealer, error) {
	for line := range strings.Lines(log) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "CLIENT_TRAFFIC_SECRET_0" {
			continue
		}
		secret, err := hex.DecodeString(fields[2])
		if err != nil {
			return nil, err
		}
		s := &sealer{to: to, secret: secret}
		return s, s.rekey()
	}
	return nil, errors.New("fault: no secret in the key log")
}

// label is HKDF-Expand-Label with an empty context. [RFC8446 7.1]
func label(secret []byte, name string, size int) ([]byte, error) {
	info := binary.BigEndian.AppendUint16(nil, uint16(size)) //nolint:gosec // small
	info = append(append(info, byte(len("tls13 "+name))), "tls13 "+name...)
	return hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
}

// rekey makes the keys of the secret.
func (s *sealer) rekey() error {
	key, err := label(s.secret, "key", 16)
	if err != nil {
		return err
	}
	if s.iv, err = label(s.secret, "iv", 12); err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	s.aead, err = cipher.NewGCM(block)
	s.seq = 0
	return err
}

// next takes the next secret, as a KeyUpdate says. [RFC8446 7.2]
func (s *sealer) next() (err error) {
	if s.secret, err = label(s.secret, "traffic upd", sha256.Size); err != nil {
		return err
	}
	return s.rekey()
}

// seal is a record that holds payload, and padding zeros.
func (s *sealer) seal(kind byte, payload []byte, padding int) []byte {
	plain := append(append(append([]byte(nil), payload...), kind), make([]byte, padding)...)
	head := binary.BigEndian.AppendUint16([]byte{data, 3, 3}, uint16(len(plain)+s.aead.Overhead())) //nolint:gosec // as long as wished
	nonce := append([]byte(nil), s.iv...)
	for i := range 8 {
		nonce[4+i] ^= byte(s.seq >> (56 - 8*i))
	}
	s.seq++
	return s.aead.Seal(head, nonce, plain, head)
}

// write writes one record.
func (s *sealer) write(kind byte, payload []byte) error {
	_, err := s.to.Write(s.seal(kind, payload, 0))
	return err
}

// keyUpdate is the message; asked: the peer is to change its own key, too. [RFC8446 4.6.3]
func keyUpdate(asked byte) []byte { return []byte{24, 0, 0, 1, asked} }
