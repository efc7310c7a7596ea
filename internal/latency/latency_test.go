package latency_test

import (
	"testing"
	"time"

	"edgeloop/internal/latency"
)

// Each bound belongs to the class below it, and what is above all has a class.
func TestHistogram(t *testing.T) {
	var h latency.Histogram
	var sum time.Duration
	for class, bound := range latency.Bounds() {
		for range class + 1 {
			h.Observe(bound)
			sum += bound
		}
	}
	h.Observe(0)
	h.Observe(time.Hour)
	h.Observe(5*time.Second + 1)
	got := h.Read()
	want := latency.Counts{Counts: [13]uint64{2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 2}, Sum: sum + time.Hour + 5*time.Second + 1}
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Second) }); n != 0 {
		t.Errorf("counting allocates %v times", n)
	}
}
