package backbone_test

import (
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// event is a record about a device.
func event(tenant, device, kind string, epoch uint64) backbone.Record {
	return backbone.Record{Tenant: tenant, Device: device, Epoch: epoch, Type: kind, Event: true, Data: []byte(`"` + kind + `"`)}
}

// Events stand in the log in their order, and whoever reads a tenant or a device gets its own.
// Of where the device stands they say nothing, and of devices that are named in one alone the
// log knows nothing.
func TestEvents_AreReadWithTheirDevice(t *testing.T) {
	dir := t.TempDir()
	b := open(t, backbone.Config{DataDir: dir})
	one := record("d", 7, nil)
	one.Epoch, one.Data = 5, []byte(`7`)
	backbonetest.Append(t, b, []backbone.Record{
		event("default", "d", "connected", 5), one, event("default", "other", "refused", 9),
		event("default", "d", "disconnected", 6), event("acme", "d", "connected", 1),
	})
	check := func(b *backbone.Backbone) {
		t.Helper()
		for _, tt := range []struct{ tenant, device, want string }{
			{"", "", `"connected" 7 "refused" "disconnected" "connected"`},
			{"default", "", `"connected" 7 "refused" "disconnected"`},
			{"default", "d", `"connected" 7 "disconnected"`},
			{"", "d", `"connected" 7 "disconnected" "connected"`},
			{"default", "other", `"refused"`},
			{"default", "nobody", ""},
		} {
			if got := dataOf(readAll(t, b, backbone.ReadOptions{Tenant: tt.tenant, Device: tt.device})); got != tt.want {
				t.Errorf("of %q/%q: read %s, want %s", tt.tenant, tt.device, got, tt.want)
			}
		}
		if last, err := b.Last(t.Context(), "default", "d"); err != nil || last.Seq != 7 || last.Epoch != 5 || last.Position != 2 {
			t.Errorf("the log stands at %+v, %v", last, err)
		}
		if last, err := b.Last(t.Context(), "default", "other"); err != nil || last.Position != 0 {
			t.Errorf("of a device that sent nothing it has %+v, %v", last, err)
		}
	}
	check(b)
	backbonetest.Close(t, b)
	closed, err := backbone.OpenClosedLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	if err := closed.Each(0, func(_ uint64, line []byte) error {
		lines = append(lines, string(line))
		return nil
	}); err != nil || closed.Close() != nil || len(lines) != 5 {
		t.Errorf("the files hold %d: %s, %v", len(lines), strings.Join(lines, "\n"), err)
	}
	check(open(t, backbone.Config{DataDir: dir}))
}

// A device moves to another node, and the old one says that it has left: nothing of what the
// device sends where it is now is refused for it.
func TestEvents_OvertakeNobody(t *testing.T) {
	ext := startExternal(t)
	east := open(t, backbone.Config{NATSURL: ext.url, Node: "east"})
	west := open(t, backbone.Config{NATSURL: ext.url, Node: "west"})
	var old, young heard
	backbonetest.Append(t, east, after(t, east, "d", &old, 1))
	moved := after(t, west, "d", &young, 2, 3)
	gone := event("default", "d", "disconnected", 1)
	gone.Done = &counter{} // which nobody may overtake
	backbonetest.Append(t, east, []backbone.Record{gone})
	backbonetest.Append(t, west, moved)
	wantHeard(t, "west", &young, "2 3")
	backbonetest.Append(t, west, []backbone.Record{gone})
	backbonetest.Append(t, east, []backbone.Record{gone, gone}) // behind one of another node, and in a batch
	if got, want := dataOf(readAll(t, west, backbone.ReadOptions{Tenant: "default", Device: "d"})), `"disconnected"`; strings.Count(got, want) != 4 {
		t.Errorf("read %s", got)
	}
}
