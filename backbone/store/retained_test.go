package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"edgeloop/backbone/names"
	"edgeloop/backbone/store"
)

// What Keep has returned of is there at the next start, the newest of each topic of each tenant, with
// the place; what was taken out is not. Before the first Keep there is no stream.
func TestRetained_Store(t *testing.T) {
	dir := t.TempDir()
	n := open(t, config{DataDir: dir})
	read := func(r *store.Retained) string {
		t.Helper()
		all := map[string]string{}
		upto, there, err := r.Each(t.Context(), func(m store.RetainedMessage) {
			all[m.Tenant+" "+m.Topic] = fmt.Sprint(m.Position, " ", string(m.Line))
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all, upto.Log, upto.Position, there)
	}
	r := store.NewRetained(n.srv, zap.NewNop())
	if got, want := read(r), "map[]0 false"; got != want {
		t.Errorf("a new store has %s, want %s", got, want)
	}
	if _, err := n.srv.Info(t.Context(), names.StreamRetained); err == nil {
		t.Error("there is a stream before anything is kept")
	}
	msg := func(tenant, topic string, position uint64, line string) store.RetainedMessage {
		m := store.RetainedMessage{Tenant: tenant, Topic: topic, Position: position}
		if line != "" {
			m.Line = []byte(line)
		}
		return m
	}
	for i, all := range [][]store.RetainedMessage{
		{msg("a.b", "t/ü\n", 1, "old"), msg("other", "t/ü\n", 2, "theirs"), msg("a.b", "gone", 3, "x")},
		{msg("a.b", "t/ü\n", 4, "new"), msg("a.b", "gone", 0, ""), msg("a.b", "never", 0, "")},
	} {
		if done, err := r.Keep(t.Context(), all, store.Place{Log: "l", Position: uint64(10 + i)}); err != nil || done != len(all) {
			t.Fatal(done, err)
		}
	}
	const want = "map[a.b t/ü\n:4 new other t/ü\n:2 theirs]l11 true"
	if got := read(r); got != want {
		t.Errorf("the store has %q, want %q", got, want)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if done, err := r.Keep(cancelled, []store.RetainedMessage{msg("a.b", "more", 5, "x")}, store.Place{Log: "l", Position: 20}); err == nil || done != 0 {
		t.Errorf("%d kept with a context that has ended: %v", done, err)
	}
	closeNow(t, n)
	n = open(t, config{DataDir: dir})
	if got := read(store.NewRetained(n.srv, zap.NewNop())); got != want {
		t.Errorf("after a restart the store has %q, want %q", got, want)
	}
}

// What Keep says is kept is on the disk, also behind an error: where it cannot be synced nothing is.
func TestRetained_SyncsBehindAnError(t *testing.T) {
	n := open(t, config{DataDir: t.TempDir()})
	r := store.NewRetained(n.srv, zap.NewNop())
	keep := func(tenant string) int {
		t.Helper()
		done, err := r.Keep(t.Context(), []store.RetainedMessage{{Tenant: "acme", Topic: "t", Line: []byte("x")}, {Tenant: tenant, Topic: "t", Line: []byte("x")}}, store.Place{Log: "l"})
		if err == nil {
			t.Error("there is no error")
		}
		return done
	}
	if done := keep(""); done != 1 { // no tenant is called so
		t.Errorf("%d are kept, want 1", done)
	}
	loop := filepath.Join(n.srv.BlocksDir(names.StreamRetained), "loop.db")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"", "other"} {
		if done := keep(tenant); done != 0 {
			t.Errorf("%d are kept, and could not be synced", done)
		}
	}
	if err := os.Remove(loop); err != nil {
		t.Fatal(err)
	}
}
