package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"edgeloop/auth"
)

func newES256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// named gives a PEM block a name.
func named(pem, name string) string {
	head, body, _ := strings.Cut(pem, "\n")
	return head + "\nkid: " + name + "\n\n" + body
}

func signNamed(t testing.TB, k *ecdsa.PrivateKey, kid string) []byte {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "d"})
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(k)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func thumbprint(t testing.TB, k *ecdsa.PrivateKey) string {
	t.Helper()
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, text(point[1:33]), text(point[33:])))
	return text(sum[:])
}

// The kid of a token chooses its key, by the name in the file or by the thumbprint;
// a token that names none of them is tried with those that have no name.
func TestVerifier_KidChoosesTheKey(t *testing.T) {
	a, b, plain := newES256(t), newES256(t), newES256(t)
	v := newVerifier(t, auth.Config{PublicKeyFile: writeFile(t, 0o600,
		named(publicPEM(t, &a.PublicKey), "a")+named(publicPEM(t, &b.PublicKey), "b")+publicPEM(t, &plain.PublicKey))})
	for _, c := range []struct {
		what string
		key  *ecdsa.PrivateKey
		kid  string
		ok   bool
	}{
		{"its own name", a, "a", true},
		{"its own thumbprint", b, thumbprint(t, b), true},
		{"another's name", a, "b", false},
		{"the name of nobody", a, "x", false},
		{"no name, of a key with one", a, "", false},
		{"no name", plain, "", true},
		{"the name of nobody, of a key without one", plain, "issuer-7", true},
		{"its thumbprint, of a key without a name", plain, thumbprint(t, plain), true},
		{"another's name, of a key without one", plain, "a", false},
	} {
		for range 2 { // the second may come from what is remembered
			if _, err := v.Verify(signNamed(t, c.key, c.kid)); (err == nil) != c.ok || (err != nil && !errors.Is(err, auth.ErrSignature)) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
	}
	for what, content := range map[string]string{
		"five without a name": strings.Repeat(publicPEM(t, &plain.PublicKey), 5),
		"two of one name":     named(publicPEM(t, &a.PublicKey), "a") + named(publicPEM(t, &b.PublicKey), "a"),
	} {
		if _, err := auth.New(auth.Config{PublicKeyFile: writeFile(t, 0o600, content)}); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A token that no key has signed is checked once, however often its device tries.
func TestVerifier_BadTokenIsRemembered(t *testing.T) {
	good := newES256(t)
	file := writeFile(t, 0o600, publicPEM(t, &good.PublicKey))
	v := newVerifier(t, auth.Config{PublicKeyFile: file})
	bad := signNamed(t, newES256(t), "")
	for range 10 {
		if _, err := v.Verify(bad); !errors.Is(err, auth.ErrSignature) {
			t.Fatal(err)
		}
	}
	if s := v.Stats(); s.Checked != 1 || s.Refused != 10 {
		t.Errorf("%d checks for %d refusals", s.Checked, s.Refused)
	}
	if err := v.Reload(); err != nil { // its key may have come
		t.Fatal(err)
	}
	if _, err := v.Verify(bad); err == nil || v.Stats().Checked != 2 {
		t.Errorf("after new keys: %v, %d checks", err, v.Stats().Checked)
	}
}

// BenchmarkVerifier_Bad is what bad tokens cost with as many keys as there may be:
// each another one, and one that is tried again.
func BenchmarkVerifier_Bad(b *testing.B) {
	var file strings.Builder
	for i := range 16 {
		if pem := publicPEM(b, &newES256(b).PublicKey); i < 4 {
			file.WriteString(pem)
		} else {
			file.WriteString(named(pem, fmt.Sprint(i)))
		}
	}
	v := newVerifier(b, auth.Config{PublicKeyFile: writeFile(b, 0o600, file.String())})
	stranger := newES256(b)
	for _, kid := range []string{"", "7"} {
		tokens := make([][]byte, 512)
		for i := range tokens {
			tokens[i] = signNamed(b, stranger, kid)
		}
		b.Run("new/kid="+kid, func(b *testing.B) {
			for i := range b.N {
				if i%len(tokens) == 0 {
					_ = v.Reload()
				}
				_, _ = v.Verify(tokens[i%len(tokens)])
			}
		})
		b.Run("again/kid="+kid, func(b *testing.B) {
			for range b.N {
				_, _ = v.Verify(tokens[0])
			}
		})
	}
}
