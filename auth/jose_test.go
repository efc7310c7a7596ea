package auth_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"edgeloop/auth"
)

var joseAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// joseTakes is the verdict of go-jose, which shares no line with golang-jwt and our
// reading of sets: its set, its parser, its check, with the key that the header names.
func joseTakes(set string, token []byte) bool {
	var keys jose.JSONWebKeySet
	if json.Unmarshal([]byte(set), &keys) != nil {
		return false
	}
	parsed, err := jose.ParseSigned(string(token), joseAlgorithms)
	if err != nil || len(parsed.Signatures) != 1 {
		return false
	}
	header := parsed.Signatures[0].Header
	return slices.ContainsFunc(keys.Keys, func(k jose.JSONWebKey) bool {
		if header.KeyID != "" && k.KeyID != header.KeyID || k.Use == "enc" || k.Algorithm != "" && k.Algorithm != header.Algorithm {
			return false
		}
		_, err := parsed.Verify(k.Key)
		return err == nil
	})
}

// Sets and tokens as they should be, and each with one byte changed, thousands of times:
// what is taken go-jose takes too, and what go-jose takes of a good set is taken, but for
// a second form of the same base64.
func TestKeySet_AgreesWithGoJose(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	seed := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for alg, c := range map[string]struct {
		method jwt.SigningMethod
		key    crypto.Signer
	}{
		"RS256": {jwt.SigningMethodRS256, rsaKey()}, "PS256": {jwt.SigningMethodPS256, rsaKey()}, "RS512": {jwt.SigningMethodRS512, rsaKey()},
		"ES256": {jwt.SigningMethodES256, newEC(t, elliptic.P256())}, "ES384": {jwt.SigningMethodES384, newEC(t, elliptic.P384())},
		"ES512": {jwt.SigningMethodES512, newEC(t, elliptic.P521())}, "EdDSA": {jwt.SigningMethodEdDSA, seed},
	} {
		one := jwkOf(t, c.key.Public(), member{"kid": "k", "alg": alg, "use": "sig"})
		set := setOf(t, one, jwkOf(t, &newES256(t).PublicKey, member{"kid": "other"}))
		v := newVerifier(t, auth.Config{AskKeys: func() bool { return false }})
		if _, _, err := v.SetKeys([]byte(set)); err != nil {
			t.Fatal(err)
		}
		token := signKid(t, c.method, c.key, "k")
		if _, err := v.Verify(token); err != nil || !joseTakes(set, token) {
			t.Fatalf("%s: a good token: %v", alg, err)
		}
		taken := 0
		for range 300 {
			changed := changeByte(random, token)
			_, err := v.Verify(changed)
			if theirs := joseTakes(set, changed); (err == nil) != theirs && (err == nil || !errors.Is(err, auth.ErrMalformed)) {
				t.Errorf("%s: token %s: %v, go-jose takes it: %v", alg, changed, err, theirs)
			}
		}
		lone := []byte(setOf(t, one)) // go-jose refuses a set for one bad key in it
		for range 300 {
			changed := string(changeByte(random, lone))
			v := newVerifier(t, auth.Config{AskKeys: func() bool { return false }})
			_, _, _ = v.SetKeys([]byte(changed))
			if _, err := v.Verify(token); err == nil {
				taken++
				if !joseTakes(changed, token) {
					t.Errorf("%s: set %s: taken, and go-jose does not take it", alg, changed)
				}
			}
		}
		if taken == 0 {
			t.Errorf("%s: no changed set was taken: nothing was compared", alg)
		}
	}
}

// changeByte puts another byte of the alphabet of JSON and base64 somewhere.
func changeByte(random *rand.Rand, b []byte) []byte {
	const with = `ABCxyz019-_.{}[]",: =`
	changed := slices.Clone(b)
	changed[random.IntN(len(b))] = with[random.IntN(len(with))]
	return changed
}
