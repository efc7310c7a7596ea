package overload

import (
	"sync/atomic"
	"time"
)

// A Breaker is for calls to something that may be away, each of which waits long before it
// fails. After breakAfter failures in a row no call is made but one each probeEvery, until
// one succeeds. The zero value lets calls through. Any goroutine; time is given as what has
// passed since some start, by a clock that nobody sets.
type Breaker struct {
	// Atomic.
	failures atomic.Int32
	until    atomic.Int64 // when the next probe may be made
}

const (
	breakAfter = 3
	probeEvery = 2 * time.Second
)

// Allows says whether a call may be made. What became of it is to be told to Done.
func (b *Breaker) Allows(now time.Duration) bool {
	if b.failures.Load() < breakAfter {
		return true
	}
	until := b.until.Load()
	return int64(now) >= until && b.until.CompareAndSwap(until, int64(now+probeEvery))
}

// Done is told what became of a call. A nil error closes the breaker.
func (b *Breaker) Done(now time.Duration, err error) {
	if err == nil {
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
		return
	}
	if n := b.failures.Load(); n < breakAfter {
		b.failures.CompareAndSwap(n, n+1) // else another one counts
	}
	b.until.Store(int64(now + probeEvery))
}
