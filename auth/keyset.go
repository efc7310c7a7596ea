package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MaxKeySet is the length of the longest JSON Web Key Set, in bytes.
	MaxKeySet = 1 << 20

	maxSetKeys = 64
	maxKeyName = 256
	maxRSA     = 8192 // bits; the time of a check grows with their square
)

// errPrivate: whoever can read the set can sign tokens.
var errPrivate = errors.New("it holds a private key (a member d), which nobody must publish: replace the key, and give its public half alone")

// parseKeySet reads a JSON Web Key Set [RFC7517 5]. Keys that are for something else, or
// of a kind that is not supported, are left out, as the RFC wants it; left says why, one
// line a key. A set without a key that can be used is an error, and so is one that holds
// a private key, or two keys of one name and algorithm.
func parseKeySet(b []byte) (keys []key, left []string, err error) {
	var set struct {
		Keys []claimSet `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	if len(set.Keys) > maxSetKeys {
		return nil, nil, fmt.Errorf("it holds %d keys, allowed are up to %d", len(set.Keys), maxSetKeys)
	}
	for i, members := range set.Keys {
		k, err := members.key()
		if errors.Is(err, errPrivate) {
			return nil, nil, err
		}
		if err != nil {
			left = append(left, fmt.Sprintf("key %d (kid %q): %v", i+1, cut(k.name, 32), err))
			continue
		}
		if slices.ContainsFunc(keys, func(other key) bool { return other.algorithm == k.algorithm && other.name == k.name && k.name != "" }) {
			return nil, nil, fmt.Errorf("two %s keys have the kid %q", k.algorithm, cut(k.name, 32))
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, left, fmt.Errorf("it holds no key that signs tokens: needed is one of kty RSA, EC or OKP, with use sig or none; left out: %q", left)
	}
	return keys, left, nil
}

// key reads one JSON Web Key. What it is for is the set's word alone: kty, crv and alg
// give the one algorithm that it checks, whatever a token says. An error says why it is
// left out.
func (s claimSet) key() (k key, err error) {
	var kty, use, algorithm string
	err = errors.Join(s.text("kid", &k.name), s.text("kty", &kty), s.text("use", &use), s.text("alg", &algorithm))
	if err != nil {
		return k, err
	}
	if _, private := s["d"]; private && kty != "oct" {
		return k, errPrivate
	}
	name := k.name
	switch {
	case len(name) > maxKeyName:
		return k, fmt.Errorf("its kid is %d bytes, allowed are up to %d", len(name), maxKeyName)
	case use != "" && use != "sig": // [RFC7517 4.2]
		return k, fmt.Errorf("its use is %q, not sig", cut(use, 16))
	case !s.verifies():
		return k, errors.New("its key_ops are without verify")
	}
	switch kty {
	case "RSA":
		k, err = s.rsaKey(algorithm)
	case "EC":
		k, err = s.ecKey(algorithm)
	case "OKP":
		k, err = s.okpKey(algorithm)
	default: // oct too: a secret belongs in the secret file
		err = fmt.Errorf("its kty is %q, supported are RSA, EC and OKP", cut(kty, 16))
	}
	k.name, k.set = name, true
	return k, err
}

// verifies reports whether the key is for checking signatures. [RFC7517 4.3]
func (s claimSet) verifies() bool {
	claim, there := s["key_ops"]
	if !there {
		return true
	}
	ops, ok := claim.([]any)
	return ok && slices.Contains(ops, any("verify"))
}

// rsaMethods are the algorithms of RSA keys. RS256 is that of a key that names none:
// some publishers leave it out.
var rsaMethods = map[string]jwt.SigningMethod{
	"":      jwt.SigningMethodRS256,
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": jwt.SigningMethodPS256, "PS384": jwt.SigningMethodPS384, "PS512": jwt.SigningMethodPS512,
}

func (s claimSet) rsaKey(algorithm string) (key, error) {
	method, ok := rsaMethods[algorithm]
	if !ok {
		return key{}, fmt.Errorf("its alg is %q, an RSA key takes RS256, RS384, RS512, PS256, PS384 and PS512", cut(algorithm, 16))
	}
	n, err := s.bytes("n")
	if err != nil {
		return key{}, err
	}
	e, err := s.bytes("e")
	if err != nil {
		return key{}, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < minRSA || bits > maxRSA || modulus.Bit(0) == 0 {
		return key{}, fmt.Errorf("its modulus has %d bits, allowed are odd ones of %d to %d", bits, minRSA, maxRSA)
	}
	if bits := exponent.BitLen(); bits < 2 || bits > 31 || exponent.Bit(0) == 0 {
		return key{}, errors.New("its exponent is out of range: allowed are odd ones of 3 to 2^31-1")
	}
	return publicKey(method, &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}), nil
}

// curves are those of EC keys, each with its one algorithm. [RFC7518 3.4]
var curves = map[string]struct {
	curve  elliptic.Curve
	method jwt.SigningMethod
}{
	"P-256": {elliptic.P256(), jwt.SigningMethodES256},
	"P-384": {elliptic.P384(), jwt.SigningMethodES384},
	"P-521": {elliptic.P521(), jwt.SigningMethodES512},
}

func (s claimSet) ecKey(algorithm string) (key, error) {
	var crv string
	if err := s.text("crv", &crv); err != nil {
		return key{}, err
	}
	c, ok := curves[crv]
	if !ok {
		return key{}, fmt.Errorf("its crv is %q, supported are P-256, P-384 and P-521", cut(crv, 16))
	}
	if algorithm != "" && algorithm != c.method.Alg() {
		return key{}, fmt.Errorf("its alg is %q, a key of %s takes %s", cut(algorithm, 16), crv, c.method.Alg())
	}
	x, err := s.bytes("x")
	if err != nil {
		return key{}, err
	}
	y, err := s.bytes("y")
	if err != nil {
		return key{}, err
	}
	if size := (c.curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size { // [RFC7518 6.2.1.2]
		return key{}, fmt.Errorf("its x and y have %d and %d bytes, %s takes %d", len(x), len(y), crv, size)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(c.curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return key{}, fmt.Errorf("its point is not on %s", crv)
	}
	return publicKey(c.method, public), nil
}

// okpKey reads an Ed25519 key. [RFC8037 2]
func (s claimSet) okpKey(algorithm string) (key, error) {
	var crv string
	if err := s.text("crv", &crv); err != nil {
		return key{}, err
	}
	if crv != "Ed25519" {
		return key{}, fmt.Errorf("its crv is %q, supported is Ed25519", cut(crv, 16))
	}
	if algorithm != "" && algorithm != jwt.SigningMethodEdDSA.Alg() {
		return key{}, fmt.Errorf("its alg is %q, a key of Ed25519 takes EdDSA", cut(algorithm, 16))
	}
	x, err := s.bytes("x")
	if err != nil {
		return key{}, err
	}
	if len(x) != ed25519.PublicKeySize {
		return key{}, fmt.Errorf("its x has %d bytes, Ed25519 takes %d", len(x), ed25519.PublicKeySize)
	}
	return publicKey(jwt.SigningMethodEdDSA, ed25519.PublicKey(x)), nil
}

// bytes reads a member in base64url without padding. [RFC7515 2]
func (s claimSet) bytes(name string) ([]byte, error) {
	text, ok := s[name].(string)
	if !ok || text == "" {
		return nil, fmt.Errorf("its %s is missing", name)
	}
	b, err := appendSegment(nil, []byte(text))
	if err != nil {
		return nil, fmt.Errorf("its %s is not base64url without padding", name)
	}
	return b, nil
}

// readKeySet reads a file with a JSON Web Key Set.
func readKeySet(path string) (keys []key, left []string, err error) {
	b, err := readFileUpTo(MaxKeySet, path, "key set file", othersMayNotWrite)
	if err != nil {
		return nil, nil, err
	}
	if keys, left, err = parseKeySet(b); err != nil {
		return nil, nil, fmt.Errorf("key set file %s: %w", path, err)
	}
	return keys, left, nil
}
