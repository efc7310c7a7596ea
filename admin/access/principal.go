package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"
)

// MinToken is the shortest token that is taken, in bytes, whatever the file holds
// the hash of.
const MinToken = 16

// Hash is what is kept of a token.
type Hash [sha256.Size]byte

// HashOf is the hash of a token.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

// Principal is who holds a token, and what it allows.
type Principal struct {
	Name    string
	Hash    Hash
	Scopes  Scopes
	Tenant  string    // the only tenant that it sees and commands; "": all
	Expires time.Time // zero: never
}

// Own is the principal of a token of the node's own, which may do everything.
func Own(name, token string) Principal {
	return Principal{Name: name, Hash: HashOf(token), Scopes: AllScopes}
}

// Expired says whether the principal's time is over.
func (p *Principal) Expired(now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

// Equal says whether both allow the same to the same token.
func (p *Principal) Equal(other *Principal) bool {
	return p.Name == other.Name && p.Hash == other.Hash && p.Scopes == other.Scopes &&
		p.Tenant == other.Tenant && p.Expires.Equal(other.Expires)
}

// Find is the index of the principal of a token, or -1. It looks at all of them, and
// compares hashes, which have one length: so the time it takes says nothing about
// any token, its length included.
func Find[T any](all []T, principal func(*T) *Principal, token string) int {
	if len(token) < MinToken {
		return -1
	}
	sent, found := HashOf(token), -1
	for i := range all {
		is := subtle.ConstantTimeCompare(sent[:], principal(&all[i]).Hash[:])
		found = subtle.ConstantTimeSelect(is, i, found)
	}
	return found
}
