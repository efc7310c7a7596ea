package backbone_test

import (
	"sync/atomic"
	"testing"

	"edgeloop/backbone"
)

// Nodes that share servers agree on what is taken back, and each is told, so that it can
// close its connections.
func TestRevocations_ReachOtherNodes(t *testing.T) {
	ext := startExternal(t)
	var heard atomic.Int32
	one := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	two := open(t, backbone.Config{NATSURL: ext.url, Node: "two", OnRevoke: func(r backbone.Revocation) {
		if r.Device == "d" {
			heard.Add(1)
		}
	}})
	r, err := one.Revoke(t.Context(), backbone.Revocation{Tenant: "acme", Device: "d", Before: 100})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the revocation on the other node", func() bool { return two.Revoked("acme", "d", "", 99) && heard.Load() == 1 })
	if lifted, err := two.LiftRevocation(t.Context(), r.ID()); !lifted || err != nil {
		t.Fatal(lifted, err)
	}
	eventually(t, "the end of it on the first", func() bool { return !one.Revoked("acme", "d", "", 99) })
}
