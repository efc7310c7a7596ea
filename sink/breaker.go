package sink

import (
	"math/rand/v2"
	"time"
)

// Breaker is the state of a sink's breaker.
type Breaker uint8

// Values of Breaker.
const (
	// Closed: batches go out.
	Closed Breaker = iota
	// HalfOpen: one record goes out to see whether the destination is well again.
	HalfOpen
	// Open: several attempts in a row failed, and nothing goes out for a while.
	Open
	numBreakers
)

func (b Breaker) String() string { return [numBreakers]string{"closed", "half-open", "open"}[b] }

// opensAfter failures in a row the breaker opens.
const opensAfter = 3

// breaker counts failures in a row. Owned by the sender of a sink.
type breaker struct {
	retry    Retry
	failures int
}

func (b *breaker) ok() { b.failures = 0 }

// failed gives the delay until the next attempt: full jitter, so that many sinks of many
// nodes do not come back at once.
func (b *breaker) failed() time.Duration {
	most := b.retry.Most
	if shift := b.failures; shift < 32 && b.retry.Least<<shift > 0 {
		most = min(most, b.retry.Least<<shift)
	}
	b.failures++
	return time.Duration(rand.Int64N(int64(most) + 1))
}

// probes says whether the next attempt is one to see.
func (b *breaker) probes() bool { return b.failures >= opensAfter }
