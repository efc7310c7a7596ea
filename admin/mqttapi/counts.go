package mqttapi

import "sync/atomic"

// Refused says why an application was not let in.
type Refused uint8

// The reasons.
const (
	refusedToken       Refused = iota // its token has expired
	refusedScope                      // the token does not allow it
	refusedTenant                     // the token is of another tenant
	refusedPlain                      // the token was shown to the network
	refusedWill                       // it wants to publish
	refusedID                         // its client identifier is too long
	refusedConnections                // as many connections as may be
	refusedSessions                   // as many kept sessions as may be
	refusedGroups                     // as many groups of shared subscriptions as may be; a filter, not a client
	NumRefused         = iota
)

// String is the reason in metrics.
func (r Refused) String() string {
	return [NumRefused]string{"token", "scope", "tenant", "not-encrypted", "will", "client-id", "too-many-connections", "too-many-sessions", "too-many-groups"}[r]
}

// counts are those of a server, atomic.
type counts struct {
	refused [NumRefused]atomic.Uint64
	sent    atomic.Uint64
	large   atomic.Uint64
	panics  atomic.Uint64

	heldBack    atomic.Int64 // groups, now
	heldTooLong atomic.Uint64
}

// Stats are the counters since New, and present values.
type Stats struct {
	Connections int
	Groups      int // of shared subscriptions, that have members
	Refused     [NumRefused]uint64
	Sent        uint64 // messages, again or for the first time
	TooLarge    uint64 // messages that a client takes none of that size of
	Panics      uint64
	HeldBack    int    // groups that wait for a member to acknowledge, beyond MaxGroupAhead
	HeldTooLong uint64 // members that were ended for that
}

// Stats returns the counters. Any goroutine may call it.
func (s *Server) Stats() Stats {
	st := Stats{Sent: s.counts.sent.Load(), TooLarge: s.counts.large.Load(), Panics: s.counts.panics.Load()}
	st.HeldBack, st.HeldTooLong = int(s.counts.heldBack.Load()), s.counts.heldTooLong.Load()
	for i := range st.Refused {
		st.Refused[i] = s.counts.refused[i].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Connections, st.Groups = s.present, len(s.groups)
	return st
}
