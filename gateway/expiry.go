package gateway

import (
	"sync"
	"time"

	"edgeloop/internal/wheel"
	"edgeloop/wsproto"
)

// expiry closes connections when their token has expired. It is a wheel of one
// second a tick that is touched when a device connects, refreshes its token or
// leaves, never by traffic.
type expiry struct {
	// Immutable after construction.
	start time.Time

	// Guarded by mu.
	mu    sync.Mutex
	wheel *wheel.Wheel
	tick  uint32  // the wheel's present
	links []*link // by wheel id
}

// Values of link.timer that are no place on the wheel.
const (
	noTimer   uint32 = 0
	timerOver uint32 = 1<<32 - 1 // the connection is gone: it gets none any more
)

func newExpiry(now time.Time) *expiry {
	return &expiry{start: now, wheel: wheel.New(4096, 0)}
}

// set has l closed when the time has come; the zero time means never.
func (e *expiry) set(l *link, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case l.timer == timerOver: // its refresh was still on a lane when it went
	case at.IsZero():
		e.removeLocked(l)
	case l.timer != noTimer:
		e.wheel.Reset(l.timer, e.waitLocked(at))
	default:
		l.timer = e.wheel.Add(e.waitLocked(at))
		for int(l.timer) >= len(e.links) {
			e.links = append(e.links, nil)
		}
		e.links[l.timer] = l
	}
}

// waitLocked is how many ticks there are until the first that is not before at:
// a connection closed earlier could come back with the same token.
func (e *expiry) waitLocked(at time.Time) uint32 {
	due := (at.Sub(e.start) + time.Second - 1) / time.Second
	return uint32(min(max(1, due-time.Duration(e.tick)), 1<<30)) //nolint:gosec // bounded here
}

func (e *expiry) remove(l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removeLocked(l)
	l.timer = timerOver
}

func (e *expiry) removeLocked(l *link) {
	if l.timer != noTimer && l.timer != timerOver {
		e.links[l.timer] = nil
		e.wheel.Remove(l.timer)
		l.timer = noTimer
	}
}

// advance closes those whose time has come.
func (e *expiry) advance(now time.Time) {
	var due []*link
	e.mu.Lock()
	e.tick = uint32(now.Sub(e.start) / time.Second) //nolint:gosec // 136 years
	e.wheel.Advance(e.tick, func(id uint32) uint32 {
		l := e.links[id]
		e.removeLocked(l)
		due = append(due, l)
		return 0
	})
	e.mu.Unlock()
	for _, l := range due {
		l.Close(uint16(wsproto.CloseTokenExpired), "token expired")
	}
}

// run advances once a second until stop is closed.
func (e *expiry) run(stop <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-t.C:
			e.advance(now)
		}
	}
}
