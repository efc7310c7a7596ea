package uplog

import (
	"sync/atomic"
	"time"
)

// numLatencies is how many classes LatencyBounds makes, with the one above all.
const numLatencies = 13

// LatencyBounds are the upper bounds of the classes of Latencies, all but that of
// the last, which has none.
func LatencyBounds() [numLatencies - 1]time.Duration {
	return [...]time.Duration{
		1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
		10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		1 * time.Second, 2 * time.Second, 5 * time.Second,
	}
}

// Latencies are how long something took, by class.
type Latencies struct {
	Counts [numLatencies]uint64 // each of its own class; a bound belongs to the class below it
	Sum    time.Duration
}

// histogram counts latencies. The zero value is empty; any goroutine may use it.
type histogram struct {
	// Atomic.
	counts [numLatencies]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// observe counts one. It takes no lock and does not allocate.
func (h *histogram) observe(d time.Duration) {
	class := 0
	for _, bound := range LatencyBounds() {
		if d > bound {
			class++
		}
	}
	h.counts[class].Add(1)
	h.sum.Add(int64(d))
}

// read takes a snapshot; what is counted meanwhile may be in one part of it only.
func (h *histogram) read() (l Latencies) {
	for i := range h.counts {
		l.Counts[i] = h.counts[i].Load()
	}
	l.Sum = time.Duration(h.sum.Load())
	return l
}
