package backbone_test

import (
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// fillTenant stores records of a tenant, of about 1 KB each.
func fillTenant(t *testing.T, b *backbone.Backbone, tenant string, records int) {
	t.Helper()
	data := []byte(`"` + strings.Repeat("x", 900) + `"`)
	for range records {
		if err := b.Append([]backbone.Record{{Tenant: tenant, Device: "d", Epoch: 1, Type: "telemetry", Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
	backbonetest.Flush(t, b)
}

// TestStoredBytes: what each tenant has in the log is what the store says that all have, also
// after a restart, and when retention has taken the oldest.
func TestStoredBytes(t *testing.T) {
	t.Parallel()
	const logSize = 1 << 20
	cfg := backbone.Config{DataDir: t.TempDir(), BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: logSize}}
	b := open(t, cfg)
	fillTenant(t, b, "acme", 300)
	fillTenant(t, b, "evil", 100)
	acme, evil := b.StoredBytes("acme"), b.StoredBytes("evil")
	if acme < 300*900 || acme > 300*1200 || evil < 100*900 || evil > 100*1200 {
		t.Errorf("acme has %d, evil %d", acme, evil)
	}
	backbonetest.Close(t, b)
	b = open(t, cfg)
	if got := b.StoredBytes("acme"); got != acme {
		t.Errorf("acme has %d after a restart, and had %d", got, acme)
	}
	fillTenant(t, b, "evil", logSize/900)
	eventually(t, "the tenants' bytes to be those of the log", func() bool {
		u, ok := b.Usage()
		sum := b.StoredBytes("acme") + b.StoredBytes("evil")
		return ok && sum > u.Bytes*9/10 && sum < u.Bytes*11/10 && b.StoredBytes("acme") < acme/2
	})
}

// TestStoredBytes_OfSeveral: where other nodes may write, the log is asked for tenants that
// somebody wants to know of, so that a restart changes little.
func TestStoredBytes_OfSeveral(t *testing.T) {
	t.Parallel()
	cfg := backbone.Config{DataDir: t.TempDir(), Writers: backbone.Several}
	b := open(t, cfg)
	fillTenant(t, b, "acme", 100)
	before := b.StoredBytes("acme")
	backbonetest.Close(t, b)
	b = open(t, cfg)
	fillTenant(t, b, "acme", 1)
	eventually(t, "the log to have said what acme has", func() bool {
		got := b.StoredBytes("acme")
		return before > 100*900 && got > before && got < before+before/10
	})
}
