package drift

import "slices"

// Series is one figure watched through a soak. One goroutine.
type Series struct {
	Name   string
	Floor  float64 // a growth of less is no drift, whatever its percentage
	Values []float64
}

// Server are the figures of a server, without readings.
func Server() []*Series {
	return []*Series{
		{Name: "rss_bytes", Floor: 8 << 20},
		{Name: "fds", Floor: 50},
		{Name: "threads", Floor: 10},
		{Name: "heap_bytes", Floor: 8 << 20},
		{Name: "goroutines", Floor: 50},
	}
}

// Add takes the readings of one moment; a figure that is not among them was not
// read.
func Add(all []*Series, now map[string]float64) {
	for _, s := range all {
		if v, ok := now[s.Name]; ok {
			s.Values = append(s.Values, v)
		}
	}
}

// Readings is how many it takes at least to tell a growth.
const Readings = 8

// Growth compares the medians of the second quarter and the last; the first is
// warm-up. Fewer than Readings say nothing.
func (s *Series) Growth() (from, to float64, ok bool) {
	n := len(s.Values)
	if n < Readings {
		return 0, 0, false
	}
	return median(s.Values[n/4 : n/2]), median(s.Values[3*n/4:]), true
}

// Drifted says whether a growth is above limit, in percent, and above the floor.
func (s *Series) Drifted(from, to, limit float64) bool {
	return to-from > s.Floor && 100*(to-from) > limit*from
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
