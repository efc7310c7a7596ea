package pool

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The ring of a lane against a slice: whatever is put and taken, around the end
// and while it grows.
func TestLane_Ring(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Lanes[*int]{cfg: LaneConfig{Depth: 50}}
		ln := &lane[*int]{lanes: l}
		var want []*int
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				ts := make([]*int, rapid.IntRange(1, 20).Draw(t, "n"))
				for i := range ts {
					ts[i] = new(int)
				}
				ts = ts[:min(len(ts), ln.room())]
				if len(ts) == 0 {
					return
				}
				ln.put(ts)
				want = append(want, ts...)
			},
			"take": func(t *rapid.T) {
				if ln.ring == nil {
					t.Skip("unused")
				}
				dst := make([]*int, rapid.IntRange(1, 20).Draw(t, "n"))
				n := ln.take(dst)
				if !slices.Equal(dst[:n], want[:n]) || n < min(len(dst), len(want)) {
					t.Fatalf("took %v, want %v", dst[:n], want)
				}
				want = want[n:]
			},
			"": func(t *rapid.T) {
				if ln.n != len(want) {
					t.Fatalf("%d in the ring, want %d", ln.n, len(want))
				}
				if ln.ring == nil {
					return
				}
				held := 0
				for _, p := range ln.ring.slots {
					if p != nil {
						held++
					}
				}
				if held != len(want) {
					t.Fatalf("the ring refers to %d tasks, want %d", held, len(want))
				}
			},
		})
	})
}
