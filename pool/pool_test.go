package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/internal/invariants"
	"edgeloop/pool"
)

// start makes a pool that is stopped when the test ends.
func start(t testing.TB, cfg pool.Config) *pool.Pool {
	t.Helper()
	p, err := pool.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p) })
	return p
}

func stop(t testing.TB, p *pool.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func lanes[T any](t testing.TB, p *pool.Pool, cfg pool.LaneConfig, handle func([]T)) *pool.Lanes[T] {
	t.Helper()
	l, err := pool.NewLanes(p, cfg, handle)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func drain(t testing.TB, l interface{ WaitEmpty(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.WaitEmpty(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestNew(t *testing.T) {
	for _, n := range []int{-1, pool.MaxWorkers + 1} {
		if _, err := pool.New(pool.Config{Workers: n}); err == nil || !strings.Contains(err.Error(), "want 1 to") {
			t.Errorf("%d workers: %v", n, err)
		}
	}
	p := start(t, pool.Config{})
	if got, want := p.Stats().Workers, 4*runtime.GOMAXPROCS(0); got != want {
		t.Errorf("%d workers by default, want %d", got, want)
	}
	for _, cfg := range []pool.LaneConfig{{Lanes: -1}, {Depth: 1 << 21}, {Batch: 1 << 13}} {
		if _, err := pool.NewLanes(p, cfg, func([]int) {}); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

// Many posters, each with its own keys, post to lanes that are all busy, while
// workers yield at random and their number changes. Each key's tasks come out
// in the order they went in.
func TestLanes_Order(t *testing.T) {
	const posters, keys, tasks = 4, 64, 400
	type task struct{ key, n int }
	p := start(t, pool.Config{Workers: 5})
	var got [posters * keys]int
	var inLane [posters * keys]atomic.Int32
	var handled atomic.Int64
	l := lanes(t, p, pool.LaneConfig{Lanes: 32, Depth: 16, Batch: 7}, func(batch []task) {
		if len(batch) == 0 || len(batch) > 7 {
			t.Errorf("a batch of %d", len(batch))
		}
		for _, k := range batch {
			if inLane[k.key].Add(1) != 1 {
				t.Errorf("key %d is handled twice at once", k.key)
			}
			if got[k.key] != k.n {
				t.Errorf("key %d: task %d after %d", k.key, k.n, got[k.key]-1)
			}
			got[k.key] = k.n + 1
			if rand.IntN(8) == 0 {
				runtime.Gosched()
			}
			inLane[k.key].Add(-1)
		}
		handled.Add(int64(len(batch)))
	})
	var wg sync.WaitGroup
	for poster := range posters {
		wg.Go(func() {
			var next [keys]int
			for left := keys * tasks; left > 0; {
				k := rand.IntN(keys)
				key := poster*keys + k
				var batch []task
				for n := next[k]; n < min(tasks, next[k]+1+rand.IntN(20)); n++ {
					batch = append(batch, task{key, n})
				}
				n := l.Post(uint64(key), batch...)
				next[k] += n
				left -= n
				if n < len(batch) {
					runtime.Gosched()
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for resized := false; !resized; {
		select {
		case <-done:
			resized = true
		default:
			p.Resize(1 + rand.IntN(9))
			runtime.Gosched()
		}
	}
	drain(t, l)
	if handled.Load() != posters*keys*tasks {
		t.Errorf("handled %d tasks, want %d", handled.Load(), posters*keys*tasks)
	}
	s := l.Stats()
	if s.Queued != 0 || s.Active != 0 || s.Posted != posters*keys*tasks || s.Refused == 0 {
		t.Errorf("after all: %+v", s)
	}
}

// One device's handler hangs. The devices of other lanes are served all the
// same, as long as one worker is free.
func TestLanes_StuckLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 2})
		release := make(chan struct{})
		var served atomic.Int64
		l := lanes(t, p, pool.LaneConfig{Lanes: 64}, func(batch []uint64) {
			if batch[0] == 0 {
				<-release
			}
			served.Add(int64(len(batch)))
		})
		l.Post(0, 0)
		synctest.Wait() // the first worker is stuck
		for key := uint64(1); key <= 1000; key++ {
			for l.Post(key, key) == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		// Keys that share the stuck lane wait with it.
		if got, queued := served.Load(), int64(l.Stats().Queued); got+queued != 1000 || got < 900 {
			t.Errorf("%d served, %d waiting", got, queued)
		}
		close(release)
		drain(t, l)
		if served.Load() != 1001 {
			t.Errorf("%d served in the end", served.Load())
		}
	})
}

// A lane that always has work goes to the end of the queue after each batch.
func TestLanes_Fairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 1})
		release := make(chan struct{})
		var order []uint64
		l := lanes(t, p, pool.LaneConfig{Lanes: 64, Batch: 2}, func(batch []uint64) {
			<-release
			order = append(order, batch[0])
		})
		a, b := uint64(1), uint64(2)
		l.Post(a, a)
		synctest.Wait() // the worker holds the first batch of a
		for range 6 {
			l.Post(a, a)
			l.Post(b, b)
		}
		close(release)
		drain(t, l)
		for i, key := range order {
			if want := []uint64{a, b, a, b, a, b, a}[i]; key != want {
				t.Fatalf("served in the order %v", order)
			}
		}
		if len(order) != 7 {
			t.Errorf("served %v", order)
		}
	})
}

func TestPool_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guilty []any
		release := make(chan struct{})
		p := start(t, pool.Config{Workers: 1, OnPanic: func(task, v any, stack []byte) {
			if v != "boom" || !strings.Contains(string(stack), "pool_test") {
				t.Errorf("told of %v with %d bytes of stack", v, len(stack))
			}
			guilty = append(guilty, task)
		}})
		var effects []int
		once := true
		l := lanes(t, p, pool.LaneConfig{Lanes: 1}, func(batch []int) {
			<-release
			for _, n := range batch {
				if n == 3 || n == 7 && once {
					once = once && n != 7
					panic("boom")
				}
			}
			effects = append(effects, batch...)
		})
		l.Post(0, -1)
		synctest.Wait()
		l.Post(0, 1, 2, 3, 4)
		close(release)
		drain(t, l)
		l.Post(0, 3)
		drain(t, l)
		l.Post(0, 5)
		drain(t, l)
		once = true
		l.Post(0, 6, 7) // panics as a batch, not one by one
		drain(t, l)

		want := []int{-1, 1, 2, 4, 5, 6, 7}
		if len(effects) != len(want) {
			t.Fatalf("handled %v, want %v", effects, want)
		}
		for i := range want {
			if effects[i] != want[i] {
				t.Fatalf("handled %v, want %v", effects, want)
			}
		}
		if len(guilty) != 3 || guilty[0] != 3 || guilty[1] != 3 || guilty[2] != nil {
			t.Errorf("told of %v", guilty)
		}
		if s := p.Stats(); s.Abandoned != 2 || s.Panics != 4 || s.Running != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPool_Stop(t *testing.T) {
	t.Run("finishes what was accepted, and takes nothing more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := pool.New(pool.Config{Workers: 3})
			if err != nil {
				t.Fatal(err)
			}
			var handled atomic.Int64
			l := lanes(t, p, pool.LaneConfig{Lanes: 8, Batch: 1}, func([]int) {
				time.Sleep(time.Second)
				handled.Add(1)
			})
			for key := range 100 {
				l.Post(uint64(key), key)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "lanes unfinished") {
				t.Errorf("Stop that is out of time: %v", err)
			}
			if l.Post(1, 1) != 0 {
				t.Error("Post takes more after Stop")
			}
			if !l.Wait(1, nil) {
				t.Error("Wait after Stop says that there is room")
			}
			if _, err := pool.NewLanes(p, pool.LaneConfig{}, func([]int) {}); !errors.Is(err, pool.ErrStopped) {
				t.Errorf("NewLanes after Stop: %v", err)
			}
			p.Resize(50)
			if err := p.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if s := p.Stats(); handled.Load() != 100 || s.Running != 0 {
				t.Errorf("handled %d of 100, %d workers left", handled.Load(), s.Running)
			}
			if err := p.Stop(t.Context()); err != nil {
				t.Errorf("Stop again: %v", err)
			}
		})
	})
	t.Run("handles all that Post said it took, while posters race with it", func(t *testing.T) {
		for range 200 {
			p, err := pool.New(pool.Config{Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			var taken, handled atomic.Int64
			l := lanes(t, p, pool.LaneConfig{Lanes: 2}, func(batch []int) { handled.Add(int64(len(batch))) })
			var wg sync.WaitGroup
			for key := range uint64(2) {
				wg.Go(func() {
					for n := 1; n > 0; {
						n = l.Post(key, 1)
						taken.Add(int64(n))
					}
				})
			}
			runtime.Gosched()
			stop(t, p)
			wg.Wait()
			if taken.Load() != handled.Load() {
				t.Fatalf("took %d, handled %d", taken.Load(), handled.Load())
			}
		}
	})
}

func TestPool_Resize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, pool.Config{Workers: 2})
		running := 0
		var mu sync.Mutex
		release := make(chan struct{})
		l := lanes(t, p, pool.LaneConfig{Lanes: 64, Batch: 1}, func([]int) {
			mu.Lock()
			running++
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
		})
		for key := range uint64(1000) {
			l.Post(key, 1)
		}
		for _, want := range []int{2, 9, 30} {
			p.Resize(want)
			synctest.Wait()
			if s := p.Stats(); running != want || s.Running != want || s.Idle != 0 {
				t.Fatalf("want %d workers: %d handlers run, %+v", want, running, s)
			}
		}
		p.Resize(3)
		synctest.Wait()
		if running != 30 {
			t.Fatalf("%d handlers run, want those that had begun", running)
		}
		close(release)
		drain(t, l)
		synctest.Wait()
		if s := p.Stats(); s.Running != 3 || s.Idle != 3 || s.Ready != 0 || s.Active != 0 {
			t.Fatalf("after shrinking and draining: %+v", s)
		}
		p.Resize(0) // held to one
		p.Resize(1)
		synctest.Wait()
		if s := p.Stats(); s.Running != 1 || s.Idle != 1 {
			t.Fatalf("after shrinking idle workers: %+v", s)
		}
		l.Post(1, 1)
		drain(t, l)
	})
}

func TestAllocs_Post(t *testing.T) {
	if invariants.Race {
		t.Skip("the race detector makes sync.Pool drop values")
	}
	p := start(t, pool.Config{Workers: 1})
	done := make(chan struct{}, 1)
	l := lanes(t, p, pool.LaneConfig{}, func(batch []message) {
		if batch[len(batch)-1].op == 1 {
			done <- struct{}{}
		}
	})
	batch := make([]message, 4)
	batch[3].op = 1
	if got := testing.AllocsPerRun(2000, func() {
		l.Post(7, batch...)
		<-done
		l.Post(8, message{op: 1})
		<-done
	}); got != 0 {
		t.Errorf("posting and handling: %v allocations", got)
	}
}
