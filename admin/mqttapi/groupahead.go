package mqttapi

import (
	"context"
	"errors"
	"time"
)

// errHolds ends a member that others had to wait for.
var errHolds = errors.New("a message of a shared subscription was not acknowledged for too long, and others wait for that")

// holdBack waits while a position lies further ahead of the oldest message that is open than may
// be: from there the group reads again when a member goes. Who has held that one for GroupHold is
// ended, so that another gets it.
func (g *group) holdBack(ctx context.Context, position uint64) error {
	o, far := g.oldest(position)
	if !far {
		return nil
	}
	g.s.counts.heldBack.Add(1)
	defer g.s.counts.heldBack.Add(-1)
	for ; far; o, far = g.oldest(position) {
		left := g.s.cfg.GroupHold - time.Since(o.since)
		if left <= 0 {
			left = g.s.cfg.GroupHold
			if o.to != nil && o.to.c.ctx.Err() == nil {
				g.s.counts.heldTooLong.Add(1)
				o.to.c.end(errHolds)
			}
		}
		look := time.NewTimer(left)
		select {
		case <-g.room: // something was acknowledged, or may be taken back
		case <-look.C:
		case <-ctx.Done():
		}
		look.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// oldest is the first message that is open; far: a position lies further ahead of it than may be.
func (g *group) oldest(position uint64) (o given, far bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) == 0 {
		return o, false
	}
	o = g.open[0]
	return o, position > o.position+g.s.cfg.MaxGroupAhead
}
