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
	links []*link // by wheel id
}

func newExpiry(now time.Time) *expiry {
	return &expiry{start: now, wheel: wheel.New(4096, 0)}
}

// set has l closed at the time; the zero time means never.
func (e *expiry) set(l *link, at, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case l.left: // its refresh was still on a lane when it went
	case at.IsZero():
		e.removeLocked(l)
	case l.timer != 0:
		e.wheel.Reset(l.timer, e.wait(at, now))
	default:
		l.timer = e.wheel.Add(e.wait(at, now))
		for int(l.timer) >= len(e.links) {
			e.links = append(e.links, nil)
		}
		e.links[l.timer] = l
	}
}

// wait is how many ticks there are until at, counted from the wheel's present.
func (e *expiry) wait(at, now time.Time) uint32 {
	return uint32(min(max(1, at.Sub(now)/time.Second+1), 1<<30)) //nolint:gosec // bounded here
}

func (e *expiry) remove(l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.left = true
	e.removeLocked(l)
}

func (e *expiry) removeLocked(l *link) {
	if l.timer != 0 {
		e.links[l.timer] = nil
		e.wheel.Remove(l.timer)
		l.timer = 0
	}
}

// advance closes those whose time has come.
func (e *expiry) advance(now time.Time) {
	var due []*link
	e.mu.Lock()
	e.wheel.Advance(uint32(now.Sub(e.start)/time.Second), func(id uint32) uint32 { //nolint:gosec // 136 years
		l := e.links[id]
		e.removeLocked(l)
		due = append(due, l)
		return 0
	})
	e.mu.Unlock()
	for _, l := range due {
		l.conn.Close(wsproto.CloseTokenExpired, "token expired")
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
