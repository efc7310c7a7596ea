package mqttapi

import (
	"strings"
	"testing"

	"go.uber.org/zap"
)

// A line of another tenant is told by its beginning, and one that may be the own is read.
func TestForeign(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		`{"tenant":"globex","device":"d"}`:    true,
		`{"tenant":"acme2","device":"d"}`:     true,
		`{"tenant":"acm","device":"d"}`:       true,
		`{"tenant":"acme","device":"d"}`:      false,
		`{"tenant":"\u0061cme","device":"d"}`: false,
		`{"device":"d","tenant":"globex"}`:    false,
		`{"tenant":"globex`:                   false,
		``:                                    false,
	} {
		if got := foreign([]byte(line), "acme"); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// A record of another tenant costs an application no reading of it, however large it is.
func TestReading_PassesOtherTenantsUnread(t *testing.T) {
	line := []byte(`{"tenant":"globex","device":"d","type":"telemetry","data":"` + strings.Repeat("x", 100_000) + `"}`)
	r := &reading{c: &client{s: &Server{log: zap.NewNop()}, tenant: "acme", window: newWindow(1)}}
	position := uint64(0)
	allocs := testing.AllocsPerRun(100, func() {
		position++
		if err := r.give(t.Context(), position, line); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 || r.record.Tenant != "" || r.missed != 0 || r.c.window.done() != position {
		t.Errorf("%v allocations each, read of tenant %q, missed %d, passed %d of %d", allocs, r.record.Tenant, r.missed, r.c.window.done(), position)
	}
}
