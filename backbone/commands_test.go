package backbone_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeloop/backbone"
)

// Two nodes of one cluster find the same device at the same time, as in a
// takeover. Each command reaches one of them.
func TestCommands_AreTakenOnceByTwoNodes(t *testing.T) {
	ext := startExternal(t)
	nodes := []*backbone.Backbone{
		open(t, backbone.Config{NATSURL: ext.url, Node: "one"}),
		open(t, backbone.Config{NATSURL: ext.url, Node: "two"}),
	}
	var want []string
	for n := range 40 {
		id := fmt.Sprintf("%02d", n)
		store(t, nodes[0], "d", id, 0)
		want = append(want, id)
	}
	eventually(t, "the other node to hear of them", func() bool { return nodes[1].HasCommands("acme", "d") })
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	for _, b := range nodes {
		wg.Go(func() {
			if _, err := b.TakeCommands(t.Context(), "acme", "d", all, func(id string, _ []byte) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, id)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("took %v", got)
	}
}

func store(t *testing.T, b *backbone.Backbone, device, id string, ttl time.Duration) {
	t.Helper()
	if err := b.StoreCommand(t.Context(), "acme", device, id, []byte("1"), ttl); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, b *backbone.Backbone, device string) string {
	t.Helper()
	var got []string
	if _, err := b.TakeCommands(t.Context(), "acme", device, all, func(id string, payload []byte) {
		got = append(got, id+"="+string(payload))
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

// all lets every command pass.
func all(string, []byte) bool { return true }
