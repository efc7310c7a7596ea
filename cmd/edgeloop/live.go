package main

import (
	"cmp"
	"time"

	"go.uber.org/zap/zapcore"

	"edgeloop/admin/api"
	"edgeloop/gateway"
)

// The settings that change while the node runs.
var (
	liveMaxConnections = &live{
		now:  func(n *node) any { return int64(n.server.MaxConnections()) },
		put:  func(c *change, v any) { c.maxConnections = asNumber(v) },
		auto: func(n *node) int64 { return int64(n.cfg.MaxConnections) }, // what the descriptors carry
	}
	livePoolSize = &live{
		now: func(n *node) any { return int64(n.gateway.Limits().Workers) },
		put: func(c *change, v any) { c.limits.Workers = int(asNumber(v)) },
	}
	liveInflightBytes = &live{
		now: func(n *node) any { return n.gateway.Limits().InFlight },
		put: func(c *change, v any) { c.limits.InFlight = asNumber(v) },
	}
	liveWindow = &live{
		now: func(n *node) any { return int64(n.gateway.Limits().Window) },
		put: func(c *change, v any) { c.limits.Window = int(asNumber(v)) },
	}
	liveWindowBytes = &live{
		now: func(n *node) any { return n.gateway.Limits().WindowBytes },
		put: func(c *change, v any) { c.limits.WindowBytes = asNumber(v) },
	}
	liveMaxRateBytes = &live{
		now: func(n *node) any { return n.gateway.Limits().RateBytes },
		put: func(c *change, v any) { c.limits.RateBytes = cmp.Or(asNumber(v), -1) }, // to gateway 0 is no change
	}
	liveMaxRateMessages = &live{
		now: func(n *node) any { return n.gateway.Limits().RateMessages },
		put: func(c *change, v any) { c.limits.RateMessages = cmp.Or(asNumber(v), -1) }, // as above
	}
	liveHeartbeat = &live{
		now: func(n *node) any { return int64(n.gateway.Limits().Heartbeat) },
		put: func(c *change, v any) { c.limits.Heartbeat = time.Duration(asNumber(v)) },
	}
	liveIdleTimeout = &live{
		now: func(n *node) any { return int64(n.gateway.Limits().IdleTimeout) },
		put: func(c *change, v any) { c.limits.IdleTimeout = time.Duration(asNumber(v)) },
	}
	liveLogLevel = &live{
		now: func(n *node) any { return n.log.level.Level().String() },
		put: func(c *change, v any) { c.logLevel, _ = v.(string) },
	}
)

// liveConnects is one of the rates of connects.
func liveConnects(of func(*gateway.Connects) *int64) *live {
	return &live{
		now: func(n *node) any {
			c := n.gateway.Connects()
			return *of(&c)
		},
		put: func(c *change, v any) {
			c.connects = append(c.connects, func(rates *gateway.Connects) { *of(rates) = asNumber(v) })
		},
	}
}

// connects are the rates of connects at the start.
func (s *serveCmd) connects() gateway.Connects {
	return gateway.Connects{
		Address: s.ConnectsPerAddress, Prefix: s.ConnectsPerPrefix, Device: s.ConnectsPerDevice,
		Tenant: s.ConnectsPerTenant, Node: s.ConnectsPerNode,
	}
}

func asNumber(v any) int64 {
	n, _ := v.(int64)
	return n
}

// change is what is to be put in force at once. What is zero stays as it is.
type change struct {
	limits         gateway.Limits
	connects       []func(*gateway.Connects)
	maxConnections int64
	logLevel       string
}

// put puts a change in force, or nothing of it.
func (n *node) put(c change) error {
	if err := n.gateway.SetLimits(c.limits); err != nil {
		return &api.FieldError{Field: "idle_timeout", Reason: "must be longer than the heartbeat"}
	}
	rates := n.gateway.Connects()
	for _, set := range c.connects {
		set(&rates)
	}
	n.gateway.SetConnects(rates)
	if c.maxConnections > 0 {
		n.server.SetMaxConnections(int(c.maxConnections))
	}
	if c.logLevel != "" {
		level, _ := zapcore.ParseLevel(c.logLevel) // one of those that the flag allows
		n.log.level.SetLevel(level)
	}
	return nil
}

// inForce is what the node was told. Never changed: a new one takes its place.
type inForce struct {
	given  settings         // by flags, environment and file; what needs a restart as at the start
	byHand map[string]int64 // by the API, over what is given
}

// mayBe is the range of a setting while the node runs.
func (n *node) mayBe(r *setting) (least, greatest int64) {
	least, greatest = r.from(n.cfg), r.most
	if r.live != nil && r.live.auto != nil {
		least, greatest = max(least, 1), r.live.auto(n)
	}
	return least, greatest
}

// meant is the value that was given, with what 0 stands for in its place.
func (n *node) meant(r *setting, value any) any {
	if r.live != nil && r.live.auto != nil && asNumber(value) == 0 {
		return r.live.auto(n)
	}
	return value
}
