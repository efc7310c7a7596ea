package store_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/store"
)

func TestPresence_KeepsTheLastStateOfEachDevice(t *testing.T) {
	dir := t.TempDir()
	b := open(t, config{DataDir: dir, Node: "one"})
	at := time.UnixMilli(1795234836000).UTC()
	b.Publish(store.Presence{Tenant: "acme", Device: "d.1", Epoch: 1, Online: true, At: at})
	b.Publish(store.Presence{Tenant: "acme", Device: "d.2", Epoch: 1, Online: true, At: at})
	b.Publish(store.Presence{Tenant: "acme", Device: "d.1", Epoch: 1, At: at, Cause: "silent"})
	published(t, b)
	closeNow(t, b)

	b = open(t, config{DataDir: dir, Node: "two"})
	got := watch(t, b)
	want := map[string]store.Presence{
		"d.1": {Tenant: "acme", Device: "d.1", Epoch: 1, Node: "one", At: at, Cause: "silent"},
		"d.2": {Tenant: "acme", Device: "d.2", Epoch: 1, Node: "one", Online: true, At: at},
	}
	eventually(t, "two states", func() bool { return len(got()) == 2 })
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Error(diff)
	}
}

// A storm: every device comes, goes and comes again faster than it can be
// published. Publishing never blocks, and the last state of each is what stays.
func TestPresence_StormKeepsTheFinalState(t *testing.T) {
	const devices, turns = 20_000, 3
	b := open(t, config{DataDir: t.TempDir()})
	for turn := range turns {
		for d := range devices {
			b.Publish(store.Presence{
				Tenant: "acme", Device: fmt.Sprint("d", d), Epoch: uint64(turn + 1), Online: turn == turns-1 && d%2 == 0,
			})
		}
	}
	published(t, b)
	if _, dropped := b.Stats(); dropped != 0 {
		t.Errorf("%d states dropped", dropped)
	}
	got, seen := backbonetest.Watch(t, b.Watch)
	// Not got each time: to copy so many states while more come in keeps a loaded
	// machine busy with nothing else.
	eventually(t, "all states", func() bool { return seen() == devices })
	for name, p := range got() {
		var d int
		if _, err := fmt.Sscanf(name, "d%d", &d); err != nil || p.Epoch != turns || p.Online != (d%2 == 0) {
			t.Fatalf("%s ended as %+v", name, p)
		}
	}
}

// A slow server is waited for as long as it takes what there is, and no longer.
func TestPresence_SettlesWhileItGoesOn(t *testing.T) {
	for _, c := range []struct {
		batches int // that the server takes
		left    int
	}{{5, 0}, {2, 300}} {
		synctest.Test(t, func(t *testing.T) {
			q := store.NewPresenceQueue()
			for d := range 500 {
				q.Push(store.Presence{Device: fmt.Sprint("d", d), Epoch: 1})
			}
			var server sync.WaitGroup
			server.Go(func() {
				for range c.batches {
					q.Take()
					time.Sleep(3 * time.Second)
				}
				q.Take()
			})
			if left := q.Settle(t.Context(), 5*time.Second); left != c.left {
				t.Errorf("%d states are left, not %d", left, c.left)
			}
			q.Close()
			server.Wait()
		})
	}
}

func TestPresence_OlderEpochDoesNotReplaceNewer(t *testing.T) {
	q := store.NewPresenceQueue()
	q.Push(store.Presence{Device: "d", Epoch: 2, Online: true})
	q.Push(store.Presence{Device: "d", Epoch: 1})
	taken := q.Take()
	if len(taken) != 1 || !taken[0].Online {
		t.Errorf("took %+v", taken)
	}
	q.Push(store.Presence{Device: "d", Epoch: 3})
	q.PutBack(taken) // it could not be published, and is out of date
	if taken = q.Take(); len(taken) != 1 || taken[0].Epoch != 3 {
		t.Errorf("took %+v", taken)
	}
	q.Push(store.Presence{Device: "d", Epoch: 3})
	q.PutBack([]store.Presence{{Device: "d", Epoch: 3, Online: true}})
	if taken = q.Take(); len(taken) != 1 || taken[0].Online {
		t.Errorf("took %+v: of one epoch, offline follows online", taken)
	}
}

func published(t *testing.T, b *node) {
	t.Helper()
	eventually(t, "presence to be published", func() bool { return queued(b) == 0 })
}

// watch collects the newest state of each device until the test ends.
func watch(t *testing.T, b *node) (got func() map[string]store.Presence) {
	got, _ = backbonetest.Watch(t, b.Watch)
	return got
}

func queued(b *node) int {
	n, _ := b.Stats()
	return n
}
