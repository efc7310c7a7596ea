package invariants_test

import (
	"bytes"
	"testing"

	"edgeloop/internal/invariants"
)

func TestMangle(t *testing.T) {
	b := []byte("leased")
	invariants.Mangle(b)
	if got := bytes.Equal(b, bytes.Repeat([]byte{0xCC}, 6)); got != invariants.Enabled {
		t.Errorf("overwritten = %v, want %v", got, invariants.Enabled)
	}
}

func TestRaceImpliesEnabled(t *testing.T) {
	if invariants.Race && !invariants.Enabled {
		t.Error("the race detector is on and the checks are off")
	}
}
