package auth

import "time"

// DefaultTenant is the tenant of a token that names none.
const DefaultTenant = "default"

// Identity is who a device is and what it may do. It belongs to the caller, who should
// keep no more of it than needed: equal Topics are shared between tokens, the rest is
// this token's alone.
type Identity struct {
	Tenant  string
	Device  string
	TokenID string    // claim jti, "" if none
	Issued  time.Time // claim iat, zero if none
	Expires time.Time // until when the token is taken: exp and the leeway; zero = for good
	Topics  *Topics   // nil = every topic
	// ByCertificate: no token was shown, a certificate says all of this.
	ByCertificate bool
}

// Topics are patterns as described at CheckTopics. A topic must match one of them.
// Shared, never written.
type Topics []string

// Allow reports whether topic, borrowed until return, may be published on. A
// message without a topic needs the pattern "#". Nil allows every topic. It
// does not allocate.
func (t *Topics) Allow(topic []byte) bool {
	if t == nil {
		return true
	}
	for _, pattern := range *t {
		if pattern == "#" || (len(topic) > 0 && topicMatches(pattern, topic)) {
			return true
		}
	}
	return false
}
