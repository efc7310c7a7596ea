package quota

import (
	"sync/atomic"
	"time"
)

// A Meter keeps a rate (GCRA): it knows until when what was taken is paid for. What is taken
// is here already and is always charged, so who takes more than a burst waits for longer. The zero value is
// ready. Times are those of one monotonic clock, since any moment.
type Meter struct {
	paid atomic.Int64 // nanoseconds
}

const (
	// Burst is how much of a rate may be used at once, as time.
	Burst = time.Second
	// MostDebt is how far ahead a meter goes at most. Many connections of one tenant may each
	// bring what is in their sockets before they are paused, and together with a low rate
	// that would take hours to pay.
	MostDebt = time.Minute
)

// Charge has n paid for at rate a second; rate 0 charges nothing.
func (m *Meter) Charge(now time.Duration, n, rate int64) {
	if rate <= 0 || n <= 0 {
		return
	}
	if paid := m.paid.Load(); paid < int64(now) {
		m.paid.CompareAndSwap(paid, int64(now)) // else somebody else has, just now
	}
	if paid, most := m.paid.Add(cost(n, rate)), int64(now+MostDebt); paid > most {
		m.paid.CompareAndSwap(paid, most) // else the next one will
	}
}

// Over is for how long one that has used up its burst has to wait until half of it is there
// again; 0: it may go on.
func (m *Meter) Over(now time.Duration) time.Duration {
	if ahead := time.Duration(m.paid.Load()) - now; ahead > Burst {
		return ahead - Burst/2
	}
	return 0
}

// Room is how much may be taken now before the burst is used up; negative above it.
func (m *Meter) Room(now time.Duration, rate int64) int64 {
	free := min(Burst, Burst-(time.Duration(m.paid.Load())-now))
	return int64(free.Seconds() * float64(rate))
}

// Forgive forgets what is not paid for.
func (m *Meter) Forgive() { m.paid.Store(0) }

// Idle says that all is paid for, so that a new Meter is as good.
func (m *Meter) Idle(now time.Duration) bool { return m.paid.Load() <= int64(now) }

// cost is how long n take at a rate, nanoseconds.
func cost(n, rate int64) int64 {
	return n/rate*int64(time.Second) + n%rate*int64(time.Second)/rate
}
