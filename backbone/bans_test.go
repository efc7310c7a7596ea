package backbone_test

import (
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/backbone"
)

func TestBans_ReachOtherNodes(t *testing.T) {
	ext := startExternal(t)
	var heard atomic.Int32
	one := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	two := open(t, backbone.Config{NATSURL: ext.url, Node: "two", OnBan: func(n backbone.Ban) {
		if n.Device == "d" {
			heard.Add(1)
		}
	}})
	ban(t, one, "d", time.Time{}, "stolen")
	eventually(t, "the ban on the other node", func() bool { reason, ok := two.Banned("acme", "d"); return ok && reason == "stolen" })
	eventually(t, "OnBan", func() bool { return heard.Load() == 1 })
	if err := two.Unban(t.Context(), "acme", "d"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of it on the first", func() bool { _, ok := one.Banned("acme", "d"); return !ok })
}

func ban(t *testing.T, b *backbone.Backbone, device string, until time.Time, reason string) {
	t.Helper()
	if err := b.Ban(t.Context(), "acme", device, until, reason); err != nil {
		t.Fatal(err)
	}
}
