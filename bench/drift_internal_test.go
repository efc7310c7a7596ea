package bench

import (
	"errors"
	"testing"

	"edgeloop/bench/drift"
)

func TestSoak_Judge(t *testing.T) {
	series := func(from, step float64) []float64 {
		v := make([]float64, 40)
		for i := range v {
			v[i] = from + float64(i)*step
		}
		return v
	}
	for name, tc := range map[string]struct {
		d    drift.Series
		want bool
	}{
		"flat":                        {drift.Series{Name: "rss_bytes", Floor: 8 << 20, Values: series(100<<20, 0)}, false},
		"a leak":                      {drift.Series{Name: "rss_bytes", Floor: 8 << 20, Values: series(100<<20, 1<<20)}, true},
		"growth below the floor":      {drift.Series{Name: "rss_bytes", Floor: 8 << 20, Values: series(10<<20, 1<<17)}, false},
		"growth below the percentage": {drift.Series{Name: "rss_bytes", Floor: 8 << 20, Values: series(1<<30, 1<<20)}, false},
		"warm-up is forgiven":         {drift.Series{Name: "fds", Floor: 50, Values: append(series(0, 100)[:10], make([]float64, 30)...)}, false},
		"too few readings":            {drift.Series{Name: "fds", Floor: 50, Values: []float64{1, 1000, 2000}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Session{result: &Result{Figures: make(map[string]float64)}}
			err := Soak{MaxDrift: 10}.judge(s, []*drift.Series{&tc.d})
			if errors.Is(err, ErrDrift) != tc.want {
				t.Errorf("judged %v, want drift %v", err, tc.want)
			}
		})
	}
}
