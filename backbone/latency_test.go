package backbone_test

import (
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/internal/testkit"
)

// Each batch that took is in one class, and a slow sync counts in full.
func TestBackbone_CommitLatency(t *testing.T) {
	const slow = 30 * time.Millisecond
	b := openWith(t, backbone.Config{DataDir: t.TempDir()}, backbone.Seams{
		Sync: func(next func() error) error {
			testkit.Delay(slow)
			return next()
		},
	})
	for n := range 3 {
		backbonetest.Append(t, b, []backbone.Record{record("d", uint64(n+1), nil)})
	}
	var st backbone.Stats
	counted := uint64(0)
	eventually(t, "three batches to be counted", func() bool {
		st, counted = b.Stats(), 0
		for class, n := range st.Commits.Counts {
			counted += n
			if class < 5 && n > 0 { // up to 20 ms
				t.Fatalf("a batch took less than its sync: %v", st.Commits)
			}
		}
		return counted == 3
	})
	if st.Batches != 3 || st.Commits.Sum < 3*slow {
		t.Errorf("%d batches, %d of them counted, in %s", st.Batches, counted, st.Commits.Sum)
	}
}
