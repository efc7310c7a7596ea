package gateway

import (
	"context"
	"fmt"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// What a client of MQTT says before it goes. Without a delay that is a message behind those of
// the connection. With one it waits (wills.go): for the delay, or the end of the session,
// whichever is first, and never beyond the client's return to its session.

// A lastWill is kept for as long as its connection.
type lastWill struct {
	// Immutable after construction.
	topic, payload []byte
	qos            byte
	retain         bool
	delay          uint32 // seconds

	// Owned by the loop goroutine.
	expiry uint32 // of the session, seconds
}

// maxWill bounds a Will as the PUBLISH that it becomes, bytes. It is kept for as long as its
// connection, beside what --inflight-bytes counts, and whatever --max-message is: a CONNECT
// may be larger than that, and a record that does not fit the log costs the whole lane.
const maxWill = 2 << 10

// lastWillOf copies the Will of a CONNECT; nil where there is none. cannot says why it cannot
// be had.
func lastWillOf(c *mqttproto.Connect, expiry uint32, retains bool) (w *lastWill, cannot *eventloop.Refusal) {
	switch {
	case !c.Will.Set:
		return nil, nil
	case c.Version == mqttproto.V5 && c.Will.Retain && !retains: // [MQTT-3.2.2-13]
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonRetain, Text: "this node retains nothing, not even a Will"}
	}
	topic := len(c.Will.Topic)
	both := append(append(make([]byte, 0, topic+len(c.Will.Payload)), c.Will.Topic...), c.Will.Payload...)
	w = &lastWill{
		topic: both[:topic:topic], payload: both[topic:], qos: c.Will.QoS, retain: c.Will.Retain && retains,
		delay: c.Will.Properties.Uint(mqttproto.PropWillDelay, 0), expiry: expiry,
	}
	if n := len(w.appendPublish(nil, c.Version)); n > maxWill {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: fmt.Sprintf("the Will makes a message of %d bytes, allowed are %d", n, maxWill)}
	}
	return w, nil
}

// appendPublish appends w as a PUBLISH. Nobody answers it, so one of QoS 2 is as one of QoS 1.
func (w *lastWill) appendPublish(dst []byte, version mqttproto.Version) []byte {
	m := mqttproto.Publish{Topic: w.topic, Payload: w.payload, QoS: min(w.qos, 1), ID: uint16(min(w.qos, 1)), Retain: w.retain}
	dst, _ = mqttproto.AppendPublish(dst, mqttproto.Peer{Version: version}, &m)
	return dst
}

// farewellWillOnLoop hears what a DISCONNECT means for the Will. [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.14.4-3]
func (q *mqtt) farewellWillOnLoop(m *mqttproto.Disconnect) {
	switch {
	case q.will == nil:
	case m.Reason == mqttproto.ReasonSuccess:
		q.will = nil
	case q.asked != 0:
		q.will.expiry = m.Properties.Uint(mqttproto.PropSessionExpiry, q.will.expiry)
	}
}

// willOnLoop adds the Will to what the connection has brought. [MQTT-3.1.2-8]
func (q *mqtt) willOnLoop(l *link) {
	l.flags.Or(flagUnheard)
	packet := q.will.appendPublish(nil, q.peer.Version)
	if n := prefixSize + len(packet); l.batch.room() >= n || l.makeRoomOnLoop(n) {
		l.batch.add(eventloop.Binary, packet)
	}
}

// waitsOnLoop has the Will wait for its delay, and says whether it does, or is not wanted any
// more: the client goes on with its session on a newer connection. One that came in the place of
// l may yet be refused, or be gone before its CONNACK, and takes the Will out with that.
// [MQTT-3.1.3-9]
func (q *mqtt) waitsOnLoop(l *link, gone *eventloop.Gone) bool {
	w := q.will
	delay := min(w.delay, w.expiry)
	switch {
	case delay == 0 || q.session == nil:
		return false
	case len(w.topic) > envelope.MaxTopic || w.topic[0] == '$' || !l.rights.Load().MayPublish(w.topic):
		return false // it is refused, or a reply
	}
	atOtherNode := gone.Code == eventloop.CloseReplaced && l.session.Epoch() == l.epoch
	if newer, same := q.session.followed(l); newer || atOtherNode {
		return same
	}
	key := l.session.Key()
	held := l.g.wills.hold(backbone.Will{
		Tenant: key.Tenant, Device: key.Device, Epoch: l.epoch, Delay: time.Duration(delay) * time.Second,
		Topic: string(w.topic), Payload: w.payload, QoS: w.qos, Retain: w.retain,
	})
	if held == nil {
		l.g.drops[DropWillEarly].Add(1)
		return false
	}
	// A newer connection may have looked for the Will before it was there.
	if newer, same := q.session.followed(l); newer && l.g.wills.drop(held) {
		return same
	}
	return true
}

// followed says whether a newer connection than l has begun the session anew, or goes on with
// it and was welcomed: with the same one then.
func (s *clientSession) followed(l *link) (newer, same bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same = l.epoch >= s.began
	return s.link != l && (!same || s.welcomed > l.epoch), same
}

// welcome notes that the connection is welcomed, and says whether it still has s.
func (s *clientSession) welcome(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.welcomed = max(s.welcomed, l.epoch)
	return s.link == l
}

// backAnew publishes a Will that waits for a device whose session is taken up by now and
// begins anew. The store has it until it is durable. [MQTT-3.1.2-8]
func (g *Gateway) backAnew(key devicemgr.Key) {
	if w := g.wills.due(key); w != nil {
		g.publishWill(w)
	}
}

// backOnLoop takes the Will out that waits for the client of l, which goes on with its session:
// CONNACK is about to be written. Of a session that nothing was kept of a restart has left the
// Will alone. [MQTT-3.1.3-9]
func (q *mqtt) backOnLoop(l *link) {
	if !q.clean && (q.session == nil || q.session.welcome(l)) {
		l.g.wills.take(l.session.Key())
	}
}

// TakeUpWills has the Wills wait that an earlier run of the node has left. It is to be called
// before devices connect.
func (g *Gateway) TakeUpWills(ctx context.Context) error { return g.wills.load(ctx) }

// publishWill has a Will that is due go along its device's lane; false: the node stops, and it
// waits for the next start. Any goroutine.
func (g *Gateway) publishWill(w *will) bool {
	p := &publishing{g: g, will: w}
	p.batch = g.errand(w.key(), p)
	if !g.lanes.PostLast(uint64(p.batch.link.laneKey), p.batch) {
		p.batch.end()
		return false
	}
	return true
}

// publishing is a Will on its way to the log. It is a record about its device, as an event is:
// the device may be at another node by now, whose records it must not come between.
type publishing struct {
	dialect // none of the rest is called: there is no connection

	// Immutable after construction.
	g     *Gateway
	will  *will
	batch *batch
}

// takeOnLane implements dialect.
func (p *publishing) takeOnLane(_ *link, t *turn, _ *batch, _ message) {
	of := &p.will.of
	if most := p.g.cfg.Quotas.Of(of.Tenant).Stored; most > 0 && p.g.cfg.StoredBytes != nil && p.g.cfg.StoredBytes(of.Tenant) >= most {
		p.g.drops[DropQuotaStored].Add(1)
		p.g.wills.over(p.will)
		return
	}
	t.records = append(t.records, backbone.Record{
		Tenant: of.Tenant, Device: of.Device, Epoch: of.Epoch, Event: true,
		Type: envelope.TypeTelemetry.String(), Topic: []byte(of.Topic), Received: t.now,
		Data: of.Payload, Base64: !envelope.ValidJSON(of.Payload), MQTT: of.QoS + 1, Done: p,
	})
	if of.Retain && p.g.retains() { // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
		r, room := t.retainOnLane(p.g, p.will.key(), []byte(of.Topic), of.Payload, 0)
		if !room {
			p.g.drops[DropRetainFull].Add(1)
		}
		r.be(&t.records[len(t.records)-1])
	}
}

// doneOnLane implements dialect.
func (p *publishing) doneOnLane(*link, *turn, *batch) {}

// abandonedOnLane implements abandoned.
func (p *publishing) abandonedOnLane(error) { p.g.wills.failed(p.will) }

// Durable implements backbone.Completion.
func (p *publishing) Durable(_ uint64, n int) {
	p.batch.settle(n)
	p.g.wills.over(p.will)
}

// Overtaken implements backbone.Completion. Nobody overtakes an event.
func (p *publishing) Overtaken(_ uint64, n int) { p.batch.settle(n) }

// Wanted implements backbone.Completion.
func (p *publishing) Wanted() bool { return true }

var _ backbone.Completion = (*publishing)(nil)
