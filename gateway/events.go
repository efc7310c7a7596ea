package gateway

import (
	"encoding/json"
	"net"
	"sync/atomic"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/overload"
)

// An EventType is something that happens to a device, and that may be kept as a record of
// that type (docs/decisions/0053). The list is closed.
type EventType uint8

// The events.
const (
	EventConnected    EventType = iota // a connection was let in
	EventDisconnected                  // it has ended
	EventRefused                       // one was not let in
	EventBanned                        // somebody has banned the device
	numEvents
)

// NumEvents is how many there are; they count from zero.
const NumEvents = int(numEvents)

// String is the type of the record, and the metric label.
func (t EventType) String() string {
	if t >= numEvents {
		return "unknown"
	}
	return [numEvents]string{"connected", "disconnected", "refused", "banned"}[t]
}

// An EventDrop says why an event made no record. The list is closed; it labels the metric
// edgeloop_gateway_events_dropped_total.
type EventDrop uint8

// The drops of events.
const (
	EventLaneFull      EventDrop = iota // the lane of its device had no room, or the node stops
	EventMemoryFull                     // the messages on their way have reached --inflight-bytes
	EventOverRate                       // more than --event-rate
	EventRepeated                       // a refusal soon after another one of its device
	EventOverloaded                     // the node has too much to do
	EventUnknownDevice                  // a refusal of a device that this node does not remember
	numEventDrops
)

// NumEventDrops is how many there are; they count from zero.
const NumEventDrops = int(numEventDrops)

// String is the metric label.
func (d EventDrop) String() string {
	if d >= numEventDrops {
		return "unknown"
	}
	return [numEventDrops]string{"lane_full", "memory_full", "over_rate", "repeated", "overloaded", "unknown_device"}[d]
}

// eventBurst is how much of Config.EventRate may come at once, as time: a fleet that comes
// back together is within it.
const eventBurst = 10 * time.Second

// events keeps what happens to devices as records. Nothing waits for them: an event that finds no
// room is dropped, and counted.
type events struct {
	// Immutable after construction.
	on   [numEvents]bool
	pace int64 // nanoseconds between two, in the long run

	refusals notices // of each device one in a while

	// Atomic.
	paid  atomic.Int64 // until when what was kept is paid for: Unix nanoseconds
	kept  [numEvents]atomic.Uint64
	drops [numEventDrops]atomic.Uint64
}

func (e *events) set(types []EventType, rate int) {
	for _, t := range types {
		e.on[t] = true
	}
	e.pace = int64(time.Second) / int64(rate)
}

// pay says whether the rate allows another event.
func (e *events) pay(now int64) bool {
	for {
		paid := e.paid.Load()
		next := max(paid, now-int64(eventBurst)) + e.pace
		if next > now {
			return false
		}
		if e.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}

// eventData is the data of an event's record.
type eventData struct {
	Node     string     `json:"node,omitempty"`
	Remote   string     `json:"remote,omitempty"`
	Protocol string     `json:"protocol,omitempty"`
	Cause    string     `json:"cause,omitempty"`
	Code     uint16     `json:"code,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Unsaid   uint64     `json:"unsaid,omitempty"` // refusals since the last one that was kept
}

// An event is on its way to the log. It goes along its device's lane as a message does, so it
// implements the part of a dialect that the lane calls.
type event struct {
	dialect // none of the rest is called: there is no connection

	// Immutable after construction.
	g     *Gateway
	kind  EventType
	key   devicemgr.Key
	epoch uint64
	at    int64 // Unix milliseconds
	data  eventData
	batch *batch
}

// happened keeps an event of a device as a record, behind all that the device's lane has by
// now and before all that comes later. It never blocks; any goroutine.
func (g *Gateway) happened(kind EventType, key devicemgr.Key, epoch uint64, peer *net.TCPAddr, data eventData) {
	now := g.clock()
	switch {
	case !g.events.on[kind]:
		return
	case g.cfg.Overload.Refuses(overload.Event):
		g.events.drops[EventOverloaded].Add(1)
		return
	case g.memory.budget.Full():
		g.events.drops[EventMemoryFull].Add(1)
		return
	case !g.events.pay(now.UnixNano()):
		g.events.drops[EventOverRate].Add(1)
		return
	}
	if data.Node = g.cfg.Node; peer != nil {
		data.Remote = peer.String()
	}
	e := &event{g: g, kind: kind, key: key, epoch: epoch, at: now.UnixMilli(), data: data}
	e.batch = g.errand(key, e)
	if g.lanes.Post(uint64(e.batch.link.laneKey), e.batch) == 0 {
		g.events.drops[EventLaneFull].Add(1)
		e.batch.end()
	}
}

// errand is a batch of one message that no connection has brought, for the lane of a device. Of d
// only takeOnLane and doneOnLane are called.
func (g *Gateway) errand(key devicemgr.Key, d dialect) *batch {
	l := &link{voice: &voice{g: g, dialect: d}, laneKey: uint32(g.devices.Hash(key))} //nolint:gosec // as for a connection
	l.lost = uint8(DropStopping) + 1                                                  // there is no connection to break off
	b := &batch{link: l, bytes: g.memory.budget.Moving.Get(prefixSize)}
	b.add(eventloop.Text, nil)
	l.onWay.Add(b.way())
	return b
}

// takeOnLane implements dialect.
func (e *event) takeOnLane(_ *link, t *turn, _ *batch, _ message) {
	data, err := json.Marshal(&e.data)
	if err != nil {
		data = nil // of such a struct it always succeeds
	}
	t.records = append(t.records, backbone.Record{
		Tenant: e.key.Tenant, Device: e.key.Device, Epoch: e.epoch, Event: true,
		Type: e.kind.String(), Received: e.at, Data: data, Done: e,
	})
}

// doneOnLane implements dialect.
func (e *event) doneOnLane(*link, *turn, *batch) {}

// Durable implements backbone.Completion.
func (e *event) Durable(_ uint64, n int) {
	e.g.events.kept[e.kind].Add(uint64(n)) //nolint:gosec // positive
	e.batch.settle(n)
}

// Overtaken implements backbone.Completion. Nobody overtakes an event.
func (e *event) Overtaken(_ uint64, n int) { e.batch.settle(n) }

// Wanted implements backbone.Completion.
func (e *event) Wanted() bool { return true }

// connected is to be called before the connection is answered: nothing of it is on the lane
// before.
func (g *Gateway) connected(c *candidate) {
	g.happened(EventConnected, c.key, c.link.epoch, c.addr, eventData{Protocol: c.voice.dialect.protocol().name()})
}

// disconnected is to be called when all that the connection has brought is on the lane.
func (l *link) disconnected(gone *eventloop.Gone) {
	if !l.g.events.on[EventDisconnected] {
		return
	}
	data := eventData{Cause: gone.Cause.String(), Code: uint16(gone.Code), Reason: endOf(gone)}
	l.g.happened(EventDisconnected, l.session.Key(), l.epoch, l.remote, data)
}

// endOf is why the node closed a connection, in one word; "" where nobody but the device did, or
// the cause says it.
func endOf(gone *eventloop.Gone) string {
	if gone.Cause != eventloop.CauseClosed {
		return ""
	}
	return map[eventloop.CloseCode]string{
		closeNormal: "kicked", eventloop.CloseGoingAway: "going_away", eventloop.ClosePolicy: "policy",
		eventloop.CloseInternal: "internal", eventloop.CloseTokenExpired: "token_expired",
		eventloop.CloseForbidden: "forbidden", eventloop.CloseSilent: "silent", eventloop.CloseReplaced: "replaced",
	}[gone.Code]
}

// refused hears which candidate the node did not let in. One that has not proved who it is, or a
// device that the node does not remember, makes no record: otherwise anybody could fill the log
// with names.
func (g *Gateway) refused(c *candidate, r *eventloop.Refusal) {
	if !g.events.on[EventRefused] {
		return
	}
	s := g.devices.Lookup(c.key)
	if c.key.Device == "" || s == nil {
		g.events.drops[EventUnknownDevice].Add(1)
		return
	}
	unsaid, ok := g.events.refusals.may(g.devices.Hash(c.key), g.clock())
	if !ok {
		g.events.drops[EventRepeated].Add(1)
		return
	}
	g.happened(EventRefused, c.key, epochOf(s), c.addr, eventData{Cause: codeOf(r.Reason), Reason: r.Text, Unsaid: unsaid})
}

// epochOf is the epoch of the newest connection, 0 where it is not known any more.
func epochOf(s *Session) uint64 {
	if epoch := s.Epoch(); !s.Forgotten() {
		return epoch
	}
	return 0
}

// Banned is told that a device was banned, before its connection is closed; until zero: for
// good. Any goroutine.
func (g *Gateway) Banned(key devicemgr.Key, until time.Time, reason string) {
	data := eventData{Reason: reason}
	if !until.IsZero() {
		until = until.UTC()
		data.Until = &until
	}
	epoch := uint64(0)
	if s := g.devices.Lookup(key); s != nil {
		epoch = epochOf(s)
	}
	g.happened(EventBanned, key, epoch, nil, data)
}

var (
	_ dialect             = (*event)(nil)
	_ backbone.Completion = (*event)(nil)
)
