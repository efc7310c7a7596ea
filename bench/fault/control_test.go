package fault_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"edgeloop/bench/fault"
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
		if got := fault.Slower(c.quiet, c.during); len(got) != c.want {
			t.Errorf("%s: %q, want %d", name, got, c.want)
		}
	}
}

// What is attacked is on the loopback, and no attack is without an end.
func TestAttack_Refused(t *testing.T) {
	for _, a := range []string{
		`{"kind":"silent","addr":"192.0.2.1:80","count":1,"for":1}`,
		`{"kind":"silent","addr":"example.com:80","count":1,"for":1}`,
		`{"kind":"silent","addr":"127.0.0.1:80","count":1000000,"for":1}`,
		`{"kind":"silent","addr":"127.0.0.1:80","count":1}`,
		`{"kind":"silent","addr":"127.0.0.1:80","count":1,"for":3600000000000}`,
		`{"kind":"unknown","addr":"127.0.0.1:80","count":1,"for":1}`,
	} {
		if _, err := fault.RunAttack(context.Background(), a); err == nil || !strings.HasPrefix(err.Error(), "fault: ") {
			t.Errorf("%s: %v", a, err)
		}
	}
}
