package uplog

import (
	"testing"
	"time"
)

// Each bound belongs to the class below it, and what is above all has a class.
func TestHistogram(t *testing.T) {
	var h histogram
	var sum time.Duration
	for class, bound := range LatencyBounds() {
		for range class + 1 {
			h.observe(bound)
			sum += bound
		}
	}
	h.observe(0)
	h.observe(time.Hour)
	h.observe(5*time.Second + 1)
	got := h.read()
	want := Latencies{[numLatencies]uint64{2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 2}, sum + time.Hour + 5*time.Second + 1}
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { h.observe(time.Second) }); n != 0 {
		t.Errorf("counting allocates %v times", n)
	}
}
