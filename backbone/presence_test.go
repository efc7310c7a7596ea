package backbone_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeloop/backbone"
)

func TestPresence_KeepsTheLastStateOfEachDevice(t *testing.T) {
	dir := t.TempDir()
	b := open(t, backbone.Config{DataDir: dir, Node: "one"})
	at := time.UnixMilli(1795234836000).UTC()
	b.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d.1", Epoch: 1, Online: true, At: at})
	b.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d.2", Epoch: 1, Online: true, At: at})
	b.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d.1", Epoch: 1, At: at, Cause: "silent"})
	published(t, b)
	closeNow(t, b)

	b = open(t, backbone.Config{DataDir: dir, Node: "two"})
	got := watch(t, b)
	want := map[string]backbone.Presence{
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
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	for turn := range turns {
		for d := range devices {
			b.PublishPresence(backbone.Presence{
				Tenant: "acme", Device: fmt.Sprint("d", d), Epoch: uint64(turn + 1), Online: turn == turns-1 && d%2 == 0,
			})
		}
	}
	published(t, b)
	if s := b.Stats(); s.PresenceDropped != 0 {
		t.Errorf("%d states dropped", s.PresenceDropped)
	}
	got := watch(t, b)
	eventually(t, "all states", func() bool { return len(got()) == devices })
	for name, p := range got() {
		var d int
		if _, err := fmt.Sscanf(name, "d%d", &d); err != nil || p.Epoch != turns || p.Online != (d%2 == 0) {
			t.Fatalf("%s ended as %+v", name, p)
		}
	}
}

func TestPresence_OlderEpochDoesNotReplaceNewer(t *testing.T) {
	q := backbone.NewPresenceQueue()
	q.Push(backbone.Presence{Device: "d", Epoch: 2, Online: true})
	q.Push(backbone.Presence{Device: "d", Epoch: 1})
	taken := q.Take()
	if len(taken) != 1 || !taken[0].Online {
		t.Errorf("took %+v", taken)
	}
	q.Push(backbone.Presence{Device: "d", Epoch: 3})
	q.PutBack(taken) // it could not be published, and is out of date
	if taken = q.Take(); len(taken) != 1 || taken[0].Epoch != 3 {
		t.Errorf("took %+v", taken)
	}
	q.Push(backbone.Presence{Device: "d", Epoch: 3})
	q.PutBack([]backbone.Presence{{Device: "d", Epoch: 3, Online: true}})
	if taken = q.Take(); len(taken) != 1 || taken[0].Online {
		t.Errorf("took %+v: of one epoch, offline follows online", taken)
	}
}

func TestPresence_ReachesOtherNodes(t *testing.T) {
	ext := startExternal(t)
	one := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	two := open(t, backbone.Config{NATSURL: ext.url, Node: "two"})
	got := watch(t, two)
	one.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d", Epoch: 9, Online: true})
	eventually(t, "the other node's device", func() bool { return got()["d"].Epoch == 9 })
	ext.restart()
	one.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d", Epoch: 10, Online: true})
	eventually(t, "it again, after the server's restart", func() bool { return got()["d"].Epoch == 10 })
	if node := got()["d"].Node; node != "one" {
		t.Errorf("node %q", node)
	}
}

func published(t *testing.T, b *backbone.Backbone) {
	t.Helper()
	eventually(t, "presence to be published", func() bool { return backbone.PresenceIdle(b) })
}

// watch collects the newest state of each device until the test ends.
func watch(t *testing.T, b *backbone.Backbone) func() map[string]backbone.Presence {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	states := make(map[string]backbone.Presence)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = b.WatchPresence(ctx, func(p backbone.Presence) {
			mu.Lock()
			defer mu.Unlock()
			states[p.Device] = p
		})
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return func() map[string]backbone.Presence {
		mu.Lock()
		defer mu.Unlock()
		out := make(map[string]backbone.Presence, len(states))
		for k, v := range states {
			out[k] = v
		}
		return out
	}
}
