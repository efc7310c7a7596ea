package gateway

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/internal/defaults"
)

// limits are the bounds that may change while the node runs.
type limits struct {
	// Atomic.
	window      atomic.Int64
	windowBytes atomic.Int64
	// Of one device, a second; 0 is no bound.
	rate, rateMessages atomic.Int64
	silence            atomic.Pointer[devicemgr.Silence]
}

func (l *limits) set(c Config) {
	l.window.Store(int64(c.Window))
	l.windowBytes.Store(c.WindowBytes)
	l.rate.Store(c.RateBytes)
	l.rateMessages.Store(c.RateMessages)
	l.silence.Store(&devicemgr.Silence{Heartbeat: c.Heartbeat, Limit: c.IdleTimeout})
}

// Limits are the values that SetLimits takes; zero fields stay as they are.
type Limits struct {
	Window      int
	WindowBytes int64
	InFlight    int64
	// Negative: none.
	RateBytes, RateMessages int64
	Heartbeat               time.Duration
	IdleTimeout             time.Duration
	Workers                 int
}

// Limits are the bounds in force.
func (g *Gateway) Limits() Limits {
	s := g.limits.silence.Load()
	return Limits{
		Window:      int(g.limits.window.Load()),
		WindowBytes: g.limits.windowBytes.Load(),
		InFlight:    g.memory.budget.Limit(),
		RateBytes:   g.limits.rate.Load(),

		RateMessages: g.limits.rateMessages.Load(),
		Heartbeat:    s.Heartbeat,
		IdleTimeout:  s.Limit,
		Workers:      g.workPool.Stats().Workers,
	}
}

// SetLimits changes bounds while the node runs, all of them or none. Devices
// hear of a new window or heartbeat when they connect the next time; a silent
// one is judged by the new times when the loop next looks at it, and is evicted
// only when it was asked and given the time to answer.
func (g *Gateway) SetLimits(l Limits) error {
	now := g.Limits()
	defaults.Set(&l.Window, now.Window)
	defaults.Set(&l.WindowBytes, now.WindowBytes)
	defaults.Set(&l.InFlight, now.InFlight)
	defaults.Set(&l.RateBytes, now.RateBytes)
	defaults.Set(&l.RateMessages, now.RateMessages)
	defaults.Set(&l.Heartbeat, now.Heartbeat)
	defaults.Set(&l.IdleTimeout, now.IdleTimeout)
	defaults.Set(&l.Workers, now.Workers)
	if l.Window < 0 || l.WindowBytes < 0 || l.InFlight < 0 || l.Heartbeat < 0 || l.Workers < 0 {
		return errors.New("gateway: limits must be positive")
	}
	if l.IdleTimeout <= l.Heartbeat {
		return fmt.Errorf("gateway: idle timeout %s must be longer than the heartbeat %s", l.IdleTimeout, l.Heartbeat)
	}
	if l.Workers != now.Workers {
		g.workPool.Resize(l.Workers)
	}
	g.limits.window.Store(int64(l.Window))
	g.limits.windowBytes.Store(l.WindowBytes)
	g.limits.rate.Store(max(l.RateBytes, 0))
	g.limits.rateMessages.Store(max(l.RateMessages, 0))
	g.memory.budget.SetLimit(l.InFlight)
	g.limits.silence.Store(&devicemgr.Silence{Heartbeat: l.Heartbeat, Limit: l.IdleTimeout})
	g.memory.again() // those who wait may fit now
	return nil
}
