package latency

import (
	"sync/atomic"
	"time"
)

// numClasses is how many classes Bounds makes, with the one above all.
const numClasses = 13

// Bounds are the upper bounds of the classes of Counts, all but that of
// the last, which has none.
func Bounds() [numClasses - 1]time.Duration {
	return [...]time.Duration{
		1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
		10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		1 * time.Second, 2 * time.Second, 5 * time.Second,
	}
}

// Counts are how long something took, by class.
type Counts struct {
	Counts [numClasses]uint64 // each of its own class; a bound belongs to the class below it
	Sum    time.Duration
}

// Histogram counts. The zero value is empty; any goroutine may use it.
type Histogram struct {
	// Atomic.
	counts [numClasses]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts one. It takes no lock and does not allocate.
func (h *Histogram) Observe(d time.Duration) {
	class := 0
	for _, bound := range Bounds() {
		if d > bound {
			class++
		}
	}
	h.counts[class].Add(1)
	h.sum.Add(int64(d))
}

// Read takes a snapshot; what is counted meanwhile may be in one part of it only.
func (h *Histogram) Read() (l Counts) {
	for i := range h.counts {
		l.Counts[i] = h.counts[i].Load()
	}
	l.Sum = time.Duration(h.sum.Load())
	return l
}
