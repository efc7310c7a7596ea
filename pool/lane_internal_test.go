package pool

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The queues of a lane against slices: whatever is put and taken, and while the
// block grows. None is passed over for long.
func TestLane_Queues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Lanes[*int]{cfg: LaneConfig{Depth: 50}}
		l.Weigh(func(p **int) int32 { return int32(**p) })
		ln := &lane[*int]{lanes: l}
		want := make(map[int][]*int)
		owner := make(map[*int]int)
		waits := make(map[int]int)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				q := rapid.SampledFrom([]int{0, 1, 7, 62, 63}).Draw(t, "queue")
				ts := make([]*int, rapid.IntRange(1, 20).Draw(t, "n"))
				for i := range ts {
					cost := rapid.IntRange(0, 9).Draw(t, "cost")
					ts[i] = &cost
					owner[ts[i]] = q
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
				taken := dst[:ln.take(dst, most)]
				cost := 0
				for i, p := range taken {
					q := owner[p]
					if i > 0 && cost >= most || p != want[q][0] {
						t.Fatalf("queue %d: took %p after a cost of %d of %d, want %p", q, p, cost, most, want[q][0])
					}
					cost += *p
					want[q] = want[q][1:]
					for other, tasks := range want { // nobody is passed over more often than twice: fresh, and in the round
						if other == q || len(tasks) == 0 {
							waits[other] = 0
						} else if waits[other]++; waits[other] > 2*numQueues {
							t.Fatalf("queue %d has waited for %d tasks of others", other, waits[other])
						}
					}
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

// TestLane_Turns: devices have filled most of a lane. Another's task, posted last,
// is the next; when it posts again at once it has to wait for its round. A batch costs
// what it may.
func TestLane_Turns(t *testing.T) {
	l := &Lanes[int]{cfg: LaneConfig{Depth: 1024}, share: 1}
	ln := &lane[int]{lanes: l}
	for i := range 1000 {
		ln.put(i%40, []int{i % 40})
	}
	batch := make([]int, 64)
	ln.take(batch[:41], math.MaxInt) // each has had its turn
	ln.put(50, []int{50})
	if ln.take(batch[:1], math.MaxInt); batch[0] != 50 {
		t.Errorf("queue %d comes before the one that was empty", batch[0])
	}
	ln.put(50, []int{50})
	n := ln.take(batch, math.MaxInt)
	if place := slices.Index(batch[:n], 50); place < 30 {
		t.Errorf("the one that was just served came again as number %d, before the others had their turn", place)
	}
	l.Weigh(func(*int) int32 { return 100 })
	if n = ln.take(batch, 250); n != 3 {
		t.Errorf("a batch of %d tasks that cost 100 each, want 3 for a bound of 250", n)
	}
}

// TestLane_SmallTasksKeepUp: sixteen devices send large pieces as fast as they are
// taken, and another a small message with each batch, more than one in a round. It
// has not used up its share, so its messages go with the next batch or the one after.
func TestLane_SmallTasksKeepUp(t *testing.T) {
	const large, small, bound = 9800, 600, 16 << 10
	l := &Lanes[int]{cfg: LaneConfig{Depth: 1024, BatchCost: bound}}
	l.Weigh(func(q *int) int32 {
		if *q == 50 {
			return small
		}
		return large
	})
	ln := &lane[int]{lanes: l}
	for q := range 16 {
		ln.put(q, []int{q, q, q, q})
	}
	batch := make([]int, 64)
	for range 8 { // all were empty: their first round
		for _, q := range batch[:ln.take(batch, bound)] {
			ln.put(q, []int{q})
		}
	}
	waiting, most, heavy := 0, 0, map[int]int{}
	for range 1000 {
		ln.put(50, []int{50})
		waiting++
		n := ln.take(batch, bound)
		for _, q := range batch[:n] {
			if q == 50 {
				waiting--
				continue
			}
			heavy[q]++
			ln.put(q, []int{q})
		}
		most = max(most, waiting)
	}
	if most > 2 {
		t.Errorf("%d messages of the one that sends little waited together", most)
	}
	for q := range 16 {
		if n := heavy[q]; n < 1000/16 {
			t.Errorf("queue %d had %d pieces in 1,000 batches", q, n)
		}
	}
}
