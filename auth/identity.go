package auth

import "time"

// DefaultTenant is the tenant of a token that names none.
const DefaultTenant = "default"

// Identity is who a device is and what it may do. It is shared, never written.
type Identity struct {
	Tenant  string
	Device  string
	TokenID string    // claim jti, "" if none
	Expires time.Time // whole seconds; zero = never
	Topics  []string  // patterns a topic must match one of; nil = every topic
}

// MayPublish reports whether topic, borrowed until return, matches one of the
// identity's patterns; CheckTopics says how. A message without a topic needs
// the pattern "#". It does not allocate.
func (id *Identity) MayPublish(topic []byte) bool {
	if id.Topics == nil {
		return true
	}
	for _, pattern := range id.Topics {
		if pattern == "#" || (len(topic) > 0 && topicMatches(pattern, topic)) {
			return true
		}
	}
	return false
}

func (id *Identity) expired(now time.Time, leeway time.Duration) bool {
	return !id.Expires.IsZero() && !now.Before(id.Expires.Add(leeway))
}
