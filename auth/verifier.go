package auth

import (
	"errors"
	"time"
)

// Config says which keys are trusted. At least one of the two files is needed.
type Config struct {
	// SecretFile holds the secret of HS256 tokens: 32 bytes or more, taken as
	// they are but for white space at the ends.
	SecretFile string
	// PublicKeyFile holds one or more PEM public keys: P-256 for ES256, Ed25519
	// for EdDSA, RSA of 2048 bits or more for RS256.
	PublicKeyFile string
	// CacheSize is how many verified tokens are remembered (default 131072).
	// Too small: reconnecting devices cost a signature check each.
	CacheSize int
	// MaxRevocations bounds the revocation set (default 65536).
	MaxRevocations int
	// Leeway is the clock skew allowed for exp and nbf (default 0).
	Leeway time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
}

// Verifier checks tokens.
type Verifier struct {
	// Immutable after construction.
	cfg Config
}

// New reads the key files.
func New(cfg Config) (*Verifier, error) { return &Verifier{cfg: cfg}, nil }

// Verify checks a token. token is borrowed until return; the Identity is
// shared, never written. A token seen before costs a hash and no allocation.
// The error wraps one of the Err… sentinels.
func (v *Verifier) Verify(token []byte) (*Identity, error) { return nil, ErrSignature }

// Reload reads the key files again and forgets every verified token. On an
// error the old keys stay in force.
func (v *Verifier) Reload() error { return nil }

// Revocation takes the right to connect from a token (TokenID) or from a device
// (Device, in Tenant), until a time or, if that is zero, for good.
type Revocation struct {
	Tenant, Device string
	TokenID        string
	Until          time.Time
}

// Revoke puts r in force at once for tokens still to be verified, cached or not.
// Connections already open are the caller's to close: see IsRevoked.
func (v *Verifier) Revoke(r Revocation) error { return errors.New("auth: not built yet") }

// Restore lifts a revocation; it reports whether it was in force.
func (v *Verifier) Restore(r Revocation) bool { return false }

// IsRevoked reports whether id's token or device is revoked.
func (v *Verifier) IsRevoked(id *Identity) bool { return false }
