package gateway

import (
	"math"
	"sync"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/wheel"
)

// expiry closes connections when their token has expired. It is a wheel of one
// second a tick that is touched when a device connects, refreshes its token or
// leaves, never by traffic.
//
// Tokens go by the wall clock, ticks by the monotonic one, and the wall clock may
// be set: by hand, or by NTP on a machine that woke up in 1970. So a token is
// judged by the wall clock of the moment its tick comes, and when the two clocks
// have parted by half a second all ticks are worked out anew. A connection outlives its
// token by less than two seconds, whatever the clock does, and is never closed
// with a token that would be taken again.
type expiry struct {
	// Immutable after construction.
	now func() (elapsed time.Duration, wall time.Time) // both clocks at one moment

	// Guarded by mu.
	mu    sync.Mutex
	wheel *wheel.Wheel
	tick  uint32     // the wheel's present
	zero  time.Time  // what the wall clock showed when nothing had elapsed, as far as it is right now
	links []expiring // by wheel id
}

// expiring is a link and when its token expires.
type expiring struct {
	link *link // nil: the id is free
	at   int64 // Unix seconds, rounded up
}

// Values of link.timer that are no place on the wheel.
const (
	noTimer   uint32 = 0
	timerOver uint32 = 1<<32 - 1 // the connection is gone: it gets none any more
)

func newExpiry(start time.Time) *expiry {
	return newExpiryBy(func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(start), now.Round(0)
	})
}

func newExpiryBy(now func() (time.Duration, time.Time)) *expiry {
	e := &expiry{now: now, wheel: wheel.New(4096, 0)}
	elapsed, wall := now()
	e.zero = wall.Add(-elapsed)
	return e
}

// set has l closed when the time has come; the zero time means never.
func (e *expiry) set(l *link, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.IsZero() || l.timer == timerOver { // over: its refresh was still on a lane when it went
		e.removeLocked(l)
		return
	}
	x := expiring{l, at.Add(time.Second - 1).Unix()}
	elapsed, wall := e.clocksLocked()
	wait := e.waitLocked(x.at, elapsed, wall)
	if l.timer == noTimer {
		l.timer = e.wheel.Add(wait)
		for int(l.timer) >= len(e.links) {
			e.links = append(e.links, expiring{})
		}
	} else {
		e.wheel.Reset(l.timer, wait)
	}
	e.links[l.timer] = x
}

// maxWait bounds a wait in ticks, 34 years: a later end is looked at in between.
const maxWait = 1 << 30

// waitLocked is how many ticks there are until the first that is not before at:
// a connection closed earlier could come back with the same token.
func (e *expiry) waitLocked(at int64, elapsed time.Duration, wall time.Time) uint32 {
	left := min(time.Unix(at, 0).Sub(wall), maxWait*time.Second)
	due := (elapsed + left + time.Second - 1) / time.Second
	return uint32(max(1, due-time.Duration(e.tick))) //nolint:gosec // bounded here
}

func (e *expiry) remove(l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removeLocked(l)
	l.timer = timerOver
}

func (e *expiry) removeLocked(l *link) {
	if l.timer != noTimer && l.timer != timerOver {
		e.links[l.timer] = expiring{}
		e.wheel.Remove(l.timer)
		l.timer = noTimer
	}
}

// advance closes those whose time has come.
func (e *expiry) advance() {
	var due []*link
	e.mu.Lock()
	elapsed, wall := e.clocksLocked()
	e.tick = uint32(elapsed / time.Second) //nolint:gosec // 136 years
	e.wheel.Advance(e.tick)
	e.wheel.Fire(math.MaxInt, func(id uint32) uint32 {
		x := e.links[id]
		if wall.Unix() < x.at {
			return e.waitLocked(x.at, elapsed, wall)
		}
		e.removeLocked(x.link)
		due = append(due, x.link)
		return 0
	})
	e.mu.Unlock()
	for _, l := range due {
		l.Close(uint16(eventloop.CloseTokenExpired), "token expired")
	}
}

// clocksLocked reads both clocks. If the wall clock was set it works all ticks out
// anew, which takes some milliseconds for 100,000 connections.
func (e *expiry) clocksLocked() (elapsed time.Duration, wall time.Time) {
	elapsed, wall = e.now()
	zero := wall.Add(-elapsed)
	if zero.Sub(e.zero).Abs() < time.Second/2 {
		return elapsed, wall
	}
	e.zero = zero
	for id, x := range e.links {
		if x.link != nil {
			e.wheel.Reset(uint32(id), e.waitLocked(x.at, elapsed, wall)) //nolint:gosec // the wheel's own ids
		}
	}
	return elapsed, wall
}

// run advances once a second until stop is closed.
func (e *expiry) run(stop <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			e.advance()
		}
	}
}
