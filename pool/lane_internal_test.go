package pool

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The queues of a lane against slices: whatever is put and taken, and while the
// block grows. Each batch takes one of each queue in turn.
func TestLane_Queues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Lanes[*int]{cfg: LaneConfig{Depth: 50}}
		l.Weigh(func(p **int) int { return **p })
		ln := &lane[*int]{lanes: l}
		want := make(map[int][]*int)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				q := rapid.SampledFrom([]int{0, 1, 7, 62, 63}).Draw(t, "queue")
				ts := make([]*int, rapid.IntRange(1, 20).Draw(t, "n"))
				for i := range ts {
					cost := rapid.IntRange(0, 9).Draw(t, "cost")
					ts[i] = &cost
				}
				ts = ts[:min(len(ts), ln.room())]
				if len(ts) == 0 {
					return
				}
				ln.put(q, ts)
				want[q] = append(want[q], ts...)
			},
			"take": func(t *rapid.T) {
				dst := make([]*int, rapid.IntRange(1, 20).Draw(t, "n"))
				most := rapid.IntRange(1, 40).Draw(t, "most")
				q, cost := ln.next, 0
				for taken := dst[:ln.take(dst, most)]; ; q = (q + 1) % numQueues {
					if len(taken) == 0 {
						return
					}
					if len(want[q]) == 0 {
						continue
					}
					if cost >= most || taken[0] != want[q][0] {
						t.Fatalf("queue %d: took %p after a cost of %d of %d, want %p", q, taken[0], cost, most, want[q][0])
					}
					cost += *taken[0]
					taken, want[q] = taken[1:], want[q][1:]
				}
			},
			"": func(t *rapid.T) {
				n := 0
				for _, tasks := range want {
					n += len(tasks)
				}
				if ln.n != n || ln.n == 0 != (ln.busy == 0) {
					t.Fatalf("%d in the lane, busy %x; want %d", ln.n, ln.busy, n)
				}
				if ln.block == nil {
					return
				}
				held := 0
				for _, s := range ln.block.slots {
					if s.task != nil {
						held++
					}
				}
				if held != n {
					t.Fatalf("the block refers to %d tasks, want %d", held, n)
				}
			},
		})
	})
}

// TestLane_Turns: one device has filled most of a lane. Another's task, posted
// last, is in the next batch; so is one of each other, and the batch costs what it
// may.
func TestLane_Turns(t *testing.T) {
	l := &Lanes[int]{cfg: LaneConfig{Depth: 1024}}
	ln := &lane[int]{lanes: l}
	for range 1000 {
		ln.put(5, []int{5})
	}
	ln.put(9, []int{9})
	batch := make([]int, 64)
	if ln.take(batch, math.MaxInt); !slices.Contains(batch, 9) {
		t.Error("behind a device with 1,000 tasks the one task of another is not among the next 64")
	}
	l.Weigh(func(*int) int { return 100 })
	if n := ln.take(batch, 250); n != 3 {
		t.Errorf("a batch of %d tasks that cost 100 each, want 3 for a bound of 250", n)
	}
}
