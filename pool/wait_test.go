package pool_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/pool"
)

// waiter counts its calls.
type waiter struct{ calls atomic.Int32 }

func (w *waiter) LaneReady() { w.calls.Add(1) }

// A lane is full. A waiter is told once, when it is half empty, and until then
// nobody overtakes.
func TestLanes_Wait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 1})
		step := make(chan struct{})
		l := lanes(t, p, pool.LaneConfig{Lanes: 1, Depth: 8, Batch: 1}, func([]int) { <-step })
		l.Post(0, 0)
		synctest.Wait() // the worker holds one, and waits
		if n := l.Post(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10); n != 8 {
			t.Fatalf("Post took %d, want the depth", n)
		}
		var a, b waiter
		if !l.Wait(0, &a) || !l.Wait(0, &b) {
			t.Fatal("Wait says that a full lane has room")
		}
		for queued := 7; queued >= 5; queued-- {
			step <- struct{}{}
			synctest.Wait()
			if l.Stats().Queued != queued || a.calls.Load() != 0 {
				t.Fatalf("%d queued, want %d; told %d times", l.Stats().Queued, queued, a.calls.Load())
			}
			if l.Post(0, 99) != 0 || l.Stats().Waiting != 2 {
				t.Fatal("Post overtook those who wait")
			}
		}
		step <- struct{}{}
		synctest.Wait()
		if a.calls.Load() != 1 || b.calls.Load() != 1 {
			t.Fatalf("told %d and %d times, want once each", a.calls.Load(), b.calls.Load())
		}
		if l.Wait(0, &a) || l.Post(0, 1, 2, 3, 4, 5) != 4 {
			t.Fatal("a lane that is half empty has no room")
		}
		close(step)
		drain(t, l)
		if a.calls.Load() != 1 || b.calls.Load() != 1 {
			t.Errorf("told %d and %d times in the end", a.calls.Load(), b.calls.Load())
		}
	})
}

// A waiter that has gone is not told, and does not keep others waiting.
func TestLanes_Forget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 1})
		release := make(chan struct{})
		l := lanes(t, p, pool.LaneConfig{Lanes: 1, Depth: 2, Batch: 1}, func([]int) { <-release })
		l.Post(0, 0)
		synctest.Wait()
		l.Post(0, 1, 2)
		var gone, stays waiter
		l.Wait(0, &gone)
		l.Wait(0, &stays)
		l.Forget(0, &gone)
		l.Forget(0, &gone) // not there any more
		if got := l.Stats().Waiting; got != 1 {
			t.Fatalf("%d wait, want the one who stays", got)
		}
		close(release)
		drain(t, l)
		if gone.calls.Load() != 0 || stays.calls.Load() != 1 {
			t.Errorf("told %d and %d times, want 0 and 1", gone.calls.Load(), stays.calls.Load())
		}
	})
}

// Thousands wait for one lane and leave at once, as in a mass disconnect. A search
// through all for each would take minutes here.
func TestLanes_ForgetMany(t *testing.T) {
	const many = 200_000
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 1})
		release := make(chan struct{})
		l := lanes(t, p, pool.LaneConfig{Lanes: 1, Depth: 1, Batch: 1}, func([]int) { <-release })
		l.Post(0, 0)
		synctest.Wait()
		l.Post(0, 1)
		waiters := make([]waiter, many)
		for i := range waiters {
			l.Wait(0, &waiters[i])
		}
		for i := range waiters {
			l.Forget(0, &waiters[many-1-i])
		}
		if got := l.Stats().Waiting; got != 0 {
			t.Errorf("%d wait, want none", got)
		}
		close(release)
		drain(t, l)
	})
}

// A waiter that panics costs neither the lane nor the next waiter.
func TestLanes_WaiterPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		p := start(t, pool.Config{Workers: 1, OnPanic: func(task, _ any, _ []byte) {
			if task == nil {
				told++
			}
		}})
		release := make(chan struct{})
		l := lanes(t, p, pool.LaneConfig{Lanes: 1, Depth: 1}, func([]int) { <-release })
		l.Post(0, 1)
		synctest.Wait()
		l.Post(0, 2)
		var good waiter
		l.Wait(0, panicky{})
		l.Wait(0, &good)
		close(release)
		drain(t, l)
		if s := p.Stats(); s.Panics != 1 || s.Abandoned != 0 || told != 1 || good.calls.Load() != 1 {
			t.Errorf("%+v, told %d, the other waiter %d times", s, told, good.calls.Load())
		}
	})
}

type panicky struct{}

func (panicky) LaneReady() { panic("boom") }

// signal is a waiter that wakes one goroutine.
type signal chan struct{}

func (s signal) LaneReady() { s <- struct{}{} }

// Posters sleep on full lanes while workers empty them as fast as they can. A
// wake-up that is lost leaves a poster asleep, and the test stands still.
func TestLanes_NoLostWakeup(t *testing.T) {
	const posters, tasks = 8, 5000
	p := start(t, pool.Config{Workers: 3})
	var handled atomic.Int64
	l := lanes(t, p, pool.LaneConfig{Lanes: 2, Depth: 5, Batch: 2}, func(batch []int) {
		handled.Add(int64(len(batch)))
		if handled.Load()%17 == 0 {
			runtime.Gosched()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for poster := range posters {
		wg.Go(func() {
			ready := make(signal, 1)
			for n := 0; n < tasks; {
				took := l.Post(uint64(poster), 1)
				n += took
				if took == 1 || !l.Wait(uint64(poster), ready) {
					continue
				}
				select {
				case <-ready:
				case <-ctx.Done():
					t.Errorf("poster %d was not woken after %d tasks: %+v %+v", poster, n, p.Stats(), l.Stats())
					return
				}
			}
		})
	}
	wg.Wait()
	drain(t, l)
	if handled.Load() != posters*tasks && !t.Failed() {
		t.Errorf("handled %d, want %d", handled.Load(), posters*tasks)
	}
}

// Workers park whenever they find nothing, and single posts must each find one
// awake or wake one: every post here is handled before the next.
func TestPool_NoLostWakeup(t *testing.T) {
	p := start(t, pool.Config{Workers: 4})
	done := make(chan int, 2)
	l := lanes(t, p, pool.LaneConfig{Lanes: 16}, func(batch []int) {
		for range batch {
			done <- 1
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for i := range 20_000 {
		l.Post(uint64(i), 1)
		l.Post(uint64(i+1), 1)
		if i%100 == 0 {
			p.Resize(1 + i/100%4)
		}
		for range 2 {
			select {
			case <-done:
			case <-ctx.Done():
				t.Fatalf("post %d is not handled: %+v", i, p.Stats())
			}
		}
	}
}

// Work for all arrives at once while all workers are parked: each gets its lane,
// though only one of them is woken by the poster.
func TestPool_WakesAll(t *testing.T) {
	const workers = 8
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			p := start(t, pool.Config{Workers: workers})
			var busy atomic.Int32
			release := make(chan struct{})
			l := lanes(t, p, pool.LaneConfig{Lanes: 1 << 12}, func([]int) {
				busy.Add(1)
				<-release
			})
			synctest.Wait()
			for key := range uint64(workers) {
				l.Post(key, 1)
			}
			synctest.Wait()
			if busy.Load() != workers {
				t.Errorf("%d workers are busy, want all: %+v", busy.Load(), p.Stats())
			}
			close(release)
			drain(t, l)
		})
	}
}

// A burst fills a lane to its depth. When it is handled the memory is gone.
func TestLanes_MemoryAfterBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 1})
		release := make(chan struct{})
		l := lanes(t, p, pool.LaneConfig{Lanes: 1024, Depth: 1000}, func([]int) { <-release })
		if s := l.Stats(); s.Slots != 0 || s.Lanes != 1024 {
			t.Errorf("unused lanes hold memory: %+v", s)
		}
		l.Post(0, 0)
		synctest.Wait()
		if n := l.Post(0, make([]int, 2000)...); n != 1000 {
			t.Errorf("Post took %d", n)
		}
		if s := l.Stats(); s.Slots != 1024 || s.Queued != 1000 {
			t.Errorf("full lane: %+v", s)
		}
		close(release)
		drain(t, l)
		if s := l.Stats(); s.Slots != 0 || s.Active != 0 {
			t.Errorf("after the burst: %+v", s)
		}
		l.Post(0, 1)
		drain(t, l)
		if s := l.Stats(); s.Slots != 4 {
			t.Errorf("a lane in light use: %+v", s)
		}
	})
}
