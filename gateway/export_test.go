package gateway

import (
	"sync/atomic"
	"time"
)

// WithWall makes a Config whose wall clock is off by so many nanoseconds.
func WithWall(c Config, off *atomic.Int64) Config {
	clocks := clocksSince(time.Now())
	c.clocks = func() (time.Duration, time.Time) {
		elapsed, wall := clocks()
		return elapsed, wall.Add(time.Duration(off.Load()))
	}
	return c
}

// OfNobody is the connection of nobody, as a reset leaves it.
func OfNobody() *link { return ofNobody() }
