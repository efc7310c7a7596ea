package gateway

import (
	"hash/fnv"
	"io"
	"math"

	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// reasonRevoked goes with CloseTokenExpired, and with a refusal.
const reasonRevoked = "the token was revoked"

// A connection ends when its token is revoked. No message asks for that: the revocation is
// in force for handshakes and newer tokens first, and then Revoke looks at every link once.
// So a link has one word of its token: when it was issued, and 31 bits of a hash of its
// id. Two ids with one hash cost a reconnect, at which the whole id is asked for.

// markOf is that word; 0: the device has shown no token.
func markOf(id *auth.Identity) uint64 {
	if id.ByCertificate {
		return 0
	}
	issued := min(max(issuedOf(id), 0), math.MaxUint32)
	return uint64(issued)<<32 | uint64(hashOf(id.TokenID)) | markSet //nolint:gosec // bounded here
}

// markSet tells a token without id and time from none; a bit of the hash.
const markSet = 1

// hashOf never has the bit of markSet.
func hashOf(tokenID string) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, tokenID)
	return h.Sum32() &^ markSet
}

func issuedOf(id *auth.Identity) int64 {
	if id.Issued.IsZero() {
		return 0
	}
	return id.Issued.Unix()
}

// revoked reports whether the token that a device has shown is taken back; id may be nil.
func (g *Gateway) revoked(id *auth.Identity) bool {
	return id != nil && !id.ByCertificate && g.store.Revoked(id.Tenant, id.Device, id.TokenID, issuedOf(id))
}

// Revoke closes the connections whose tokens r takes back, with 4401, and says how many they
// were. r must be in force. Any goroutine; it takes as long as a walk over the devices of the
// tenant, or of the node.
func (g *Gateway) Revoke(r *backbone.Revocation) (closed int) {
	end := func(s *Session) bool {
		if l := linkOf(s); l != nil && l.flags.Load()>>closeShift == 0 && covers(r, l.mark.Load()) {
			l.Close(uint16(eventloop.CloseTokenExpired), reasonRevoked)
			closed++
		}
		return true
	}
	if r.Device == "" {
		g.devices.Range(r.Tenant, end)
	} else if s := g.devices.Lookup(devicemgr.Key{Tenant: r.Tenant, Device: r.Device}); s != nil {
		end(s)
	}
	g.counts.revoked.Add(uint64(closed)) //nolint:gosec // positive
	return closed
}

// covers reports whether r is about the token with that mark.
func covers(r *backbone.Revocation, mark uint64) bool {
	if mark == 0 {
		return false
	}
	if r.TokenID != "" {
		return uint32(mark)&^markSet == hashOf(r.TokenID) //nolint:gosec // the low half
	}
	return int64(mark>>32) < r.Before //nolint:gosec // 32 bits
}
