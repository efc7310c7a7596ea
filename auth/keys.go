package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

const (
	minSecret     = 32 // bytes, RFC 7518 3.2: as long as the hash
	minRSA        = 2048
	maxPublicKeys = 16
	// maxNameless bounds the nameless keys of one algorithm, and so the checks that a
	// bad token costs.
	maxNameless = 4

	algorithmHS256 = "HS256"
)

// key is one trusted key. Its kind alone decides the algorithm; a token's header only
// chooses among keys, so it cannot turn a public key into an HMAC secret, nor ask for
// the algorithm none.
type key struct {
	// Immutable after construction.
	algorithm string
	name      string            // from its PEM header "kid", or ""
	print     string            // its thumbprint [RFC7638]; "" for a secret
	method    jwt.SigningMethod // nil for HS256
	public    any               // as method wants it
	macs      *sync.Pool        // of hash.Hash, HMAC states of the secret; nil except for HS256
	set       bool              // it is of a key set, which says by kid who has signed
}

// is reports whether a token means this key by kid.
func (k *key) is(algorithm, kid string) bool {
	return k.algorithm == algorithm && (k.name == kid || k.print == kid)
}

// matches reports whether signature is this key's signature of signed.
func (k *key) matches(signed, signature []byte) bool {
	if k.method != nil {
		return k.method.Verify(string(signed), signature, k.public) == nil
	}
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.Reset()
	m.Write(signed)
	return hmac.Equal(m.Sum(m.sum[:0]), signature)
}

// mac is a hash with room for its sum, which would be allocated for each token otherwise.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

func newSecretKey(secret []byte) key {
	return key{
		algorithm: algorithmHS256,
		macs:      &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }},
	}
}

// loadKeys reads the keys in the files. left says which keys of a set are not used.
func loadKeys(cfg Config) (keys []key, left []string, err error) {
	if cfg.SecretFile != "" {
		secrets, err := withPrevious(cfg.SecretFile, readSecret)
		if err != nil {
			return nil, nil, err
		}
		for _, secret := range secrets {
			keys = append(keys, newSecretKey(secret))
		}
	}
	if cfg.PublicKeyFile != "" {
		public, err := readPublicKeys(cfg.PublicKeyFile)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, public...)
	}
	if cfg.KeySetFile != "" {
		var set []key
		if set, left, err = readKeySet(cfg.KeySetFile); err != nil {
			return nil, nil, err
		}
		keys = append(keys, set...)
	}
	return keys, left, nil
}

// readSecret reads a secret file. It drops white space at the ends, which editors and
// echo leave.
func readSecret(path string) ([]byte, error) {
	b, err := readFile(path, "secret file", othersMayNot)
	if err != nil {
		return nil, err
	}
	b = bytes.TrimSpace(b)
	if bytes.HasPrefix(b, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("secret file %s holds PEM: a public key belongs in the public key file", path)
	}
	if len(b) < minSecret {
		return nil, fmt.Errorf("secret file %s holds %d bytes, HS256 needs %d or more: make one with \"openssl rand -base64 32\"", path, len(b), minSecret)
	}
	return b, nil
}

func readPublicKeys(path string) ([]key, error) {
	rest, err := readFile(path, "public key file", othersMayNotWrite)
	if err != nil {
		return nil, err
	}
	var keys []key
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		k, err := parsePublicKey(block)
		if err != nil {
			return nil, fmt.Errorf("public key file %s: %w", path, err)
		}
		if err := checkNames(keys, &k); err != nil {
			return nil, fmt.Errorf("public key file %s: %w", path, err)
		}
		if keys = append(keys, k); len(keys) > maxPublicKeys {
			return nil, fmt.Errorf("public key file %s holds more than %d keys", path, maxPublicKeys)
		}
	}
	switch {
	case len(keys) == 0:
		return nil, fmt.Errorf("public key file %s holds no PEM block: make one with \"openssl pkey -in PRIVATE.pem -pubout\"", path)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("public key file %s has data after its last PEM block", path)
	}
	return keys, nil
}

// checkNames checks that k differs from the keys before it.
func checkNames(keys []key, k *key) error {
	nameless := 0
	for i := range keys {
		switch other := &keys[i]; {
		case other.algorithm != k.algorithm:
		case k.name != "" && other.name == k.name:
			return fmt.Errorf("two %s keys have the name %q", k.algorithm, k.name)
		case other.name == "" && k.name == "":
			nameless++
		}
	}
	if nameless >= maxNameless {
		return fmt.Errorf("more than %d %s keys have no name, and every bad token is tried with each of them: after BEGIN, give the others a line \"kid: NAME\" and an empty line, with the kid of the tokens that they sign", maxNameless, k.algorithm)
	}
	return nil
}

// parsePublicKey reads one key, its kid included.
func parsePublicKey(block *pem.Block) (key, error) {
	k, err := parseKey(block)
	k.name = block.Headers["kid"]
	return k, err
}

func parseKey(block *pem.Block) (key, error) {
	var (
		public any
		err    error
	)
	switch {
	case strings.Contains(block.Type, "PRIVATE"):
		return key{}, fmt.Errorf("it holds a private key, which a node must not have: use \"openssl pkey -in PRIVATE.pem -pubout\"")
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return key{}, fmt.Errorf("PEM block %q is not supported: allowed are PUBLIC KEY and RSA PUBLIC KEY", block.Type)
	}
	if err != nil {
		return key{}, fmt.Errorf("parse %s: %w", block.Type, err)
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return key{}, fmt.Errorf("elliptic curve %s is not supported: ES256 takes P-256", k.Curve.Params().Name)
		}
		return publicKey(jwt.SigningMethodES256, k), nil
	case ed25519.PublicKey:
		return publicKey(jwt.SigningMethodEdDSA, k), nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA {
			return key{}, fmt.Errorf("RSA key of %d bits is too short: RS256 takes %d or more", bits, minRSA)
		}
		return publicKey(jwt.SigningMethodRS256, k), nil
	}
	return key{}, fmt.Errorf("key kind %T is not supported: allowed are P-256, Ed25519 and RSA", public)
}

func publicKey(method jwt.SigningMethod, public any) key {
	return key{algorithm: method.Alg(), print: thumbprint(public), method: method, public: public}
}

// thumbprint is the name of a key without a given one [RFC7638 3].
func thumbprint(public any) string {
	text := base64.RawURLEncoding.EncodeToString
	var canonical string
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			return ""
		}
		half := len(point)/2 + 1
		canonical = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Curve.Params().Name, text(point[1:half]), text(point[half:]))
	case ed25519.PublicKey:
		canonical = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":%q}`, text(k))
	case *rsa.PublicKey:
		canonical = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, text(big.NewInt(int64(k.E)).Bytes()), text(k.N.Bytes()))
	}
	sum := sha256.Sum256([]byte(canonical))
	return text(sum[:])
}
