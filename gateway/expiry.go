package gateway

import (
	"math"
	"time"

	"edgeloop/eventloop"
)

// A connection ends with its token. The wheel of its loop comes to it now and then
// anyway (link.Quiet), and comes when the token is over at the latest, so all that is
// kept of the end is one word of the link.
//
// Tokens go by the wall clock, the wheel by the monotonic one, and the wall clock may
// be set: by hand, or by NTP on a machine that woke up in 1970. So a token is judged by
// the wall clock of the moment the wheel comes, and when the two clocks have parted by
// half a second all connections are looked at anew. A connection outlives its token by
// less than two seconds, whatever the clock does, and is never closed with a token that
// would be taken again.
type expiry struct {
	// Immutable after construction.
	now func() (elapsed time.Duration, wall time.Time) // both clocks at one moment

	// Owned by the goroutine that runs watch.
	zero time.Time // what the wall clock showed when nothing had elapsed
}

func newExpiry(now func() (elapsed time.Duration, wall time.Time)) *expiry {
	elapsed, wall := now()
	return &expiry{now: now, zero: wall.Add(-elapsed)}
}

// clocksSince reads both clocks.
func clocksSince(start time.Time) func() (elapsed time.Duration, wall time.Time) {
	return func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(start), now.Round(0)
	}
}

// expiryOf is the end of a token in Unix seconds, rounded up: a connection closed earlier
// could come back with the same token. 0: it has none before 2106.
func expiryOf(at time.Time) uint32 {
	if at.IsZero() {
		return 0
	}
	end := at.Add(time.Second - 1).Unix()
	if end >= math.MaxUint32 {
		return 0
	}
	return uint32(max(end, 1)) //nolint:gosec // bounded here
}

// left is for how long a token is good that ends at end, not positive when it is over.
// limited is false for one without an end.
func (e *expiry) left(end uint32) (left time.Duration, limited bool) {
	if end == 0 {
		return 0, false
	}
	_, wall := e.now()
	return time.Unix(int64(end), 0).Sub(wall), true
}

// wasSet says whether the wall clock was set since it was last asked.
func (e *expiry) wasSet() bool {
	elapsed, wall := e.now()
	zero := wall.Add(-elapsed)
	if zero.Sub(e.zero).Abs() < time.Second/2 {
		return false
	}
	e.zero = zero
	return true
}

// watch asks once a second, until stop is closed, whether the wall clock was set, and has
// all connections look at their tokens if it was.
func (e *expiry) watch(devices *Devices, stop <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if !e.wasSet() {
			continue
		}
		devices.Range("", func(s *Session) bool {
			if l := linkOf(s); l != nil && l.expires.Load() != 0 {
				l.lookAtToken()
			}
			return true
		})
	}
}

// renew gives the link another end of its token; any goroutine.
func (l *link) renew(at time.Time) {
	l.expires.Store(expiryOf(at))
	l.lookAtToken()
}

// lookAtToken has the loop see how long the token is good now.
func (l *link) lookAtToken() {
	l.flags.Or(flagToken)
	l.conn.Wake()
}

// tokenOnLoop closes the connection if its token is over, and says by when it has to look
// again: next, or sooner; 0 is never.
func (l *link) tokenOnLoop(next time.Duration) time.Duration {
	left, limited := l.g.expiry.left(l.expires.Load())
	switch {
	case !limited:
		return next
	case left <= 0:
		l.Close(uint16(eventloop.CloseTokenExpired), "token expired")
		return time.Second
	case next <= 0:
		return left
	}
	return min(next, left)
}
