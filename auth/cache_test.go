package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"edgeloop/auth"
	"edgeloop/internal/invariants"
)

// clock is a time that a test moves.
type clock struct{ seconds atomic.Int64 }

func (c *clock) now() time.Time { return noon.Add(time.Duration(c.seconds.Load()) * time.Second) }

// signer signs tokens with a key whose public half the verifier trusts: the
// cache is for these.
type signer struct{ key ed25519.PrivateKey }

func newSigner(t testing.TB, cfg auth.Config) (*auth.Verifier, signer) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg.PublicKeyFile = writeFile(t, 0o644, publicPEM(t, public))
	return newVerifier(t, cfg), signer{private}
}

func (s signer) sign(t testing.TB, claims jwt.MapClaims) []byte {
	t.Helper()
	return sign(t, jwt.SigningMethodEdDSA, s.key, claims)
}

// A device reconnects with the token that it had: no second signature check,
// until the token expires.
func TestCache_ExpiryCountsOnHits(t *testing.T) {
	var c clock
	v, s := newSigner(t, auth.Config{Now: c.now})
	token := s.sign(t, jwt.MapClaims{"sub": "a", "exp": noon.Unix() + 10})
	first, err := v.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	c.seconds.Store(9)
	again, err := v.Verify(token)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("got %v, want the same identity again (-first +again):\n%s", err, diff)
	}
	if s := v.Stats(); s.CacheHits != 1 || s.Checked != 1 || s.Cached != 1 {
		t.Errorf("stats %+v, want one hit, one check, one cached", s)
	}
	c.seconds.Store(10)
	if _, err := v.Verify(token); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v from the cache at expiry, want ErrExpired", err)
	}
	if s := v.Stats(); s.Cached != 0 {
		t.Errorf("an expired token stays cached: %+v", s)
	}
	if _, err := v.Verify(token); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v after that, want ErrExpired", err)
	}
}

// Ten times as many devices as the cache has room for: it stays within its
// bound and the answers stay right.
func TestCache_IsBounded(t *testing.T) {
	const size = 64
	v, s := newSigner(t, auth.Config{CacheSize: size})
	for round := range 2 {
		for i := range 10 * size {
			device := fmt.Sprintf("d%d", i)
			id, err := v.Verify(s.sign(t, jwt.MapClaims{"sub": device}))
			if err != nil || id.Device != device {
				t.Fatalf("round %d: got %v, %v, want %s", round, id, err, device)
			}
		}
	}
	if s := v.Stats(); s.Cached > size || s.Cached < size/2 {
		t.Errorf("%d tokens cached, want about and at most %d", s.Cached, size)
	}
}

// Strangers cannot fill the cache with what was refused.
func TestCache_KeepsNothingRefused(t *testing.T) {
	v, _ := newSigner(t, auth.Config{})
	_, stranger := newSigner(t, auth.Config{})
	for i := range 100 {
		token := stranger.sign(t, jwt.MapClaims{"sub": fmt.Sprint(i)})
		if _, err := v.Verify(token); !errors.Is(err, auth.ErrSignature) {
			t.Fatalf("got %v, want ErrSignature", err)
		}
	}
	if s := v.Stats(); s.Cached != 0 || s.Refused != 100 {
		t.Errorf("stats %+v, want nothing cached and 100 refused", s)
	}
}

// What a connect costs here: the identity and its texts, and the token's parts.
func TestAllocs_Verify(t *testing.T) {
	if invariants.Race {
		t.Skip("under the race detector a sync.Pool forgets at random")
	}
	v := newVerifier(t, auth.Config{})
	topic := []byte("b/c/d")
	for want, claims := range map[float64]jwt.MapClaims{
		2: {"sub": "pump-1", "exp": noon.Unix() + 10},
		4: {"sub": "pump-1", "tenant": "acme", "exp": noon.Unix() + 10, "jti": "t1", "topics": []string{"a/+", "b/#"}},
	} {
		token := signHS256(t, claims)
		if n := testing.AllocsPerRun(1000, func() {
			if id, err := v.Verify(token); err != nil || !id.Rights.MayPublish(topic) {
				t.Fatal("a good token was refused")
			}
		}); n > want {
			t.Errorf("%v: %v allocations, want %v", claims, n, want)
		}
	}
}

// A secret's tokens are checked each time, and nothing of them is kept but one
// list of topics for all that say the same.
func TestVerifier_KeepsNothingOfSecrets(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	var first *auth.Identity
	for i := range 10 {
		id, err := v.Verify(signHS256(t, jwt.MapClaims{"sub": fmt.Sprint("d", i), "topics": []string{"a/+", "b/#"}, "join_groups": []string{"g"}}))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = id
		}
		if id.Rights != first.Rights {
			t.Errorf("device %d has a list of topics of its own", i)
		}
	}
	if s := v.Stats(); s.Cached != 0 || s.Checked != 10 {
		t.Errorf("stats %+v, want nothing cached and 10 checked", s)
	}
}

// More different lists of topics than are kept: each token still gets its own.
func TestVerifier_ManyLists(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	for i := range 3000 {
		topic := fmt.Sprint("t", i)
		id, err := v.Verify(signHS256(t, jwt.MapClaims{"sub": "a", "topics": []string{topic}}))
		if err != nil || !id.Rights.MayPublish([]byte(topic)) || id.Rights.MayPublish([]byte("t")) {
			t.Fatalf("list %d: got %v, %v", i, id, err)
		}
	}
	if n := auth.Lists(v); n > 1024 {
		t.Errorf("%d lists kept, want at most 1024", n)
	}
}

// Devices verify while keys are reloaded. The race
// detector watches; no answer may be wrong.
func TestVerifier_Concurrent(t *testing.T) {
	v := newVerifier(t, auth.Config{CacheSize: 32})
	const devices, rounds = 100, 20
	tokens := make([][]byte, devices)
	for i := range tokens {
		tokens[i] = signHS256(t, jwt.MapClaims{"sub": fmt.Sprintf("d%d", i)})
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := range rounds * devices {
				i := (n*7 + worker) % devices
				id, err := v.Verify(tokens[i])
				if err != nil || id.Device != fmt.Sprintf("d%d", i) {
					t.Errorf("device %d: got %v, %v", i, id, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if err := v.Reload(); err != nil {
				t.Error(err)
			}
			v.Stats()
		}
	})
	wg.Wait()
}

func BenchmarkVerifier_Verify(b *testing.B) {
	exp := noon.Unix() + 10
	elliptic, s := newSigner(b, auth.Config{})
	for _, bench := range []struct {
		name  string
		v     *auth.Verifier
		token []byte
	}{
		{"HS256", newVerifier(b, auth.Config{}), signHS256(b, jwt.MapClaims{"sub": "pump-1", "tenant": "acme", "exp": exp})},
		{"HS256,topics", newVerifier(b, auth.Config{}), signHS256(b, jwt.MapClaims{"sub": "pump-1", "exp": exp, "topics": []string{"a/+", "b/#"}})},
		{"HS256,unusual", newVerifier(b, auth.Config{}), signHS256(b, jwt.MapClaims{"sub": "pump-1", "exp": exp, "unknown": true})},
		{"EdDSA,cached", elliptic, s.sign(b, jwt.MapClaims{"sub": "pump-1", "exp": exp})},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.v.Verify(bench.token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
