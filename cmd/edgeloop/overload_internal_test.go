package main

import (
	"errors"
	"fmt"
	"math"
	"runtime/metrics"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/eventloop"
)

// The lower of the two limits counts, and neither is a limit of none.
func TestGauger_MemoryLimit(t *testing.T) {
	for _, tt := range []struct{ ofRuntime, ofGroup, want int64 }{
		{math.MaxInt64, 0, 0}, {100, 0, 100}, {math.MaxInt64, 100, 100}, {90, 100, 90}, {100, 90, 90},
	} {
		if got := memoryLimit(tt.ofRuntime, tt.ofGroup); got != tt.want {
			t.Errorf("%d and %d give %d, want %d", tt.ofRuntime, tt.ofGroup, got, tt.want)
		}
	}
	g := newGauger()
	metrics.Read(g.samples)
	for _, s := range g.samples {
		if s.Value.Kind() == metrics.KindBad {
			t.Errorf("the runtime does not know %s", s.Name)
		}
	}
	g.limit = 1 << 40
	if used, taken := g.memory(); used <= 0 || used > 0.1 || taken < used {
		t.Errorf("%v of a terabyte is in use, %v is taken", used, taken)
	}
	g.limit = 0
	if used, taken := g.memory(); used != 0 || taken != 0 {
		t.Error("there is a share of no limit")
	}
}

// A log is as slow as its batches since the last look, and one that takes none as long as
// one has waited; one that stands still as long as it has.
func TestGauger_Log(t *testing.T) {
	g := newGauger()
	now := time.Now()
	counts := backbone.LogCounts{}
	want := func(what string, state backbone.State, want float64) {
		t.Helper()
		now = now.Add(time.Second)
		if got := g.log(counts, state, now, time.Second); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v s, want %v", what, got, want)
		}
	}
	want("nothing to do", backbone.State{}, 0)
	counts.Batches, counts.Commits.Sum, counts.PendingRecords = 10, 20*time.Second, 5
	want("ten batches of two seconds", backbone.State{}, 2)
	want("one waits", backbone.State{}, 1)
	want("it waits on", backbone.State{}, 2)
	counts.Batches, counts.Commits.Sum = 11, 23*time.Second
	want("it is through", backbone.State{}, 3)
	counts.PendingRecords = 0
	want("nothing waits", backbone.State{}, 0)
	want("it stands still", backbone.State{Since: now.Add(-59 * time.Second), Cause: errors.New("gone")}, 60)
	want("it goes on", backbone.State{}, 0)
	counts.PendingRecords = 5
	for range 3 {
		want("it is full", backbone.State{Since: now.Add(-59 * time.Second), Cause: fmt.Errorf("%w: bytes", backbone.ErrFull)}, 0)
	}
	want("there is room", backbone.State{}, 1)
}

// A gate that was shut for a moment since the last look has no place free.
func TestGauger_Handshakes(t *testing.T) {
	g := newGauger()
	for i, tt := range []struct {
		stats  eventloop.Stats
		queued int
		want   float64
	}{
		{eventloop.Stats{}, 50, 0.5},
		{eventloop.Stats{GateShut: true, GateCloses: 1}, 50, 1},
		{eventloop.Stats{GateCloses: 1}, 0, 0},
		{eventloop.Stats{GateCloses: 3}, 0, 1},
		{eventloop.Stats{GateCloses: 3}, 100, 1},
	} {
		if got := g.handshakes(&tt.stats, tt.queued, 100); got != tt.want {
			t.Errorf("look %d: %v, want %v", i, got, tt.want)
		}
	}
}

// A node that is short of memory has the collector look again when it has not for a while;
// one that is not leaves it alone.
func TestGauger_Collect(t *testing.T) {
	g := newGauger()
	looks := func(n int, share float64, cycles uint64) (asked int) {
		for range n {
			if g.collect(share, cycles) {
				asked++
				cycles++
			}
		}
		return asked
	}
	if n := looks(100, 0.5, 7); n != 0 {
		t.Errorf("asked %d times with half of the memory in use", n)
	}
	if n := looks(30, 0.9, 7); n < 4 || n > 6 {
		t.Errorf("asked %d times in 30 looks", n)
	}
}
