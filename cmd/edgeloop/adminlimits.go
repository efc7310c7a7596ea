package main

import (
	"math"
	"time"

	"edgeloop/admin/api"
	"edgeloop/gateway"
)

// adminLimits are the bounds of the node: those of serve's flags that matter to
// an operator while it runs.
type adminLimits struct{ *node }

// Limits implements admin.Limits.
func (a adminLimits) Limits() []api.Limit {
	g, c := a.gateway.Limits(), a.cfg
	sec := func(d time.Duration) int64 { return int64(d) }
	return []api.Limit{
		{Name: "max_connections", Kind: api.LimitCount, Value: int64(a.server.MaxConnections()), Min: 1, Max: int64(c.MaxConnections), Changeable: true, Help: "Devices before newcomers are answered 503; at most what the node was started with, which its descriptors carry."},
		{Name: "window", Kind: api.LimitCount, Value: int64(g.Window), Min: 1, Max: 1 << 20, Changeable: true, Help: "Messages of one device that may be unacknowledged; at it the device is held back."},
		{Name: "window_bytes", Kind: api.LimitBytes, Value: g.WindowBytes, Min: 1 << 10, Max: 1 << 30, Changeable: true, Help: "Bytes of one device that may be unacknowledged; one message may pass it."},
		{Name: "pool_size", Kind: api.LimitCount, Value: int64(g.Workers), Min: 1, Max: 1 << 14, Changeable: true, Help: "Workers that handle messages."},
		{Name: "inflight_bytes", Kind: api.LimitBytes, Value: g.InFlight, Min: 8 * int64(c.MaxMessage), Max: math.MaxInt64, Changeable: true, Help: "Memory that messages between socket and log take; at it devices are held back, a quarter above it closed with 1013."},
		{Name: "heartbeat", Kind: api.LimitDuration, Value: sec(g.Heartbeat), Min: sec(100 * time.Millisecond), Max: sec(24 * time.Hour), Changeable: true, Help: "Silence after which a device is pinged."},
		{Name: "idle_timeout", Kind: api.LimitDuration, Value: sec(g.IdleTimeout), Min: sec(200 * time.Millisecond), Max: sec(48 * time.Hour), Changeable: true, Help: "Silence after which a device is evicted with 4408."},
		{Name: "max_message", Kind: api.LimitBytes, Value: int64(c.MaxMessage), Min: 128, Max: maxMessageLimit, Help: "Largest message; a larger one closes with 1009."},
		{Name: "out_buffer", Kind: api.LimitBytes, Value: int64(c.OutBuffer), Min: 4 << 10, Max: 1 << 30, Help: "Bytes that may wait for a device that does not read before it is cut off."},
		{Name: "max_handshakes", Kind: api.LimitCount, Value: int64(c.MaxHandshakes), Min: 1, Max: math.MaxInt32, Help: "Handshakes at a time; more wait in the backlog."},
		{Name: "lanes", Kind: api.LimitCount, Value: int64(c.Lanes), Min: 1, Max: math.MaxInt32, Help: "Queues between event loops and workers."},
		{Name: "lane_depth", Kind: api.LimitCount, Value: int64(c.LaneDepth), Min: 1, Max: math.MaxInt32, Help: "Reads that may wait in one lane before its devices are held back."},
		{Name: "handshake_timeout", Kind: api.LimitDuration, Value: sec(c.HandshakeTimeout), Min: sec(100 * time.Millisecond), Max: math.MaxInt64, Help: "Time from accept to the answered handshake."},
	}
}

// SetLimits implements admin.Limits.
func (a adminLimits) SetLimits(values map[string]int64) error {
	l := gateway.Limits{
		Window:      int(values["window"]),
		WindowBytes: values["window_bytes"],
		InFlight:    values["inflight_bytes"],
		Heartbeat:   time.Duration(values["heartbeat"]),
		IdleTimeout: time.Duration(values["idle_timeout"]),
		Workers:     int(values["pool_size"]),
	}
	if err := a.gateway.SetLimits(l); err != nil {
		return &api.FieldError{Field: "idle_timeout", Reason: "must be longer than the heartbeat"}
	}
	if n, ok := values["max_connections"]; ok {
		a.server.SetMaxConnections(int(n))
	}
	return nil
}
