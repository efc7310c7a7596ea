package tricks_test

import (
	"testing"

	"edgeloop/bench/fault/tricks"
)

// A trick is found by its name, and each says what it wants.
func TestTricks_AreFoundByName(t *testing.T) {
	names := map[string]bool{}
	for _, trick := range tricks.All() {
		if names[trick.String()] || len(trick.Want) == 0 || trick.About == "" {
			t.Errorf("%s: there already %v, wants %q, does %q", trick, names[trick.String()], trick.Want, trick.About)
		}
		names[trick.String()] = true
	}
	for _, area := range tricks.Areas() {
		of := tricks.Of(area)
		last := of[len(of)-1]
		if found, ok := tricks.Named(last.String()); !ok || found.About != last.About {
			t.Errorf("%s: found %v, %q", last, ok, found.About)
		}
	}
	if _, ok := tricks.Named("tls/no-such"); ok || len(names) < 200 {
		t.Errorf("%d tricks, and one that there is not: %v", len(names), ok)
	}
}
