package crew

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// SignToken is a device's token, signed with HS256.
func SignToken(secret []byte, device string) string {
	b64 := base64.RawURLEncoding
	claims := fmt.Sprintf(`{"sub":%q,"tenant":"default","exp":%d}`, device, time.Now().Add(time.Hour).Unix())
	signed := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

// StrangersToken looks like a token of ES256 and is signed by nobody whom the node
// knows: it has to try its keys to find out.
func StrangersToken() (string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	claims := fmt.Sprintf(`{"sub":"x-bad","tenant":"default","exp":%d}`, time.Now().Add(time.Hour).Unix())
	signed := b64.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + b64.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64.EncodeToString(sig), nil
}
