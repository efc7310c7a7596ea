package jwks

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	freshLeast   = time.Minute
	freshMost    = time.Hour // a key that is taken back is to be noticed
	freshDefault = 15 * time.Minute

	retryFirst = 5 * time.Second
	retryMost  = time.Minute

	// askedEvery bounds the fetches for keys that nobody knows.
	askedEvery = time.Minute
	// lookEvery is how often the age of the keys is looked at, whatever clocks do.
	lookEvery = time.Minute
)

// freshFor is when to ask again, by Cache-Control, within the bounds. [RFC9111 5.2.2]
func freshFor(h http.Header) time.Duration {
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			switch name {
			case "no-cache", "no-store":
				return freshLeast
			case "max-age":
				seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
				if err != nil {
					continue
				}
				return min(max(time.Duration(seconds)*time.Second, freshLeast), freshMost)
			}
		}
	}
	return freshDefault
}

// retryIn grows with the failures in a row, and is spread so that nodes do not ask together.
func retryIn(failures int) time.Duration {
	wait := min(retryFirst<<min(failures-1, 10), retryMost)
	return wait/2 + rand.N(wait/2) //nolint:gosec // no secret
}

// sinceBoth is how long ago t was, by the clock that says more: a machine that sleeps stops
// the one, and somebody may set the other.
func sinceBoth(t time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}
