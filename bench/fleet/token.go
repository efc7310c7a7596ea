package fleet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
)

// signer makes HS256 device tokens. Not safe for concurrent use: one per loop.
type signer struct {
	mac     hash.Hash
	tenant  []byte // JSON string
	expires int64  // Unix seconds
	sum     [sha256.Size]byte
	claims  []byte
}

func newSigner(secret []byte, tenant string, expires int64) (*signer, error) {
	quoted, err := json.Marshal(tenant)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", tenant, err)
	}
	return &signer{mac: hmac.New(sha256.New, secret), tenant: quoted, expires: expires}, nil
}

// append adds the token of device, whose name must need no JSON escape.
func (s *signer) append(dst, device []byte) []byte {
	s.claims = append(s.claims[:0], `{"sub":"`...)
	s.claims = append(s.claims, device...)
	s.claims = append(s.claims, `","tenant":`...)
	s.claims = append(s.claims, s.tenant...)
	s.claims = append(s.claims, `,"exp":`...)
	s.claims = strconv.AppendInt(s.claims, s.expires, 10)
	s.claims = append(s.claims, '}')

	begin := len(dst)
	dst = append(dst, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."...) // {"alg":"HS256","typ":"JWT"}
	dst = base64.RawURLEncoding.AppendEncode(dst, s.claims)
	s.mac.Reset()
	s.mac.Write(dst[begin:])
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, s.mac.Sum(s.sum[:0]))
}
