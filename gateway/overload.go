package gateway

import (
	"context"
	"errors"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/overload"
)

// What a node refuses of its devices when it has too much to do: those who are not here.
// Who is connected may come again in its own place, and is held back by pausing alone.

// tooBusyFor says that the node has too much to do for a device that is not connected, or nil.
func (g *Gateway) tooBusyFor(key devicemgr.Key) *eventloop.Refusal {
	if g.cfg.Overload.Now().State < overload.Strained { // the table is not asked for nothing
		return nil
	}
	s := g.devices.Lookup(key)
	load := overload.Stranger
	switch {
	case currentLink(s) != nil:
		return nil
	case s != nil:
		load = overload.Newcomer
	}
	if !g.cfg.Overload.Refuses(load) {
		return nil
	}
	g.drops[DropOverloaded].Add(1)
	return g.later("this node has too much to do")
}

// errLogAway says that the log was not asked, because it has not answered lately.
var errLogAway = errors.New("gateway: the log has not answered lately, it is asked again in a moment")

// lastOf asks the log where it stands with a device. While it does not answer, few wait for
// it: the workers are for those that need no answer.
func (g *Gateway) lastOf(key devicemgr.Key) (backbone.Last, error) {
	if !g.asking.Allows(time.Since(g.born)) {
		return backbone.Last{}, errLogAway
	}
	last, err := g.log.Last(context.Background(), key.Tenant, key.Device)
	g.asking.Done(time.Since(g.born), err)
	return last, err //nolint:wrapcheck // the log says what it could not do
}
