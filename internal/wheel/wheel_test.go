package wheel_test

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"edgeloop/internal/invariants"
	"edgeloop/internal/wheel"
)

// fire advances w to now and fires all that are due.
func fire(w *wheel.Wheel, now uint32, f func(uint32) uint32) {
	w.Advance(now)
	w.Fire(math.MaxInt, f)
}

// fired advances w to now and returns the ids that fired, sorted; all are parked.
func fired(w *wheel.Wheel, now uint32) (ids []uint32) {
	fire(w, now, func(id uint32) uint32 { ids = append(ids, id); return 0 })
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
	t.Run("Touch is seen by who is fired, and does not move the timer", func(t *testing.T) {
		w := wheel.New(8, 0)
		id := w.Add(3)
		wantFired(t, w, 2)
		w.Touch(id)
		wantFired(t, w, 3, id)
		if w.Idle(id) != 1 {
			t.Errorf("Idle = %d, want 1", w.Idle(id))
		}
	})
	t.Run("a wait longer than the wheel is cut to its turn", func(t *testing.T) {
		w := wheel.New(4, 0)
		id := w.Add(1001)
		wantFired(t, w, 2)
		wantFired(t, w, 3, id)
	})
	t.Run("a jump over several turns fires each timer once", func(t *testing.T) {
		w := wheel.New(4, 0)
		a, b := w.Add(1), w.Add(2)
		wantFired(t, w, 400, a, b)
		wantFired(t, w, 500)
	})
	t.Run("a timer that fires in a jump is not met again in the same jump", func(t *testing.T) {
		w := wheel.New(4, 0)
		w.Add(1)
		calls := 0
		fire(w, 3, func(uint32) uint32 { calls++; return 3 }) // its next slot is 2
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
	t.Run("it fires again at the tick that fire asked for", func(t *testing.T) {
		w := wheel.New(64, 0)
		id := w.Add(30)
		fire(w, 30, func(uint32) uint32 { return 20 })
		wantFired(t, w, 49)
		wantFired(t, w, 50, id)
	})
}

// Those that are due are fired in slices. What is due later waits behind them,
// and who is removed or reset meanwhile does not fire.
func TestWheel_FiresInSlices(t *testing.T) {
	w := wheel.New(8, 0)
	var ids []uint32
	for range 10 {
		ids = append(ids, w.Add(1))
	}
	w.Advance(1)
	var got []uint32
	slice := func(most int) bool {
		return w.Fire(most, func(id uint32) uint32 { got = append(got, id); return 0 })
	}
	if !slice(4) || len(got) != 4 {
		t.Fatalf("%d fired, want 4 and more to come", len(got))
	}
	late := w.Add(1)
	w.Advance(2)
	var out []uint32
	for _, id := range ids {
		if !slices.Contains(got, id) {
			out = append(out, id)
		}
	}
	w.Remove(out[0])
	w.Reset(out[1], 3)
	if !slice(4) || slice(4) || len(got) != 9 || got[8] != late {
		t.Fatalf("fired %v, the last is to be %d", got, late)
	}
	wantFired(t, w, 5, out[1])
}

func TestWheel_Mark(t *testing.T) {
	marked := func(t *testing.T, w *wheel.Wheel, id, ago uint32, want bool) {
		t.Helper()
		if got, ok := w.Marked(id); ok != want || (ok && got != ago) {
			t.Fatalf("marked %v, %d ticks ago; want %v, %d", ok, got, want, ago)
		}
	}
	again := func(uint32) uint32 { return 1 }
	w := wheel.New(8, math.MaxUint32-2)
	id := w.Add(1)
	marked(t, w, id, 0, false)
	w.Mark(id) // it was heard of in this very tick
	fire(w, math.MaxUint32, again)
	marked(t, w, id, 0, false)
	w.Mark(id)
	fire(w, 3, again)
	w.Mark(id) // the first stands
	marked(t, w, id, 4, true)
	w.Touch(id)
	marked(t, w, id, 0, false)
	for now := uint32(0); now < 1<<31+1<<30; now += 1 << 29 { // years of traffic
		w.Advance(now)
		w.Touch(id)
		w.Fire(1, again)
	}
	fire(w, w.Now()+1, again)
	marked(t, w, id, 0, false)
}

func TestWheel_Reset(t *testing.T) {
	w := wheel.New(8, 0)
	id := w.Add(2)
	w.Advance(1)
	w.Reset(id, 5) // a connection has finished its handshake
	wantFired(t, w, 5)
	wantFired(t, w, 6, id)
	w.Reset(id, 1)
	wantFired(t, w, 7, id)
}

// Move changes when a timer fires and nothing of what is known of it.
func TestWheel_Move(t *testing.T) {
	w := wheel.New(8, 0)
	id := w.Add(6)
	w.Advance(1)
	w.Mark(id)
	w.Advance(2)
	w.Move(id, 1)
	if ago, ok := w.Marked(id); w.Idle(id) != 2 || !ok || ago != 1 {
		t.Errorf("idle %d, marked %v %d ticks ago: want 2, and 1", w.Idle(id), ok, ago)
	}
	wantFired(t, w, 3, id)
	wantFired(t, w, 7)
	w.Advance(8)
	w.Move(id, 2) // it was parked
	wantFired(t, w, 10, id)
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
		fire(w, 2, func(uint32) uint32 {
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
		fire(w, 2, func(id uint32) uint32 {
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
		"Advance":        func() { now++; fire(w, now, rearm) },
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
	again := func(uint32) uint32 { return 30 }
	now := uint32(0)
	for range 30 {
		for range 100_000 / 30 {
			w.Add(30)
		}
		now++
		fire(w, now, again)
	}
	b.ReportAllocs()
	for b.Loop() {
		now++
		fire(w, now, again)
	}
}
