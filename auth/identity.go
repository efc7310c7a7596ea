package auth

import "time"

// DefaultTenant is the tenant of a token that names none.
const DefaultTenant = "default"

// Identity is who a device is and what it may do. It belongs to the caller, who should
// keep no more of it than needed: equal Rights are shared between tokens, the rest is
// this token's alone.
type Identity struct {
	Tenant  string
	Device  string
	TokenID string    // claim jti, "" if none
	Issued  time.Time // claim iat, zero if none
	Expires time.Time // until when the token is taken: exp and the leeway; zero = for good
	Rights  *Rights   // nil = everything
	// ByCertificate: no token was shown, a certificate says all of this.
	ByCertificate bool
}

// Rights are what a device may do. They are shared between tokens and never written; nil
// allows everything.
type Rights struct {
	Topics   *Patterns // on which it may publish
	Groups   *Patterns // that it may join
	Commands *Patterns // the names of those that it may get
}

// MayPublish says whether the device may publish on a topic, borrowed until return. A message
// without one needs the pattern "#". It does not allocate.
func (r *Rights) MayPublish(topic []byte) bool { return r == nil || r.Topics.Allow(topic) }

// MayJoin says whether the device may be in a group, whose name is borrowed until return.
func (r *Rights) MayJoin(group []byte) bool { return r == nil || r.Groups.Allow(group) }

// MayGet says whether a command of that name, borrowed until return, may be sent to the device.
func (r *Rights) MayGet(command []byte) bool { return r == nil || r.Commands.Allow(command) }

// MayGetNone says that no command at all may be.
func (r *Rights) MayGetNone() bool { return r != nil && r.Commands != nil && len(*r.Commands) == 0 }

// Patterns are patterns as described at CheckPatterns. What is asked for must match one of
// them. Shared, never written.
type Patterns []string

// Allow reports whether name, borrowed until return, matches one of the patterns; the empty
// one matches "#" alone. Nil allows every name. It does not allocate.
func (t *Patterns) Allow(name []byte) bool {
	if t == nil {
		return true
	}
	for _, pattern := range *t {
		if pattern == "#" || (len(name) > 0 && topicMatches(pattern, name)) {
			return true
		}
	}
	return false
}
