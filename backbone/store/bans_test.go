package store_test

import (
	"testing"
	"time"

	"edgeloop/backbone/store"
)

func TestBans_AreKept(t *testing.T) {
	dir := t.TempDir()
	b := open(t, config{DataDir: dir})
	ban(t, b, "d.1", time.Time{}, "broken")
	ban(t, b, "d.2", time.Now().Add(time.Hour), "")
	ban(t, b, "d.3", time.Time{}, "")
	if err := b.Unban(t.Context(), "acme", "d.3"); err != nil {
		t.Fatal(err)
	}
	if err := b.Ban(t.Context(), "acme", "d.4", time.Now().Add(-time.Second), ""); err == nil {
		t.Error("a ban that is over was taken")
	}
	check := func(b *node) {
		t.Helper()
		if reason, ok := b.Banned("acme", "d.1"); !ok || reason != "broken" {
			t.Errorf("Banned(d.1) = %q, %v", reason, ok)
		}
		if _, ok := b.Banned("acme", "d.3"); ok {
			t.Error("d.3 is banned though it was let in again")
		}
		if _, ok := b.Banned("other", "d.1"); ok {
			t.Error("another tenant's d.1 is banned")
		}
		if bans := b.Bans(); len(bans) != 2 || bans[0].Device != "d.1" || bans[1].Device != "d.2" {
			t.Errorf("Bans() = %+v", bans)
		}
	}
	check(b)
	closeNow(t, b)
	check(open(t, config{DataDir: dir}))
}

func TestBans_EndByThemselves(t *testing.T) {
	b := open(t, config{DataDir: t.TempDir()})
	for within := 200 * time.Millisecond; ; within *= 2 { // longer, where the machine stood still until its end
		until := time.Now().Add(within)
		err := b.Ban(t.Context(), "acme", "d", until, "")
		if _, ok := b.Banned("acme", "d"); ok {
			break
		}
		if time.Now().Before(until) {
			t.Fatalf("not banned: %v", err)
		}
	}
	eventually(t, "the ban's end", func() bool { _, ok := b.Banned("acme", "d"); return !ok })
	if bans := b.Bans(); len(bans) != 0 {
		t.Errorf("Bans() = %+v", bans)
	}
}

// A set that grows forgets what is over, but only behind its watcher.
func TestBans_SetForgetsWhatIsOver(t *testing.T) {
	var s store.BanSet
	const lifted = 3000
	for n := range lifted {
		s.Set(store.Ban{Tenant: "acme", Device: deviceName(n), Lifted: true}, uint64(n+1), n%2 == 0)
	}
	if n := s.Len(); n >= lifted {
		t.Errorf("%d of %d are kept", n, lifted)
	}
	s.Set(store.Ban{Tenant: "acme", Device: "d"}, lifted+2, false)
	s.Set(store.Ban{Tenant: "acme", Device: "d", Lifted: true}, lifted+1, true)
	if n, ok := s.Find("acme", "d"); !ok || n.Lifted {
		t.Errorf("an older lift replaced a newer ban: %+v", n)
	}
}

func ban(t *testing.T, b *node, device string, until time.Time, reason string) {
	t.Helper()
	if err := b.Ban(t.Context(), "acme", device, until, reason); err != nil {
		t.Fatal(err)
	}
}
