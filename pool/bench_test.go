package pool_test

import (
	"context"
	"sync/atomic"
	"testing"

	"edgeloop/pool"
)

// message is about as large as what a gateway posts.
type message struct {
	_  [3]*int
	op uint8
}

// BenchmarkLanes_Post is the whole path of a message, posted by one goroutine
// and handled by another, with as many messages at once as one read brings.
func BenchmarkLanes_Post(b *testing.B) {
	for _, burst := range []struct {
		name string
		n    int
	}{{"burst=1", 1}, {"burst=8", 8}, {"burst=64", 64}} {
		b.Run(burst.name, func(b *testing.B) {
			p, err := pool.New(pool.Config{Workers: 8})
			if err != nil {
				b.Fatal(err)
			}
			var handled atomic.Int64
			l, err := pool.NewLanes(p, pool.LaneConfig{}, func(batch []message) { handled.Add(int64(len(batch))) })
			if err != nil {
				b.Fatal(err)
			}
			ts := make([]message, burst.n)
			posted, key := int64(0), uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				key += 7919
				for left := ts; len(left) > 0; {
					n := l.Post(key, left...)
					left = left[n:]
					if n == 0 {
						key++
					}
				}
				posted += int64(burst.n)
			}
			if err := l.WaitEmpty(context.Background()); err != nil || handled.Load() != posted {
				b.Fatalf("handled %d of %d: %v", handled.Load(), posted, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(posted), "ns/msg")
			if err := p.Stop(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
