package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/store"
)

func TestCommands_WaitForTheirDevice(t *testing.T) {
	dir := t.TempDir()
	b := open(t, config{DataDir: dir})
	if b.HasCommands("acme", "d.1") {
		t.Error("commands wait before any was stored")
	}
	for _, id := range []string{"a", "b", "a"} { // the same id is stored once
		leave(t, b, "d.1", id, time.Hour)
	}
	leave(t, b, "d.2", "c", 0)
	if !b.HasCommands("acme", "d.1") || b.HasCommands("acme", "d") || b.HasCommands("other", "d.1") {
		t.Error("HasCommands is wrong after storing")
	}
	closeNow(t, b)
	b = open(t, config{DataDir: dir})
	if !b.HasCommands("acme", "d.1") || !b.HasCommands("acme", "d.2") {
		t.Error("HasCommands is wrong after a restart")
	}
	if got := take(t, b, "d.1"); got != "a=1 b=1" {
		t.Errorf("took %q", got)
	}
	if got := take(t, b, "d.1"); got != "" || b.HasCommands("acme", "d.1") {
		t.Errorf("took %q again; HasCommands %v", got, b.HasCommands("acme", "d.1"))
	}
	if got := take(t, b, "d.2"); got != "c=1" {
		t.Errorf("took %q", got)
	}
}

func TestCommands_AreDeletedBeforeDelivery(t *testing.T) {
	dir := t.TempDir()
	b := open(t, config{DataDir: dir})
	leave(t, b, "d", "a", time.Hour)
	copied := t.TempDir()
	_, err := b.TakeCommands(t.Context(), "acme", "d", all, func(string, []byte) {
		// What is on the disk now is what a kill at this moment would leave.
		backbonetest.CopyDir(t, dir, copied)
	})
	if err != nil {
		t.Fatal(err)
	}
	after := open(t, config{DataDir: copied})
	if got := take(t, after, "d"); got != "" {
		t.Errorf("a command that was being delivered is there again: %q", got)
	}
}

// The store fails in the middle of a taking. What it had deleted until then
// exists nowhere else, so it must be given out; the rest waits for the next time.
func TestCommands_TakenBeforeAFaultAreDelivered(t *testing.T) {
	fault := errors.New("the store failed")
	for name, broken := range map[string]struct{ reads, deletes int }{
		"a command cannot be read":    {2, 100},
		"a command cannot be deleted": {100, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, config{DataDir: t.TempDir()})
			for _, id := range []string{"a", "b", "c", "d"} {
				leave(t, b, "d", id, time.Hour)
			}
			mend := store.BreakCommands(b.Commands, broken.reads, broken.deletes, fault)
			var got []string
			_, err := b.TakeCommands(t.Context(), "acme", "d", all, func(id string, _ []byte) { got = append(got, id) })
			if !errors.Is(err, fault) || !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("took %v, %v", got, err)
			}
			mend()
			if got := take(t, b, "d"); got != "c=1 d=1" {
				t.Errorf("then took %q", got)
			}
		})
	}
}

func TestCommands_Expire(t *testing.T) {
	b := open(t, config{DataDir: t.TempDir()})
	leave(t, b, "d", "short", time.Second)
	leave(t, b, "d", "long", time.Hour)
	eventually(t, "the short one's end", func() bool {
		return streamMessages(t, b) == 1
	})
	if got := take(t, b, "d"); got != "long=1" {
		t.Errorf("took %q", got)
	}
	leave(t, b, "e", "short", 1*time.Millisecond)
	eventually(t, "HasCommands to forget what expired", func() bool { return !b.HasCommands("acme", "e") })
	if got := take(t, b, "e"); got != "" {
		t.Errorf("took %q though it had expired", got)
	}
}

func TestCommands_AreBoundedForEachDevice(t *testing.T) {
	b := open(t, config{DataDir: t.TempDir(), CommandsPerDevice: 2})
	leave(t, b, "d", "1", 0)
	leave(t, b, "d", "2", 0)
	err := b.StoreCommand(t.Context(), "acme", "d", "3", []byte("1"), 0)
	if !errors.Is(err, store.ErrCommandsFull) {
		t.Errorf("a third of two: %v", err)
	}
	leave(t, b, "e", "1", 0)
	if got := take(t, b, "d"); got != "1=1 2=1" {
		t.Errorf("took %q", got)
	}
	leave(t, b, "d", "4", 0)
	for _, id := range []string{"", "a b", "é", strings.Repeat("x", 129)} {
		if err := b.StoreCommand(t.Context(), "acme", "d", id, nil, 0); err == nil {
			t.Errorf("id %q was taken", id)
		}
	}
}

func leave(t *testing.T, b *node, device, id string, ttl time.Duration) {
	t.Helper()
	if err := b.StoreCommand(t.Context(), "acme", device, id, []byte("1"), ttl); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, b *node, device string) string {
	t.Helper()
	var got []string
	if _, err := b.TakeCommands(t.Context(), "acme", device, all, func(id string, payload []byte) {
		got = append(got, id+"="+string(payload))
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

func streamMessages(t *testing.T, b *node) uint64 {
	t.Helper()
	n, err := store.CommandsStored(t.Context(), b.Commands)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// all lets every command pass.
func all(string, []byte) bool { return true }

// What does not fit stays, with all behind it, for the next call, and a command
// that no server takes is refused before it is stored.
func TestCommands_StayUntilTheyFit(t *testing.T) {
	b := open(t, config{DataDir: t.TempDir()})
	for i := range 5 {
		if err := b.StoreCommand(t.Context(), "acme", "d", fmt.Sprint(i), fmt.Append(nil, "payload ", i), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"[0 1] true", "[2 3] true", "[4] false", "[] false"} {
		room, got := 2, []string{}
		more, err := b.TakeCommands(t.Context(), "acme", "d",
			func(id string, payload []byte) bool { room--; return room >= 0 && string(payload) == "payload "+id },
			func(id string, _ []byte) { got = append(got, id) })
		if now := fmt.Sprint(got, more); err != nil || now != want {
			t.Errorf("took %s, %v, want %s", now, err, want)
		}
		if left := b.HasCommands("acme", "d"); left != more {
			t.Errorf("after %s: commands wait: %v", want, left)
		}
	}
	var large *servers.TooLargeError
	if err := b.StoreCommand(t.Context(), "acme", "d", "l", make([]byte, 8<<20), time.Minute); !errors.As(err, &large) {
		t.Errorf("8 MiB: %v", err)
	}
}
