package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"edgeloop/auth"
)

// rsaKey takes a while to make, so tests share one.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

type member = map[string]any

// jwkOf is a public key as a set has it, with further members.
func jwkOf(t testing.TB, public crypto.PublicKey, more member) member {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString
	var m member
	switch k := public.(type) {
	case *rsa.PublicKey:
		m = member{"kty": "RSA", "n": text(k.N.Bytes()), "e": text([]byte{byte(k.E >> 16), byte(k.E >> 8), byte(k.E)})}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point)/2 + 1
		m = member{"kty": "EC", "crv": k.Curve.Params().Name, "x": text(point[1:half]), "y": text(point[half:])}
	case ed25519.PublicKey:
		m = member{"kty": "OKP", "crv": "Ed25519", "x": text(k)}
	}
	maps.Copy(m, more)
	return m
}

func setOf(t testing.TB, keys ...member) string {
	t.Helper()
	b, err := json.Marshal(member{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// signKid signs a token for device d whose header names kid, if that is not empty.
func signKid(t testing.TB, method jwt.SigningMethod, key any, kid string) []byte {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "d"})
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Each key of a set checks tokens of one algorithm, that of its kty, crv and alg, and of
// no other, whatever the header of a token asks for.
func TestKeySet_OneAlgorithmAKey(t *testing.T) {
	seed := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	ec256, ec384, ec521 := newEC(t, elliptic.P256()), newEC(t, elliptic.P384()), newEC(t, elliptic.P521())
	methods := map[string]struct {
		method jwt.SigningMethod
		key    crypto.Signer
	}{
		"RS256": {jwt.SigningMethodRS256, rsaKey()}, "RS384": {jwt.SigningMethodRS384, rsaKey()}, "RS512": {jwt.SigningMethodRS512, rsaKey()},
		"PS256": {jwt.SigningMethodPS256, rsaKey()}, "PS384": {jwt.SigningMethodPS384, rsaKey()}, "PS512": {jwt.SigningMethodPS512, rsaKey()},
		"ES256": {jwt.SigningMethodES256, ec256}, "ES384": {jwt.SigningMethodES384, ec384}, "ES512": {jwt.SigningMethodES512, ec521},
		"EdDSA": {jwt.SigningMethodEdDSA, seed},
	}
	for alg, m := range methods {
		v := newVerifier(t, auth.Config{KeySetFile: writeFile(t, 0o644, setOf(t, jwkOf(t, m.key.Public(), member{"kid": "k", "alg": alg, "use": "sig", "key_ops": []string{"verify"}})))})
		for other, o := range methods {
			_, err := v.Verify(signKid(t, o.method, o.key, "k"))
			if (err == nil) != (alg == other) {
				t.Errorf("a key of %s and a token of %s: %v", alg, other, err)
			}
		}
	}
	// Without an alg it is the curve's, and of an RSA key RS256.
	for alg, m := range methods {
		v := newVerifier(t, auth.Config{KeySetFile: writeFile(t, 0o644, setOf(t, jwkOf(t, m.key.Public(), nil)))})
		_, err := v.Verify(signKid(t, m.method, m.key, ""))
		plain := alg == "RS256" || (m.key != crypto.Signer(rsaKey()))
		if (err == nil) != plain {
			t.Errorf("a key without an alg and a token of %s: %v", alg, err)
		}
	}
}

// The kid chooses; without one a token is taken only where one key of the set fits.
func TestKeySet_KidChooses(t *testing.T) {
	a, b, c := newES256(t), newES256(t), newES256(t)
	for _, tt := range []struct {
		what string
		set  []member
		key  *ecdsa.PrivateKey
		kid  string
		ok   bool
	}{
		{"its own kid", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"}), jwkOf(t, &b.PublicKey, member{"kid": "b"})}, b, "b", true},
		{"another's kid", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"}), jwkOf(t, &b.PublicKey, member{"kid": "b"})}, b, "a", false},
		{"the kid of nobody", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"})}, a, "x", false},
		{"the kid of nobody, for a key without one", []member{jwkOf(t, &a.PublicKey, nil)}, a, "x", false},
		{"a kid that is a path", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"})}, a, "../../../../dev/null", false},
		{"no kid, and one key that fits", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"}), jwkOf(t, &rsaKey().PublicKey, member{"kid": "r"})}, a, "", true},
		{"no kid, and two keys that fit", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"}), jwkOf(t, &b.PublicKey, member{"kid": "b"})}, a, "", false},
		{"no kid, and two keys without one", []member{jwkOf(t, &a.PublicKey, nil), jwkOf(t, &b.PublicKey, nil)}, a, "", false},
		{"its thumbprint", []member{jwkOf(t, &a.PublicKey, nil), jwkOf(t, &b.PublicKey, nil)}, b, thumbprint(t, b), true},
		{"a key that is not there", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"})}, c, "a", false},
		{"a kid in capitals", []member{jwkOf(t, &a.PublicKey, member{"kid": "a"})}, a, "A", false},
	} {
		v := newVerifier(t, auth.Config{KeySetFile: writeFile(t, 0o644, setOf(t, tt.set...))})
		for range 2 { // the second may come from what is remembered
			if _, err := v.Verify(signKid(t, jwt.SigningMethodES256, tt.key, tt.kid)); (err == nil) != tt.ok {
				t.Errorf("%s: %v", tt.what, err)
			}
		}
	}
}

// Whole sets that are refused, and keys that are left out of one.
func TestKeySet_Refuses(t *testing.T) {
	k, good := newES256(t), newES256(t)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec, r := &k.PublicKey, &rsaKey().PublicKey
	fine := jwkOf(t, &good.PublicKey, member{"kid": "good"})
	for what, bad := range map[string]member{
		"RSA of 1024 bits":              jwkOf(t, &short.PublicKey, nil),
		"RSA with exponent 1":           jwkOf(t, r, member{"e": "AQ"}),
		"RSA with an even exponent":     jwkOf(t, r, member{"e": "AQAC"}),
		"RSA with a huge exponent":      jwkOf(t, r, member{"e": "AQAAAAE"}),
		"RSA with a huge modulus":       jwkOf(t, r, member{"n": strings.Repeat("_", 1400)}),
		"RSA with padding":              jwkOf(t, r, member{"e": "AQAB="}),
		"RSA without n":                 jwkOf(t, r, member{"n": nil}),
		"RSA with alg HS256":            jwkOf(t, r, member{"alg": "HS256"}),
		"RSA with alg none":             jwkOf(t, r, member{"alg": "none"}),
		"RSA with alg ES256":            jwkOf(t, r, member{"alg": "ES256"}),
		"RSA for encryption":            jwkOf(t, r, member{"use": "enc"}),
		"RSA with alg RSA-OAEP":         jwkOf(t, r, member{"alg": "RSA-OAEP"}),
		"EC that signs only":            jwkOf(t, ec, member{"key_ops": []string{"sign"}}),
		"EC with key_ops that are text": jwkOf(t, ec, member{"key_ops": "verify"}),
		"EC of another curve":           jwkOf(t, ec, member{"crv": "P-384"}),
		"EC of a curve with alg ES384":  jwkOf(t, ec, member{"alg": "ES384"}),
		"EC of secp256k1":               jwkOf(t, ec, member{"crv": "secp256k1"}),
		"EC with a point off the curve": jwkOf(t, ec, member{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}),
		"EC with a short x":             jwkOf(t, ec, member{"x": "AQ"}),
		"OKP of X25519":                 {"kty": "OKP", "crv": "X25519", "x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
		"OKP that is short":             {"kty": "OKP", "crv": "Ed25519", "x": "AQ"},
		"a secret":                      {"kty": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte(testSecret)), "alg": "HS256"},
		"a kind of nobody":              {"kty": "AKP"},
		"no kind":                       {},
		"kid that is a number":          jwkOf(t, ec, member{"kid": 7}),
		"kid without end":               jwkOf(t, ec, member{"kid": strings.Repeat("k", 257)}),
	} {
		if _, err := auth.New(auth.Config{KeySetFile: writeFile(t, 0o644, setOf(t, bad))}); err == nil {
			t.Errorf("a set of nothing but %s is taken", what)
		}
		v := newVerifier(t, auth.Config{KeySetFile: writeFile(t, 0o644, setOf(t, bad, fine))})
		if _, left, err := v.Load(); err != nil || len(left) != 1 {
			t.Errorf("%s: left out %q, %v", what, left, err)
		}
		if _, err := v.Verify(signKid(t, jwt.SigningMethodES256, good, "good")); err != nil {
			t.Errorf("%s spoils the key beside it: %v", what, err)
		}
		if _, err := v.Verify(signKid(t, jwt.SigningMethodHS256, []byte(testSecret), "")); err == nil {
			t.Errorf("%s: a set brings a secret", what)
		}
	}
	for what, text := range map[string]string{
		"no JSON": "{", "an array": "[]", "no keys": `{}`, "an empty list": `{"keys":[]}`, "keys that are text": `{"keys":["a"]}`,
		"a private key":   setOf(t, fine, jwkOf(t, ec, member{"d": "AQ"})),
		"a kid twice":     setOf(t, jwkOf(t, ec, member{"kid": "good"}), fine),
		"too many keys":   `{"keys":[` + strings.Repeat("{},", 64) + `{}]}`,
		"too many octets": `{"keys":[]}` + strings.Repeat(" ", auth.MaxKeySet),
	} {
		if _, err := auth.New(auth.Config{KeySetFile: writeFile(t, 0o644, text)}); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if _, err := auth.New(auth.Config{KeySetFile: writeFile(t, 0o666, setOf(t, fine))}); err == nil {
		t.Error("a file that everybody may write is taken")
	}
}

// Headers that would have a checker fetch or take keys, or skip the check.
func TestKeySet_HeadersOfAttackers(t *testing.T) {
	mine, evil := newES256(t), newES256(t)
	public := setOf(t, jwkOf(t, &rsaKey().PublicKey, member{"kid": "r"}), jwkOf(t, &mine.PublicKey, member{"kid": "e"}))
	v := newVerifier(t, auth.Config{KeySetFile: writeFile(t, 0o644, public), SecretFile: writeFile(t, 0o600, testSecret)})
	refused := func(what string, token []byte, want error) {
		t.Helper()
		if _, err := v.Verify(token); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	with := func(method jwt.SigningMethod, key any, header member) []byte {
		token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "d"})
		maps.Copy(token.Header, header)
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(text)
	}
	refused("none", with(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, member{"kid": "r"}), auth.ErrAlgorithm)
	for _, none := range []string{"None", "NONE", "nOnE", ""} {
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + none + `","kid":"r"}`))
		refused(none, []byte(head+"."+base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"d"}`))+"."), auth.ErrAlgorithm)
	}
	pem := publicPEM(t, &rsaKey().PublicKey)
	for what, secret := range map[string]string{"PEM": pem, "PEM without its last line break": strings.TrimSpace(pem), "set": public, "modulus": string(rsaKey().N.Bytes()), "nothing": ""} {
		refused("HS256 with the public key as its secret: "+what, with(jwt.SigningMethodHS256, []byte(secret), member{"kid": "r"}), auth.ErrSignature)
	}
	self := jwkOf(t, &evil.PublicKey, member{"kid": "e"})
	for name, value := range (member{"jwk": self, "jku": "http://127.0.0.1:1/certs", "x5u": "http://127.0.0.1:1/cert", "x5c": []string{"AAAA"}, "x5t": "AAAA"}) {
		refused("a key of its own, "+name, with(jwt.SigningMethodES256, evil, member{"kid": "e", name: value}), auth.ErrSignature)
		if _, err := v.Verify(with(jwt.SigningMethodES256, mine, member{"kid": "e", name: value})); err != nil {
			t.Errorf("a good token that has %s as well: %v", name, err)
		}
	}
	for _, crit := range []any{[]string{"exp"}, []string{}, nil, "b64", []string{"b64"}} {
		refused("crit", with(jwt.SigningMethodES256, mine, member{"kid": "e", "crit": crit}), auth.ErrMalformed)
	}
	for _, kid := range []any{7, nil, true, []string{"e"}} {
		refused("a kid that is no string", with(jwt.SigningMethodES256, mine, member{"kid": kid}), auth.ErrMalformed)
	}
	refused("a kid without end", with(jwt.SigningMethodES256, mine, member{"kid": strings.Repeat("k", auth.MaxToken)}), auth.ErrMalformed)
	half := with(jwt.SigningMethodES256, mine, member{"kid": "e"})
	refused("half a signature", half[:len(half)-42], auth.ErrSignature)
	refused("no signature", half[:strings.LastIndexByte(string(half), '.')+1], auth.ErrSignature)
	der, err := ecdsa.SignASN1(rand.Reader, mine, sum256(half[:strings.LastIndexByte(string(half), '.')]))
	if err != nil {
		t.Fatal(err)
	}
	refused("a signature in DER", fmt.Append(half[:strings.LastIndexByte(string(half), '.')+1:strings.LastIndexByte(string(half), '.')+1], base64.RawURLEncoding.EncodeToString(der)), auth.ErrSignature)
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	refused("a signature of zeros", fmt.Append(half[:strings.LastIndexByte(string(half), '.')+1:strings.LastIndexByte(string(half), '.')+1], zero), auth.ErrSignature)
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
