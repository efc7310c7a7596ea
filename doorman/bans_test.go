package doorman_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"edgeloop/doorman"
)

var rules = doorman.BanRules{Failures: 5, Window: time.Minute, Most: time.Hour, Bits6: 64}

// failUntilBanned fails until a ban begins, and says how often that was and how long it is.
func failUntilBanned(t *testing.T, b *doorman.Bans, addr netip.Addr, now time.Time) (times int, length time.Duration) {
	t.Helper()
	for times < 100 {
		times++
		if length = b.Failed(addr, now); length > 0 {
			return times, length
		}
	}
	t.Fatalf("%s is not banned after %d failures", addr, times)
	return 0, 0
}

// The first ban begins with the fifth failure in a minute and lasts a second; each further
// one is twice as long, up to an hour; time forgives.
func TestBans_Grow(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := doorman.NewBans(rules, now)
	bad, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600} {
		want *= time.Second
		times, length := failUntilBanned(t, b, bad, now)
		if length != want || times > rules.Failures {
			t.Fatalf("a ban of %s after %d failures, want %s after at most %d", length, times, want, rules.Failures)
		}
		if want == time.Second && times != rules.Failures {
			t.Errorf("the first ban began after %d failures, want %d", times, rules.Failures)
		}
		if !b.Banned(bad, now.Add(length-1)) || b.Banned(bad, now.Add(length)) || b.Banned(other, now) {
			t.Fatalf("a ban of %s does not hold for as long, or for others", length)
		}
		if again := b.Failed(bad, now.Add(length/2)); again != 0 { // it had come before
			t.Errorf("a ban grew by %s while it was in force", again)
		}
		now = now.Add(length)
	}
	now = now.Add(time.Hour)
	if times, length := failUntilBanned(t, b, bad, now); length != 256*time.Second || times != rules.Failures {
		t.Errorf("an hour later: %s after %d failures, want six doublings less", length, times)
	}
	now = now.Add(6 * time.Hour)
	if _, length := failUntilBanned(t, b, bad, now); length != time.Second {
		t.Errorf("hours later a ban lasts %s, want 1s", length)
	}
}

// Few failures in a minute are nobody's ban, however long they go on.
func TestBans_Seldom(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := doorman.NewBans(rules, now)
	for range 1000 {
		if now = now.Add(13 * time.Second); b.Failed(netip.MustParseAddr("192.0.2.1"), now) > 0 {
			t.Fatal("four failures in a minute began a ban")
		}
	}
}

// One that many devices share is slowed down, and never kept out for long: somebody got in
// from it. A success halves what the failures have come to.
func TestBans_SharedAddress(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := doorman.NewBans(rules, now)
	nat := netip.MustParseAddr("198.51.100.1")
	b.Succeeded(nat, now)
	for range 20 {
		_, length := failUntilBanned(t, b, nat, now)
		if length > 10*time.Second {
			t.Fatalf("an address that devices come from is kept out for %s", length)
		}
		now = now.Add(length)
	}
	for range 5 {
		b.Succeeded(nat, now)
	}
	if times, length := failUntilBanned(t, b, nat, now); length != time.Second || times < rules.Failures-1 {
		t.Errorf("after five successes: %s after %d failures", length, times)
	}
	now = now.Add(49 * time.Hour)
	b.Succeeded(netip.MustParseAddr("198.51.100.2"), now) // the days pass with those who come
	now = now.Add(25 * time.Hour)
	b.Succeeded(netip.MustParseAddr("198.51.100.2"), now)
	for range 6 {
		_, length := failUntilBanned(t, b, nat, now)
		now = now.Add(length)
	}
	if _, length := failUntilBanned(t, b, nat, now); length != 64*time.Second {
		t.Errorf("days after the last device came from it, the seventh ban is %s, want 64s", length)
	}
}

// A host with IPv6 has as many addresses as it likes: its network counts. An IPv4 address
// is one, however it is written.
func TestBans_WhoCounts(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := doorman.NewBans(rules, now)
	for i := range rules.Failures {
		addr := netip.MustParseAddr("2001:db8::").As16()
		addr[15] = byte(i)
		b.Failed(netip.AddrFrom16(addr), now)
		b.Failed(netip.MustParseAddr("::ffff:192.0.2.1"), now)
	}
	for addr, want := range map[string]bool{"2001:db8::ffff": true, "2001:db8:0:1::1": false, "192.0.2.1": true, "::ffff:192.0.2.1": true} {
		if b.Banned(netip.MustParseAddr(addr), now) != want {
			t.Errorf("%s banned: want %v", addr, want)
		}
	}
	var names []string
	for _, x := range b.List(now) {
		names = append(names, x.Address)
	}
	if want := []string{"192.0.2.1", "2001:db8::/64"}; !slices.Equal(names, want) {
		t.Errorf("listed: %v, want %v", names, want)
	}
	if !b.Lift(netip.MustParseAddr("2001:db8::1"), now) || b.Banned(netip.MustParseAddr("2001:db8::ffff"), now) || b.Lift(netip.MustParseAddr("2001:db8::1"), now) {
		t.Error("a ban was not lifted, or twice")
	}
}

// What was kept over a restart goes on as it was. What a file says that was written by
// somebody else bans nobody for longer than the rules do.
func TestBans_Restore(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := doorman.NewBans(rules, now)
	bad := netip.MustParseAddr("2001:db8::1")
	length := time.Duration(0)
	for range 8 {
		now = now.Add(length)
		_, length = failUntilBanned(t, b, bad, now)
	}
	kept, changed := b.Snapshot(now)
	if _, again := b.Snapshot(now); !changed || again || len(kept) != 1 {
		t.Fatalf("%d are kept, changed %v, and then %v", len(kept), changed, again)
	}
	after := doorman.NewBans(rules, now)
	after.Restore(append(kept, doorman.Ban{Address: "192.0.2.9", Until: now.Add(1000 * time.Hour), Times: 1 << 40, Failed: now.Add(time.Hour)},
		doorman.Ban{Address: "nonsense", Times: 1}, doorman.Ban{Address: "192.0.2.10", Until: now.Add(time.Hour)}), now)
	if !after.Banned(bad, now.Add(length-1)) || after.Banned(bad, now.Add(length)) {
		t.Error("a ban is not what it was before")
	}
	if _, next := failUntilBanned(t, after, bad, now.Add(length)); next != 2*length {
		t.Errorf("the next ban is %s, want %s", next, 2*length)
	}
	if !after.Banned(netip.MustParseAddr("192.0.2.9"), now) || after.Banned(netip.MustParseAddr("192.0.2.9"), now.Add(rules.Most)) || after.Banned(netip.MustParseAddr("192.0.2.10"), now) {
		t.Error("what a file says is not held to the rules")
	}
}

// A flood of addresses pushes out accounts, and none that is banned while there are others.
func TestBans_Full(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := doorman.NewBans(rules, now)
	bad, length := netip.MustParseAddr("192.0.2.1"), time.Duration(0)
	for range 10 {
		now = now.Add(length)
		_, length = failUntilBanned(t, b, bad, now)
	}
	now = now.Add(58 * time.Second) // its failures are all but forgotten, its ban is not over
	for i := range 2 * doorman.MaxAccounts {
		b.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if st := b.Stats(now); st.Accounts != doorman.MaxAccounts || st.Forgotten != doorman.MaxAccounts+1 || st.Banned != 1 {
		t.Errorf("%d accounts, %d forgotten, %d banned", st.Accounts, st.Forgotten, st.Banned)
	}
	if !b.Banned(bad, now) {
		t.Error("a ban was forgotten for accounts without one")
	}
}

// It is asked for each newcomer.
func TestAllocs_Bans(t *testing.T) {
	now := time.Now()
	b := doorman.NewBans(rules, now)
	addr := netip.MustParseAddr("2001:db8::1")
	failUntilBanned(t, b, addr, now)
	if n := testing.AllocsPerRun(100, func() { b.Banned(addr, now); b.Succeeded(netip.MustParseAddr("192.0.2.2"), now) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
