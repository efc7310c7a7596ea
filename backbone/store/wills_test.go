package store_test

import (
	"maps"
	"testing"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/names"
	"edgeloop/backbone/store"
)

// What Keep has returned of is there at the next start, the newest of each device; what it was
// told is over is not; and the Wills of another node that shares the store are that node's.
func TestWills_Store(t *testing.T) {
	dir := t.TempDir()
	n := open(t, config{DataDir: dir, Node: "a", Shared: true})
	will := func(device, topic string) store.Will {
		return store.Will{Tenant: "acme", Device: device, Epoch: 7, Delay: time.Minute, Topic: topic, Payload: []byte{0, 1, 255}, QoS: 1}
	}
	mine, other := store.NewWills(n.srv, "a", zap.NewNop()), store.NewWills(n.srv, "b", zap.NewNop())
	read := func(w *store.Wills) map[string]string {
		t.Helper()
		all := map[string]string{}
		if err := w.Each(t.Context(), func(is store.Will) {
			all[is.Device] = is.Topic
			if is.Epoch != 7 || is.Delay != time.Minute || string(is.Payload) != "\x00\x01\xff" || is.QoS != 1 || is.Tenant != "acme" {
				t.Errorf("read %+v", is)
			}
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if got := read(mine); len(got) != 0 {
		t.Errorf("a new store has %v", got)
	}
	for _, step := range []struct{ put, over []store.Will }{
		{put: []store.Will{will("x.y", "old"), will("gone", "t"), will("stays", "t")}},
		{put: []store.Will{will("x.y", "new")}, over: []store.Will{will("gone", ""), will("never", "")}},
	} {
		if _, err := mine.Keep(t.Context(), step.put, step.over); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Keep(t.Context(), []store.Will{will("elsewhere", "t")}, nil); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x.y": "new", "stays": "t"}
	if got := read(mine); !maps.Equal(got, want) {
		t.Errorf("the store has %v, want %v", got, want)
	}
	closeNow(t, n)
	n = open(t, config{DataDir: dir, Node: "a", Shared: true})
	if got := read(store.NewWills(n.srv, "a", zap.NewNop())); !maps.Equal(got, want) {
		t.Errorf("after a restart the store has %v, want %v", got, want)
	}
}

// A node that has its store to itself takes up what it kept under another name: a container that
// is made again has a new host name.
func TestWills_StoreOfARenamedNode(t *testing.T) {
	dir := t.TempDir()
	n := open(t, config{DataDir: dir, Node: "a"})
	kept := store.Will{Tenant: "acme", Device: "d", Delay: time.Minute, Topic: "t", QoS: 1}
	if _, err := store.NewWills(n.srv, "a", zap.NewNop()).Keep(t.Context(), []store.Will{kept}, nil); err != nil {
		t.Fatal(err)
	}
	closeNow(t, n)
	n = open(t, config{DataDir: dir, Node: "b"})
	found := 0
	if err := store.NewWills(n.srv, "b", zap.NewNop()).Each(t.Context(), func(store.Will) { found++ }); err != nil || found != 1 {
		t.Errorf("the node of another name finds %d Wills: %v", found, err)
	}
}

// A Will that cannot be kept does not hold up the others, and one that cannot be read not the
// start.
func TestWills_StoreGoesPastABadOne(t *testing.T) {
	n := open(t, config{DataDir: t.TempDir(), Node: "a"})
	w := store.NewWills(n.srv, "a", zap.NewNop())
	will := func(device string) store.Will { return store.Will{Tenant: "acme", Device: device, Topic: "t"} }
	if _, err := w.Keep(t.Context(), []store.Will{will("gone")}, nil); err != nil {
		t.Fatal(err)
	}
	undone, err := w.Keep(t.Context(), []store.Will{will("b"), will(""), will("c")}, []store.Will{will(""), will("gone")})
	if err == nil || len(undone) != 2 || undone[0].Device != "" || undone[1].Device != "" {
		t.Errorf("undone are %v: %v", undone, err)
	}
	if _, err := n.srv.Asker.JS.Publish(t.Context(), names.Will+"acme.unreadable", []byte("{")); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	if err := w.Each(t.Context(), func(is store.Will) { found[is.Device] = true }); err != nil || !maps.Equal(found, map[string]bool{"b": true, "c": true}) {
		t.Errorf("found %v: %v", found, err)
	}
}
