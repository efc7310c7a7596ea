package gateway

import (
	"time"

	"go.uber.org/zap"

	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// register puts the link of a candidate into the session table, in the place of the
// connection that is there. The candidates of one device are decided side by side and
// in any order. So each looks at the connection that is there, checks whether it may
// replace it, and does so only if nobody else was quicker:
//
//   - one whose socket is gone does not come at all;
//   - the connection of a later handshake is not replaced by that of an earlier one;
//   - a device whose connections replace each other all the time has to wait;
//   - a candidate that replaces a connection takes its seat; a new one needs a seat of its
//     own, of the node and of its tenant.
func (g *Gateway) register(c *candidate, l *link, key devicemgr.Key) *eventloop.Refusal {
	for {
		old := currentLink(g.devices.Lookup(key))
		if refusal := g.mayComeFor(c, key, old); refusal != nil {
			return refusal
		}
		if refusal := g.joinTenant(l, key.Tenant, old); refusal != nil {
			return refusal
		}
		var ok bool
		if l.session, l.epoch, ok = g.devices.Replace(key, l, old); ok {
			c.link = l
			return g.takeOver(c, key, old)
		}
	}
}

// currentLink is the connection of a session, nil while there is none.
func currentLink(s *Session) *link {
	if s == nil {
		return nil
	}
	return s.Link()
}

// mayComeFor says why a candidate may not come in the place of old, or nil.
func (g *Gateway) mayComeFor(c *candidate, key devicemgr.Key, old *link) *eventloop.Refusal {
	if c.conn.Gone() {
		g.drops[DropSuperseded].Add(1)
		return g.later("the connection is gone")
	}
	if old == nil {
		if !c.conn.TakeSeat() {
			g.drops[DropNodeFull].Add(1)
			return g.later("this node is full")
		}
		return nil
	}
	if old.conn != nil && old.conn.ID() > c.conn.ID() {
		g.drops[DropSuperseded].Add(1)
		return g.later("a later connection of this device is here")
	}
	if wait := g.flaps.wait(g.devices.Hash(key), g.clock()); wait > 0 {
		g.drops[DropFlapping].Add(1)
		return &eventloop.Refusal{Reason: eventloop.ReasonUnavailable, Text: "connections of this device replace each other too often", RetryAfter: eventloop.Spread(wait.Truncate(time.Second) + time.Second)}
	}
	return nil
}

// takeOver closes old [MQTT-3.1.4-3], which is out of the session table, and takes its seat.
func (g *Gateway) takeOver(c *candidate, key devicemgr.Key, old *link) *eventloop.Refusal {
	if old == nil {
		return nil
	}
	seated := false
	if old.conn != nil {
		old.leaveTenant() // it closes for a while
		seated = c.conn.TakeSeatOf(old.conn)
	} else {
		seated = c.conn.TakeSeat()
	}
	g.counts.takeovers.Add(1)
	old.Close(closeReplaced, reasonReplaced)
	if held, before, say := g.flaps.note(g.devices.Hash(key), c.addr.String(), g.clock()); say {
		g.logger.Warn("connections of one device replace each other, it is held back: look for two devices with one identity",
			zap.String("tenant", key.Tenant), zap.String("device_id", key.Device),
			zap.Stringer("addr", c.addr), zap.String("before", before), zap.Duration("dur", held))
	}
	if !seated { // the old one was at its end, and somebody else was quicker
		g.drops[DropNodeFull].Add(1)
		return g.later("this node is full")
	}
	return nil
}
