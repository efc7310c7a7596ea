package life_test

import (
	"testing"
	"time"

	"edgeloop/bench/fault/life"
)

// A control group may wait twice as long as at rest, or up to the floor; a group
// that is answered nothing is slowed most of all.
func TestControl_Slowed(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		quiet, during []time.Duration
		want          int
	}{
		"below the floor":        {[]time.Duration{ms}, []time.Duration{39 * ms}, 0},
		"twice as long":          {[]time.Duration{300 * ms}, []time.Duration{600 * ms}, 0},
		"more than the floor":    {[]time.Duration{ms}, []time.Duration{50 * ms}, 1},
		"more than both floors":  {[]time.Duration{ms}, []time.Duration{250 * ms}, 2},
		"only the slowest waits": {[]time.Duration{ms, 2 * ms}, append(make([]time.Duration, 1000), 9000*ms), 0},
		"nothing is answered":    {[]time.Duration{ms}, nil, 1},
	} {
		if got := life.Slower(c.quiet, c.during); len(got) != c.want {
			t.Errorf("%s: %q, want %d", name, got, c.want)
		}
	}
}
