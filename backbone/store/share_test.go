package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone/names"
	"edgeloop/backbone/store"
)

// flood leaves commands for ever new devices of a tenant until one is refused, and says how
// many were taken.
func flood(t *testing.T, b *node, tenant, payload string) (taken int) {
	t.Helper()
	for ; taken < 10_000; taken++ {
		err := b.StoreCommand(t.Context(), tenant, fmt.Sprint("d", taken), "c", []byte(payload), time.Hour)
		if errors.Is(err, store.ErrTenantCommandsFull) && errors.Is(err, store.ErrCommandsFull) {
			return taken
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%d commands of tenant %s were taken, and none was refused", taken, tenant)
	return taken
}

// TestCommands_ShareOfATenant: tenants that leave as many commands as they can, one after
// another, do not fill the store: there is room for the next one, also after a restart. The first has most of what
// it could have alone.
func TestCommands_ShareOfATenant(t *testing.T) {
	cfg := config{DataDir: t.TempDir(), CommandBytes: 1 << 20}
	b := open(t, cfg)
	payload := strings.Repeat("x", 8<<10)
	first := flood(t, b, "greedy", payload)
	if most := 1 << 20 / (8 << 10); first < most*6/10 || first > most*8/10 {
		t.Errorf("one tenant has %d commands, want about three quarters of %d", first, most)
	}
	closeNow(t, b)
	b = open(t, cfg)
	if second := flood(t, b, "second", payload); second < first/6 {
		t.Errorf("the second tenant has %d commands, the first %d", second, first)
	}
	if err := b.StoreCommand(t.Context(), "acme", "d", "c", []byte(payload), time.Hour); err != nil {
		t.Errorf("a third tenant: %v", err)
	}
	if err := b.StoreCommand(t.Context(), "greedy", "d0", "c2", []byte(payload), time.Hour); !errors.Is(err, store.ErrTenantCommandsFull) {
		t.Errorf("one more of the first: %v", err)
	}
	for i := range first {
		if n, err := b.CancelCommands(t.Context(), "greedy", fmt.Sprint("d", i), ""); n != 1 || err != nil {
			t.Fatalf("took %d back, %v", n, err)
		}
	}
	if again := flood(t, b, "greedy", payload); again < first*6/10 {
		t.Errorf("the first tenant had %d commands, took all of them back, and has room for %d", first, again)
	}
}

// TestCommands_ShareIsGivenBack: of 16 places a tenant has 12, three times what is then free,
// and the next one three: also while the stream has told of none of them. What fails, is taken
// or is cleared gives its place back, once.
func TestCommands_ShareIsGivenBack(t *testing.T) {
	r := store.CommandRoom{Most: 16 * store.CommandSize}
	greedy, other := names.Down+"greedy.d", names.Down+"other.d"
	seq := uint64(0)
	fill := func(subject string, want int) {
		t.Helper()
		for range 100 {
			r.Fail(subject, 0)
		}
		got := 0
		for ; r.Store(subject, seq+1, 0); got++ {
			seq++
		}
		if got != want {
			t.Fatalf("there is room for %d commands, want %d", got, want)
		}
	}
	fill(greedy, 12)
	for told := range seq {
		r.Tell(greedy, told+1)
		r.Tell(greedy, told+1) // a watch that began again
	}
	fill(greedy, 0)
	for taken := range uint64(5) {
		r.Take(greedy, taken+1)
	}
	fill(greedy, 5)
	r.Clear(greedy, seq) // the last five are not told of
	fill(greedy, 12)
	fill(other, 3)
	r.Clear(greedy, seq)
	r.Clear(other, seq)
	fill(other, 12)
}

// TestCommands_CountedOnce: a command counts from when it is stored, and once, whether the
// stream tells of it late, soon, or not at all because it was taken before.
func TestCommands_CountedOnce(t *testing.T) {
	var r store.CommandRoom
	subject := func(device string) string { return names.Down + "acme." + device }
	stores := func(device string, seq uint64, want bool) {
		t.Helper()
		if got := r.Store(subject(device), seq, 3); got != want {
			t.Errorf("command %d is stored: %v, want %v", seq, got, want)
		}
	}
	stores("a", 1, true)
	r.Tell(subject("b"), 2) // before its node has the answer
	stores("b", 2, true)
	stores("b", 3, true)
	stores("a", 4, false)
	r.Tell(subject("a"), 1)
	stores("a", 4, false)
	r.Take(subject("b"), 3) // before the stream has told
	stores("a", 4, true)
	stores("a", 5, false)
	r.Take(subject("a"), 1)
	stores("a", 5, true)
	stores("a", 6, false)
	r.Later(20 * time.Second)
	stores("a", 6, false)
	r.Later(time.Minute) // 4 and 5 were given out before the stream could tell
	stores("a", 6, true)
}

// TestCommands_QuotaOfATenant: what was delivered, taken back or has expired makes room.
func TestCommands_QuotaOfATenant(t *testing.T) {
	quotas := map[string]int64{"acme": 4}
	b := open(t, config{DataDir: t.TempDir(), Quota: func(tenant string) int64 { return quotas[tenant] }})
	leave(t, b, "d1", "a", time.Hour)
	leave(t, b, "d2", "a", time.Hour)
	leave(t, b, "d3", "a", time.Hour)
	leave(t, b, "d3", "b", time.Hour)
	full := func() bool {
		return errors.Is(b.StoreCommand(t.Context(), "acme", "d4", "a", []byte("1"), time.Hour), store.ErrTenantCommandsFull)
	}
	if !full() { // at once: what was stored counts before the stream has told of it
		t.Error("a fifth command is not refused")
	}
	eventually(t, "the stream has told of all", func() bool { return b.Untold() == 0 })
	if got := b.TenantCommands("acme"); got != 4 || !full() {
		t.Errorf("%d commands are counted, want 4, and a fifth is refused", got)
	}
	if err := b.StoreCommand(t.Context(), "other", "d", "a", []byte("1"), time.Hour); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	if got := take(t, b, "d1"); got != "a=1" {
		t.Errorf("took %q", got)
	}
	if n, err := b.CancelCommands(t.Context(), "acme", "d2", ""); n != 1 || err != nil {
		t.Errorf("took %d back, %v", n, err)
	}
	if got := b.TenantCommands("acme"); got != 2 {
		t.Errorf("%d commands are counted, want the two that are left", got)
	}
	leave(t, b, "d5", "a", time.Second)
	leave(t, b, "d5", "b", time.Second)
	eventually(t, "two have expired, and make room", func() bool { return !full() })
}
