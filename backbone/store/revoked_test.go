package store_test

import (
	"errors"
	"testing"
	"time"

	"edgeloop/backbone/store"
)

// revoke stores one and returns its id.
func revoke(t *testing.T, n *node, r store.Revocation) string {
	t.Helper()
	r, err := n.Revoke(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID()
}

// What a revocation covers: one token of its tenant, or those of a device, of a tenant or
// of all that were issued before; and nothing beside. It is kept over a restart.
func TestRevocations_Cover(t *testing.T) {
	dir := t.TempDir()
	n := open(t, config{DataDir: dir})
	revoke(t, n, store.Revocation{Tenant: "acme", TokenID: "stolen"})
	revoke(t, n, store.Revocation{Tenant: "acme", Device: "d1", Before: 100})
	revoke(t, n, store.Revocation{Tenant: "closed", Before: 200})
	revoke(t, n, store.Revocation{Before: 50})
	check := func(n *node) {
		t.Helper()
		for _, c := range []struct {
			tenant, device, tokenID string
			issued                  int64
			want                    bool
		}{
			{"acme", "d2", "stolen", 500, true},
			{"acme", "d2", "other", 500, false},
			{"globex", "d2", "stolen", 500, false},
			{"acme", "d2", "", 500, false},
			{"acme", "d1", "", 99, true},
			{"acme", "d1", "", 100, false},
			{"acme", "d2", "", 99, false},
			{"globex", "d1", "", 99, false},
			{"closed", "d1", "x", 199, true},
			{"closed", "d1", "x", 200, false},
			{"", "closed", "", 199, false},
			{"globex", "d9", "x", 49, true},
			{"globex", "d9", "x", 50, false},
			{"globex", "d9", "", 0, true},
		} {
			if got := n.Revoked(c.tenant, c.device, c.tokenID, c.issued); got != c.want {
				t.Errorf("Revoked(%q, %q, %q, %d) = %v", c.tenant, c.device, c.tokenID, c.issued, got)
			}
		}
		if all := n.Revocations(); len(all) != 4 {
			t.Errorf("Revocations() = %+v", all)
		}
	}
	check(n)
	closeNow(t, n)
	check(open(t, config{DataDir: dir}))
}

// A second revocation of the same does not free what the first took back; lifted, it is
// over; and one with an end ends by itself.
func TestRevocations_LiftedAndOver(t *testing.T) {
	n := open(t, config{DataDir: t.TempDir()})
	id := revoke(t, n, store.Revocation{Tenant: "acme", Device: "d", Before: 100})
	if again := revoke(t, n, store.Revocation{Tenant: "acme", Device: "d", Before: 10}); again != id || !n.Revoked("acme", "d", "", 99) {
		t.Error("an earlier time freed tokens that were taken back")
	}
	if lifted, err := n.LiftRevocation(t.Context(), id); !lifted || err != nil {
		t.Errorf("LiftRevocation = %v, %v", lifted, err)
	}
	if lifted, err := n.LiftRevocation(t.Context(), id); lifted || err != nil {
		t.Errorf("the second LiftRevocation = %v, %v", lifted, err)
	}
	if n.Revoked("acme", "d", "", 5) || len(n.Revocations()) != 0 {
		t.Error("what was lifted is in force")
	}
	revoke(t, n, store.Revocation{Tenant: "acme", Device: "d", Before: 10})
	if n.Revoked("acme", "d", "", 50) || !n.Revoked("acme", "d", "", 5) {
		t.Error("after it was lifted, a new one does not count as it says")
	}
	for within := 300 * time.Millisecond; ; within *= 2 { // longer, where the machine stood still until its end
		until := time.Now().Add(within)
		_, err := n.Revoke(t.Context(), store.Revocation{Tenant: "acme", TokenID: "x", Until: until})
		if n.Revoked("acme", "d", "x", 500) {
			break
		}
		if time.Now().Before(until) {
			t.Fatalf("a revocation with an end is not in force: %v", err)
		}
	}
	eventually(t, "its end", func() bool { return !n.Revoked("acme", "d", "x", 500) })
	if _, err := n.Revoke(t.Context(), store.Revocation{Tenant: "acme", TokenID: "y", Until: time.Now().Add(-time.Second)}); err == nil {
		t.Error("a revocation that is over was taken")
	}
}

// A full store says so, drops none for another, and takes those anew that it has.
func TestRevocations_Full(t *testing.T) {
	n := open(t, config{DataDir: t.TempDir(), Revocations: 5})
	for i := range 5 {
		revoke(t, n, store.Revocation{Tenant: "acme", TokenID: deviceName(i)})
	}
	if _, err := n.Revoke(t.Context(), store.Revocation{Tenant: "acme", TokenID: "more"}); !errors.Is(err, store.ErrRevocationsFull) {
		t.Errorf("the sixth of five: %v", err)
	}
	if n.Revoked("acme", "d", "more", 1) {
		t.Error("what was not stored is in force")
	}
	revoke(t, n, store.Revocation{Tenant: "acme", TokenID: deviceName(0), Reason: "again"})
	for i := range 5 {
		if !n.Revoked("acme", "d", deviceName(i), 1) {
			t.Errorf("token %d is no longer revoked", i)
		}
	}
}
