package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/store"
)

// read is what waits for d behind a position, as ID@POSITION.
func read(t *testing.T, b *node, after uint64) (got []string) {
	t.Helper()
	err := b.ReadCommands(t.Context(), "acme", "d", after, func(position uint64, id string, payload []byte) bool {
		if string(payload) != "1" {
			t.Errorf("the payload is %q", payload)
		}
		got = append(got, fmt.Sprint(id, "@", position))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A command that is read stays, at its place, over restarts, until it is removed, which is
// for good.
func TestCommands_StayUntilRemoved(t *testing.T) {
	dir := t.TempDir()
	b := open(t, config{DataDir: dir})
	leave(t, b, "other", "x", time.Hour)
	for _, id := range []string{"a", "b", "c"} {
		leave(t, b, "d", id, time.Hour)
	}
	if got := read(t, b, 0); !slices.Equal(got, []string{"a@2", "b@3", "c@4"}) {
		t.Fatalf("read %v", got)
	}
	if got := read(t, b, 3); !slices.Equal(got, []string{"c@4"}) || b.NewestCommand("acme", "d") != 4 || b.NewestCommand("acme", "none") != 0 {
		t.Errorf("behind the second: %v, the newest is at %d", got, b.NewestCommand("acme", "d"))
	}
	if err := b.RemoveCommands(t.Context(), "acme", "d", []uint64{1, 2, 3, 77}); err != nil { // 1 is another device's
		t.Fatal(err)
	}
	copied := t.TempDir() // what a kill at this moment would leave
	backbonetest.CopyDir(t, dir, copied)
	after := open(t, config{DataDir: copied})
	if got := read(t, after, 0); !slices.Equal(got, []string{"c@4"}) || after.NewestCommand("acme", "d") != 4 {
		t.Errorf("after a kill: %v", got)
	}
	if !b.HasCommands("acme", "d") || !b.HasCommands("acme", "other") {
		t.Error("one that waits is forgotten")
	}
	eventually(t, "nothing to wait when the last is removed", func() bool {
		if err := b.RemoveCommands(t.Context(), "acme", "d", []uint64{4}); err != nil {
			t.Fatal(err)
		}
		return !b.HasCommands("acme", "d")
	})
	if got := take(t, b, "other"); got != "x=1" {
		t.Errorf("of the other device %q", got)
	}
}

// What is not removed because the store fails is there afterwards, and can be removed.
func TestCommands_RemovedAfterAFault(t *testing.T) {
	b := open(t, config{DataDir: t.TempDir()})
	for _, id := range []string{"a", "b", "c"} {
		leave(t, b, "d", id, time.Hour)
	}
	fault := errors.New("the store failed")
	mend := store.BreakCommands(b.Commands, 100, 1, fault)
	if err := b.RemoveCommands(t.Context(), "acme", "d", []uint64{1, 2, 3}); !errors.Is(err, fault) {
		t.Errorf("removed with %v", err)
	}
	mend()
	if got := read(t, b, 0); !slices.Equal(got, []string{"b@2", "c@3"}) {
		t.Errorf("there is %v", got)
	}
	if err := b.RemoveCommands(t.Context(), "acme", "d", []uint64{1, 2, 3}); err != nil || len(read(t, b, 0)) != 0 {
		t.Errorf("then %v, %v", err, read(t, b, 0))
	}
}
