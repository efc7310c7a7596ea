package auth_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"edgeloop/auth"
)

// Which of two members counts depends on who reads them: a token in which a name repeats
// could be of one device here and of another one there.
func TestVerifier_RefusesNamesThatRepeat(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	const header = `{"alg":"HS256","typ":"JWT"}`
	for _, c := range []struct{ header, claims string }{
		{header, `{"sub":"a","sub":"b"}`},
		{header, `{"sub":"a","su\u0062":"b"}`},
		{header, `{"tenant":"x","sub":"a","tenant":"y"}`},
		{header, `{"sub":"a","exp":1,"exp":1795262401}`},
		{header, `{"sub":"a","topics":[],"topics":["#"]}`},
		{header, `{"sub":"a","x":1,"x":2}`},
		{`{"alg":"none","alg":"HS256"}`, `{"sub":"a"}`},
	} {
		b64 := base64.RawURLEncoding
		signed := b64.EncodeToString([]byte(c.header)) + "." + b64.EncodeToString([]byte(c.claims))
		signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		if id, err := v.Verify([]byte(signed + "." + b64.EncodeToString(signature))); !errors.Is(err, auth.ErrMalformed) {
			t.Errorf("%s: %+v, %v", c.claims, id, err)
		}
	}
}
