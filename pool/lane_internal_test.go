package pool

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The queues of a lane against slices by key: whatever is put and taken, and while
// the block grows. The order of a key is kept, two keys share a queue only when
// there was no other, and none is passed over for long.
func TestLane_Queues(t *testing.T) {
	const dear = 9 // the most that a task costs; a share is 1
	rapid.Check(t, func(t *rapid.T) {
		l := &Lanes[*int]{cfg: LaneConfig{Depth: 200}}
		l.Weigh(func(p **int) int32 { return int32(**p) })
		ln := &lane[*int]{lanes: l}
		homes := rapid.SampledFrom([]int{1, 5, numQueues}).Draw(t, "homes")
		want := make(map[uint64][]*int)
		where := make(map[uint64]int) // by key with tasks, its queue
		owner := make(map[*int]uint64)
		crowded := make(map[int]bool) // queues that were shared when there was no other
		passed := make(map[int]int)   // by queue, what others have had while it waited
		put := func(t *rapid.T, key uint64) {
			ts := make([]*int, rapid.IntRange(1, 5).Draw(t, "n"))
			for i := range ts {
				cost := rapid.IntRange(1, dear).Draw(t, "cost")
				ts[i] = &cost
				owner[ts[i]] = key
			}
			ts = ts[:min(len(ts), ln.roomLocked())]
			if len(ts) == 0 {
				return
			}
			q := ln.queueOfLocked(key, int(key)%homes)
			switch own, waits := where[key]; {
			case waits && q != own:
				t.Fatalf("key %d waits in queue %d, and is put into %d", key, own, q)
			case waits || ln.busy>>q&1 == 0:
			case ln.busy == math.MaxUint64:
				crowded[q] = true
			case !crowded[q]:
				t.Fatalf("key %d is put into queue %d, which has tasks of others, with %x busy", key, q, ln.busy)
			}
			ln.putLocked(q, ts)
			where[key] = q
			want[key] = append(want[key], ts...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) { put(t, uint64(rapid.IntRange(0, 90).Draw(t, "key"))) },
			"put many": func(t *rapid.T) {
				first := rapid.IntRange(0, 20).Draw(t, "first")
				for key := first; key < first+70; key++ {
					put(t, uint64(key))
				}
			},
			"take": func(t *rapid.T) {
				dst := make([]*int, rapid.IntRange(1, 120).Draw(t, "n"))
				most := rapid.IntRange(1, 400).Draw(t, "most")
				cost := 0
				for i, p := range dst[:ln.takeLocked(dst, most)] {
					key := owner[p]
					if i > 0 && cost >= most || p != want[key][0] {
						t.Fatalf("key %d: took %p after a cost of %d of %d, want %p", key, p, cost, most, want[key][0])
					}
					cost += *p
					if want[key] = want[key][1:]; len(want[key]) == 0 {
						delete(want, key)
					}
					q := where[key]
					waiting := make(map[int]bool)
					for other := range want {
						waiting[where[other]] = true
					}
					for other := range waiting {
						if passed[other] += *p; other == q {
							passed[other] = 0
						} else if passed[other] > numQueues*(1+3*dear) {
							t.Fatalf("queue %d has waited while others had %d", other, passed[other])
						}
					}
					if want[key] == nil {
						delete(where, key)
					}
					if !waiting[q] {
						crowded[q], passed[q] = false, 0
					}
				}
			},
			"": func(t *rapid.T) {
				n, busy := 0, uint64(0)
				for key, tasks := range want {
					n += len(tasks)
					busy |= 1 << where[key]
				}
				if ln.n != n || ln.busy != busy {
					t.Fatalf("%d in the lane, busy %x; want %d and %x", ln.n, ln.busy, n, busy)
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
		ln.putLocked(i%40, []int{i % 40})
	}
	batch := make([]int, 64)
	ln.takeLocked(batch[:41], math.MaxInt) // each has had its turn
	ln.putLocked(50, []int{50})
	if ln.takeLocked(batch[:1], math.MaxInt); batch[0] != 50 {
		t.Errorf("queue %d comes before the one that was empty", batch[0])
	}
	ln.putLocked(50, []int{50})
	n := ln.takeLocked(batch, math.MaxInt)
	if place := slices.Index(batch[:n], 50); place < 30 {
		t.Errorf("the one that was just served came again as number %d, before the others had their turn", place)
	}
	l.Weigh(func(*int) int32 { return 100 })
	if n = ln.takeLocked(batch, 250); n != 3 {
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
		ln.putLocked(q, []int{q, q, q, q})
	}
	batch := make([]int, 64)
	for range 8 { // all were empty: their first round
		for _, q := range batch[:ln.takeLocked(batch, bound)] {
			ln.putLocked(q, []int{q})
		}
	}
	waiting, most, heavy := 0, 0, map[int]int{}
	for range 1000 {
		ln.putLocked(50, []int{50})
		waiting++
		n := ln.takeLocked(batch, bound)
		for _, q := range batch[:n] {
			if q == 50 {
				waiting--
				continue
			}
			heavy[q]++
			ln.putLocked(q, []int{q})
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

// TestLane_AlmostItsPart: sixteen devices send as much as is taken, and another
// nineteen twentieths of its part, in bursts. It gets them, and never waits for a
// round of all the others.
func TestLane_AlmostItsPart(t *testing.T) {
	const large, small, bound, others = 9800, 600, 16 << 10, 16
	l := &Lanes[int]{cfg: LaneConfig{Depth: 1024, BatchCost: bound}}
	l.Weigh(func(q *int) int32 {
		if *q == 8 {
			return small
		}
		return large
	})
	ln := &lane[int]{lanes: l}
	for q := 3; q <= 3*others; q += 3 {
		ln.putLocked(q, []int{q, q, q, q})
	}
	batch := make([]int, 64)
	sent, taken, longest, since, left := 0, 0, 0, 0, 0
	for n := range 5000 {
		if n == 100 { // all have had some by now
			longest = 0
		}
		if left += 2 * large * 95 / 100 / (others + 1); left >= 4*small {
			left -= 4 * small
			ln.putLocked(8, []int{8, 8, 8, 8})
			sent += 4
		}
		for _, q := range batch[:ln.takeLocked(batch, bound)] {
			if q == 8 {
				taken++
			} else {
				ln.putLocked(q, []int{q})
			}
		}
		if sent == taken {
			since = n
		}
		longest = max(longest, n-since)
	}
	if longest > 2 {
		t.Errorf("it waited for %d batches", longest)
	}
}
