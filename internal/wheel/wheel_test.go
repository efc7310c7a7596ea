package wheel_test

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"edgeloop/internal/invariants"
	"edgeloop/internal/wheel"
)

// fired advances w to now and returns the ids that fired, sorted; all are parked.
func fired(w *wheel.Wheel, now uint32) (ids []uint32) {
	w.Advance(now, func(id uint32) uint32 { ids = append(ids, id); return 0 })
	slices.Sort(ids)
	return ids
}

func wantFired(t *testing.T, w *wheel.Wheel, now uint32, want ...uint32) {
	t.Helper()
	if got := fired(w, now); !slices.Equal(got, want) {
		t.Fatalf("at tick %d fired %v, want %v", now, got, want)
	}
}

func TestWheel_Advance(t *testing.T) {
	t.Run("fires wait ticks after Add, once", func(t *testing.T) {
		w := wheel.New(8, 100)
		id := w.Add(3)
		wantFired(t, w, 102)
		wantFired(t, w, 103, id)
		wantFired(t, w, 200)
		if w.Len() != 1 {
			t.Errorf("Len = %d, want the parked timer to count", w.Len())
		}
	})
	t.Run("Touch pushes it back", func(t *testing.T) {
		w := wheel.New(8, 0)
		id := w.Add(3)
		wantFired(t, w, 2)
		w.Touch(id)
		wantFired(t, w, 4)
		if w.Idle(id) != 2 {
			t.Errorf("Idle = %d, want 2", w.Idle(id))
		}
		wantFired(t, w, 5, id)
	})
	t.Run("a wait longer than the wheel is exact", func(t *testing.T) {
		w := wheel.New(4, 0)
		id := w.Add(1001)
		for now := uint32(1); now < 1001; now++ {
			wantFired(t, w, now)
		}
		wantFired(t, w, 1001, id)
	})
	t.Run("a jump over several turns fires each timer once", func(t *testing.T) {
		w := wheel.New(4, 0)
		a, b, c := w.Add(1), w.Add(2), w.Add(500)
		wantFired(t, w, 400, a, b)
		wantFired(t, w, 500, c)
	})
	t.Run("a timer that fires in a jump is not met again in the same jump", func(t *testing.T) {
		w := wheel.New(4, 0)
		w.Add(1)
		calls := 0
		w.Advance(3, func(uint32) uint32 { calls++; return 3 }) // its next slot is 2
		if calls != 1 {
			t.Fatalf("fired %d times", calls)
		}
	})
	t.Run("an earlier tick does nothing", func(t *testing.T) {
		w := wheel.New(4, 10)
		w.Add(1)
		wantFired(t, w, 10)
		wantFired(t, w, 9)
	})
	t.Run("the tick may wrap around", func(t *testing.T) {
		w := wheel.New(8, math.MaxUint32-1)
		id := w.Add(4)
		wantFired(t, w, 1)
		wantFired(t, w, 2, id)
	})
	t.Run("after the answer of fire a Touch counts with the timer's own wait", func(t *testing.T) {
		w := wheel.New(64, 0)
		id := w.Add(30) // ping at 30, look again at 50
		w.Advance(30, func(uint32) uint32 { return 20 })
		w.Advance(31, nil)
		w.Touch(id) // the pong
		wantFired(t, w, 60)
		wantFired(t, w, 61, id)
	})
	t.Run("without a Touch it fires at the tick that fire asked for", func(t *testing.T) {
		w := wheel.New(64, 0)
		id := w.Add(30)
		w.Advance(30, func(uint32) uint32 { return 20 })
		wantFired(t, w, 49)
		wantFired(t, w, 50, id)
	})
}

func TestWheel_Reset(t *testing.T) {
	w := wheel.New(8, 0)
	id := w.Add(2)
	w.Advance(1, nil)
	w.Reset(id, 5) // a connection has finished its handshake
	wantFired(t, w, 5)
	wantFired(t, w, 6, id)
	w.Reset(id, 1)
	wantFired(t, w, 7, id)
}

func TestWheel_Remove(t *testing.T) {
	t.Run("a removed timer never fires and its id is used again", func(t *testing.T) {
		w := wheel.New(8, 0)
		a := w.Add(2)
		w.Remove(a)
		b := w.Add(4)
		if a != b || w.Len() != 1 {
			t.Fatalf("ids %d and %d, Len %d", a, b, w.Len())
		}
		wantFired(t, w, 3)
		wantFired(t, w, 4, b)
	})
	t.Run("fire may remove itself and others of the same slot", func(t *testing.T) {
		w := wheel.New(8, 0)
		ids := []uint32{w.Add(2), w.Add(2), w.Add(2)}
		calls := 0
		w.Advance(2, func(uint32) uint32 {
			calls++
			for _, id := range ids {
				w.Remove(id)
			}
			return 1
		})
		if calls != 1 || w.Len() != 0 {
			t.Fatalf("%d calls, Len %d", calls, w.Len())
		}
		wantFired(t, w, 20)
	})
	t.Run("the answer does not reach a timer that took over the id", func(t *testing.T) {
		w := wheel.New(64, 0)
		old := w.Add(2)
		w.Advance(2, func(id uint32) uint32 {
			w.Remove(id)
			if again := w.Add(10); again != old {
				t.Fatalf("id %d, want %d again", again, old)
			}
			return 40
		})
		wantFired(t, w, 11)
		wantFired(t, w, 12, old)
	})
	t.Run("use after it panics in builds with invariants", func(t *testing.T) {
		if !invariants.Enabled {
			t.Skip("needs the tag invariants or -race")
		}
		w := wheel.New(8, 0)
		id := w.Add(1)
		w.Remove(id)
		defer func() {
			if recover() == nil {
				t.Error("second Remove did not panic")
			}
		}()
		w.Remove(id)
	})
}

func TestNodeSize(t *testing.T) {
	if wheel.NodeSize > 16 {
		t.Errorf("a timer takes %d bytes, want at most 16", wheel.NodeSize)
	}
	if s := unsafe.Sizeof(wheel.Wheel{}); s > 64 {
		t.Errorf("a wheel takes %d bytes", s)
	}
}

func TestAllocs_Wheel(t *testing.T) {
	w := wheel.New(64, 0)
	id := w.Add(30)
	now := uint32(0)
	rearm := func(uint32) uint32 { return 30 }
	for name, f := range map[string]func(){
		"Touch":          func() { w.Touch(id) },
		"Add and Remove": func() { w.Remove(w.Add(30)) },
		"Advance":        func() { now++; w.Advance(now, rearm) },
	} {
		if got := testing.AllocsPerRun(1000, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkWheel_Touch(b *testing.B) {
	w := wheel.New(128, 0)
	ids := make([]uint32, 100_000)
	for i := range ids {
		ids[i] = w.Add(30)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.Touch(ids[i%len(ids)])
		i += 7919
	}
}

// BenchmarkWheel_Advance is one tick with 100,000 timers of 30 ticks.
func BenchmarkWheel_Advance(b *testing.B) {
	w := wheel.New(128, 0)
	fire := func(uint32) uint32 { return 30 }
	now := uint32(0)
	for range 30 {
		for range 100_000 / 30 {
			w.Add(30)
		}
		now++
		w.Advance(now, fire)
	}
	b.ReportAllocs()
	for b.Loop() {
		now++
		w.Advance(now, fire)
	}
}
