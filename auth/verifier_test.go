package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"edgeloop/auth"
)

// noon is when tests take place.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const testSecret = "0123456789abcdef0123456789abcdef"

func writeFile(t testing.TB, mode os.FileMode, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

// newVerifier trusts testSecret; the clock stands at noon unless cfg has one.
func newVerifier(t testing.TB, cfg auth.Config) *auth.Verifier {
	t.Helper()
	if cfg.SecretFile == "" && cfg.PublicKeyFile == "" && cfg.KeySetFile == "" && cfg.AskKeys == nil {
		cfg.SecretFile = writeFile(t, 0o600, testSecret+"\n")
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return noon }
	}
	v, err := auth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.Claims) []byte {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(token)
}

func signHS256(t testing.TB, claims jwt.MapClaims) []byte {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(testSecret), claims)
}

func publicPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestVerifier_Verify(t *testing.T) {
	soon := noon.Add(time.Hour)
	v := newVerifier(t, auth.Config{})
	got, err := v.Verify(signHS256(t, jwt.MapClaims{
		"sub": "pump-1", "tenant": "acme", "exp": soon.Unix(), "nbf": noon.Unix(), "iat": noon.Unix(),
		"topics": []string{"temp/+", "state/#"}, "join_groups": []string{"pumps"}, "commands": []string{}, "jti": "t1", "unknown": map[string]any{"a": 1},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := &auth.Identity{Tenant: "acme", Device: "pump-1", TokenID: "t1", Issued: noon, Expires: soon, Rights: &auth.Rights{
		Topics: &auth.Patterns{"temp/+", "state/#"}, Groups: &auth.Patterns{"pumps"}, Commands: &auth.Patterns{},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	got, err = v.Verify(signHS256(t, jwt.MapClaims{"sub": "pump-1"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&auth.Identity{Tenant: "default", Device: "pump-1"}, got); diff != "" {
		t.Errorf("the least a token can say (-want +got):\n%s", diff)
	}
}

func TestVerifier_RefusesClaims(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	tests := []struct {
		name   string
		claims jwt.MapClaims
		want   error
	}{
		{"no sub", jwt.MapClaims{}, auth.ErrClaims},
		{"sub with a slash", jwt.MapClaims{"sub": "a/b"}, auth.ErrClaims},
		{"sub that is a number", jwt.MapClaims{"sub": 1}, auth.ErrClaims},
		{"sub in capitals", jwt.MapClaims{"SUB": "a"}, auth.ErrClaims},
		{"empty tenant", jwt.MapClaims{"sub": "a", "tenant": ""}, auth.ErrClaims},
		{"tenant null", jwt.MapClaims{"sub": "a", "tenant": nil}, auth.ErrClaims},
		{"expired this second", jwt.MapClaims{"sub": "a", "exp": noon.Unix()}, auth.ErrExpired},
		{"exp as text", jwt.MapClaims{"sub": "a", "exp": "2099"}, auth.ErrClaims},
		{"exp null", jwt.MapClaims{"sub": "a", "exp": nil}, auth.ErrClaims},
		{"exp 0", jwt.MapClaims{"sub": "a", "exp": 0}, auth.ErrClaims},
		{"exp in milliseconds", jwt.MapClaims{"sub": "a", "exp": noon.UnixMilli() * 1000}, auth.ErrClaims},
		{"not yet valid", jwt.MapClaims{"sub": "a", "nbf": noon.Unix() + 1}, auth.ErrNotYet},
		{"iat as text", jwt.MapClaims{"sub": "a", "iat": "now"}, auth.ErrClaims},
		{"topics as text", jwt.MapClaims{"sub": "a", "topics": "temp"}, auth.ErrClaims},
		{"topics null", jwt.MapClaims{"sub": "a", "topics": nil}, auth.ErrClaims},
		{"groups as text", jwt.MapClaims{"sub": "a", "join_groups": "pumps"}, auth.ErrClaims},
		{"commands null", jwt.MapClaims{"sub": "a", "commands": nil}, auth.ErrClaims},
		{"commands of numbers", jwt.MapClaims{"sub": "a", "commands": []int{1}}, auth.ErrClaims},
		{"a bad pattern", jwt.MapClaims{"sub": "a", "topics": []string{"a#"}}, auth.ErrClaims},
		{"jti too long", jwt.MapClaims{"sub": "a", "jti": strings.Repeat("x", 257)}, auth.ErrClaims},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if id, err := v.Verify(signHS256(t, tt.claims)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v, want %v", id, err, tt.want)
			}
		})
	}
	if got := v.Stats(); got.Cached != 0 || got.Refused != uint64(len(tests)) {
		t.Errorf("stats %+v, want nothing cached and %d refused", got, len(tests))
	}
}

func TestVerifier_Leeway(t *testing.T) {
	v := newVerifier(t, auth.Config{Leeway: 2 * time.Second})
	for _, claims := range []jwt.MapClaims{
		{"sub": "a", "exp": noon.Unix() - 1},
		{"sub": "a", "nbf": noon.Unix() + 2},
	} {
		if _, err := v.Verify(signHS256(t, claims)); err != nil {
			t.Errorf("%v: %v", claims, err)
		}
	}
	// A device let in late may stay as long.
	if id, err := v.Verify(signHS256(t, jwt.MapClaims{"sub": "a", "exp": noon.Unix() - 1})); err != nil || !id.Expires.Equal(noon.Add(time.Second)) {
		t.Errorf("got %+v, %v, want an end at noon and a second", id, err)
	}
	if _, err := v.Verify(signHS256(t, jwt.MapClaims{"sub": "a", "exp": noon.Unix() - 2})); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v, want ErrExpired", err)
	}
}

// A token that is for others is refused, and where it must name the node or its maker, so
// is one that does not. [RFC7519 4.1.1] [RFC7519 4.1.3]
func TestVerifier_AudienceAndIssuer(t *testing.T) {
	anybody := auth.Config{}
	named := auth.Config{Audiences: []string{"edge", "https://edge.example"}}
	issued := auth.Config{Issuers: []string{"https://id.example", "plant"}}
	for _, tt := range []struct {
		name   string
		cfg    auth.Config
		claims jwt.MapClaims
		want   error
	}{
		{"neither", anybody, jwt.MapClaims{}, nil},
		{"an audience, and the node has no name", anybody, jwt.MapClaims{"aud": "edge"}, auth.ErrClaims},
		{"an empty list, and the node has no name", anybody, jwt.MapClaims{"aud": []string{}}, auth.ErrClaims},
		{"any issuer", anybody, jwt.MapClaims{"iss": "https://else.example"}, nil},
		{"an issuer that is no text", anybody, jwt.MapClaims{"iss": 1}, auth.ErrClaims},
		{"for the node", named, jwt.MapClaims{"aud": "edge"}, nil},
		{"for the node among others", named, jwt.MapClaims{"aud": []string{"billing", "https://edge.example"}}, nil},
		{"for others", named, jwt.MapClaims{"aud": []string{"billing", "Edge"}}, auth.ErrClaims},
		{"for nobody", named, jwt.MapClaims{}, auth.ErrClaims},
		{"for an empty name", named, jwt.MapClaims{"aud": ""}, auth.ErrClaims},
		{"an audience of numbers", named, jwt.MapClaims{"aud": []any{"edge", 1}}, auth.ErrClaims},
		{"an audience that is null", named, jwt.MapClaims{"aud": nil}, auth.ErrClaims},
		{"of an issuer that is trusted", issued, jwt.MapClaims{"iss": "plant"}, nil},
		{"of another", issued, jwt.MapClaims{"iss": "plant2"}, auth.ErrClaims},
		{"of nobody", issued, jwt.MapClaims{}, auth.ErrClaims},
		{"of an empty name", issued, jwt.MapClaims{"iss": ""}, auth.ErrClaims},
	} {
		tt.claims["sub"] = "a"
		v := newVerifier(t, tt.cfg)
		for range 2 {
			if _, err := v.Verify(signHS256(t, tt.claims)); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}

// A token is taken in exactly one spelling: three parts of base64url without
// padding, line breaks or idle bits.
func TestVerifier_RefusesMalformed(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	good := string(signHS256(t, jwt.MapClaims{"sub": "a"}))
	if _, err := v.Verify([]byte(good)); err != nil {
		t.Fatal(err)
	}
	header, rest, _ := strings.Cut(good, ".")
	crit := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","crit":["x"]}`))
	for name, token := range map[string]string{
		"empty":        "",
		"one part":     header,
		"two parts":    header + "." + strings.Split(rest, ".")[0],
		"four parts":   good + ".x",
		"padding":      good + "=",
		"a line break": good + "\n",
		"no header":    "." + rest,
		"header null":  base64.RawURLEncoding.EncodeToString([]byte("null")) + "." + rest,
		"not JSON":     base64.RawURLEncoding.EncodeToString([]byte("{")) + "." + rest,
		"critical":     crit + "." + rest,
		"too long":     good + strings.Repeat("A", auth.MaxToken),
	} {
		if _, err := v.Verify([]byte(token)); !errors.Is(err, auth.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
	for i := range good {
		if good[i] == '.' {
			continue
		}
		other := []byte(good)
		other[i] ^= 1
		if _, err := v.Verify(other); err == nil {
			t.Errorf("a token with byte %d changed was accepted", i)
		}
	}
}

// keyPairs is one key of each kind that a public key file may hold.
func keyPairs(t testing.TB) map[jwt.SigningMethod]crypto.Signer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[jwt.SigningMethod]crypto.Signer{
		jwt.SigningMethodES256: ec, jwt.SigningMethodEdDSA: ed, jwt.SigningMethodRS256: rs,
	}
}

func TestVerifier_PublicKeys(t *testing.T) {
	pairs := keyPairs(t)
	var all string
	for _, pair := range pairs {
		all += publicPEM(t, pair.Public())
	}
	v := newVerifier(t, auth.Config{PublicKeyFile: writeFile(t, 0o644, all), SecretFile: writeFile(t, 0o600, testSecret)})
	claims := jwt.MapClaims{"sub": "a"}
	for method, pair := range pairs {
		if _, err := v.Verify(sign(t, method, pair, claims)); err != nil {
			t.Errorf("%s: %v", method.Alg(), err)
		}
		alone := newVerifier(t, auth.Config{PublicKeyFile: writeFile(t, 0o644, publicPEM(t, pair.Public()))})
		for other, otherPair := range pairs {
			_, err := alone.Verify(sign(t, other, otherPair, claims))
			if (err == nil) != (other == method) {
				t.Errorf("a node that trusts a key for %s says %v to %s", method.Alg(), err, other.Alg())
			}
		}
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(sign(t, jwt.SigningMethodES256, stranger, claims)); !errors.Is(err, auth.ErrSignature) {
		t.Errorf("a stranger's key: got %v, want ErrSignature", err)
	}
}

// The attacks of RFC 8725: no algorithm, the public key's text as an HMAC
// secret, other lengths of the same family.
func TestVerifier_AlgorithmIsTheKeys(t *testing.T) {
	pairs := keyPairs(t)
	rs := pairs[jwt.SigningMethodRS256]
	text := publicPEM(t, rs.Public())
	der, err := x509.MarshalPKIXPublicKey(rs.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := newVerifier(t, auth.Config{PublicKeyFile: writeFile(t, 0o644, text)})
	secret := newVerifier(t, auth.Config{})
	claims := jwt.MapClaims{"sub": "a"}
	for name, tt := range map[string]struct {
		v     *auth.Verifier
		token []byte
	}{
		"none":                           {secret, sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims)},
		"none where keys are public":     {public, sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims)},
		"HMAC with the public key's PEM": {public, sign(t, jwt.SigningMethodHS256, []byte(text), claims)},
		"HMAC with the public key's DER": {public, sign(t, jwt.SigningMethodHS256, der, claims)},
		"HS512 with the right secret":    {secret, sign(t, jwt.SigningMethodHS512, []byte(testSecret), claims)},
		"PS256 with the right key":       {public, sign(t, jwt.SigningMethodPS256, rs, claims)},
		"RS512 with the right key":       {public, sign(t, jwt.SigningMethodRS512, rs, claims)},
	} {
		if _, err := tt.v.Verify(tt.token); !errors.Is(err, auth.ErrAlgorithm) {
			t.Errorf("%s: got %v, want ErrAlgorithm", name, err)
		}
	}
}

func TestVerifier_Reload(t *testing.T) {
	path := writeFile(t, 0o600, testSecret)
	v := newVerifier(t, auth.Config{SecretFile: path})
	token := signHS256(t, jwt.MapClaims{"sub": "a"})
	if _, err := v.Verify(token); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.Reload(); err == nil {
		t.Error("Reload took a secret of 5 bytes")
	}
	if _, err := v.Verify(token); err != nil {
		t.Errorf("after a Reload that failed the old key must stay in force: %v", err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(token); !errors.Is(err, auth.ErrSignature) {
		t.Errorf("a cached token outlived its key: got %v, want ErrSignature", err)
	}
}

func TestSign(t *testing.T) {
	path := writeFile(t, 0o600, testSecret)
	token, err := auth.Sign(path, auth.Claims{
		Tenant: "acme", Device: "a", TokenID: "t", IssuedAt: noon, NotBefore: noon, Expires: noon.Add(time.Second), Topics: []string{"#"}, Groups: []string{}, Commands: []string{"get/+"},
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := newVerifier(t, auth.Config{}).Verify([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	want := &auth.Identity{Tenant: "acme", Device: "a", TokenID: "t", Issued: noon, Expires: noon.Add(time.Second), Rights: &auth.Rights{
		Topics: &auth.Patterns{"#"}, Groups: &auth.Patterns{}, Commands: &auth.Patterns{"get/+"},
	}}
	if diff := cmp.Diff(want, id); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	for name, c := range map[string]auth.Claims{
		"no device":  {},
		"bad tenant": {Device: "a", Tenant: "a b"},
		"bad topic":  {Device: "a", Topics: []string{"#/a"}},
		"bad group":  {Device: "a", Groups: []string{""}},
		"bad name":   {Device: "a", Commands: []string{"a+"}},
	} {
		if token, err := auth.Sign(path, c); err == nil {
			t.Errorf("%s: made a token that nobody accepts: %s", name, token)
		}
	}
}

func ExampleSign() {
	dir, _ := os.MkdirTemp("", "")
	defer func() { _ = os.RemoveAll(dir) }()
	secret, created, _ := auth.EnsureSecret(dir)
	token, _ := auth.Sign(secret, auth.Claims{Device: "pump-1", Topics: []string{"temp/#"}})
	v, _ := auth.New(auth.Config{SecretFile: secret})
	id, _ := v.Verify([]byte(token))
	fmt.Println(created, id.Tenant, id.Device, id.Rights.MayPublish([]byte("temp/out")), id.Rights.MayPublish([]byte("door")))
	// Output: true default pump-1 true false
}
