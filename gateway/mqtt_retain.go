package gateway

import (
	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/mqttproto"
)

// What a client of MQTT wants retained is a record like others that says so. Whoever keeps what is
// retained hears where it lies in the log, before the client is answered (docs/decisions/0070).

// A Retainer keeps the last message of each topic that was published to be retained. Its methods
// may be called from any goroutine, and do not block.
type Retainer interface {
	// Topic is the one at which subscribers find what a device published to a topic. It is that of
	// the other methods.
	Topic(device, topic string) string
	// Reserve keeps room for a message whose record has about so many bytes, until Retain or
	// GiveBack; false: there is none.
	Reserve(tenant, topic string, size int) bool
	// GiveBack hears that the message never comes.
	GiveBack(tenant, topic string)
	// Retain has the record at a position of the log be the last of its topic; one without room
	// takes out what is there. line is borrowed until return.
	Retain(tenant, topic string, reserved bool, position uint64, line []byte)
}

// retains says whether anything is retained.
func (g *Gateway) retains() bool { return g.cfg.Retainer != nil }

// errRetain lies in what a node may not offer.
var errRetain = &mqttproto.Error{Reason: mqttproto.ReasonRetainNotSupported, What: "this node retains nothing", Tag: "MQTT-3.2.2-14"}

// retaining is a message that is to be retained, on its way to the log. It tells a Retainer besides
// whoever is to be told. nil is one that is not.
type retaining struct {
	backbone.Completion

	// Immutable after construction.
	to            Retainer
	tenant, topic string

	// Owned by the lane, then by the log.
	reserved bool
}

// lineMost is the most that a record has beside its topic, properties and data, bytes: 1,273, of which
// 782 are what is kept of a session with 64 runs of packet identifiers.
const lineMost = 2 << 10

// retainOnLane keeps room for a message of a device that is to be retained, with so many bytes
// beside its payload. room is false where there is none. [MQTT-3.3.1-5]
func (t *turn) retainOnLane(g *Gateway, of devicemgr.Key, topic, payload []byte, beside int) (r *retaining, room bool) {
	r = &retaining{to: g.cfg.Retainer, tenant: of.Tenant, topic: g.cfg.Retainer.Topic(of.Device, string(topic))}
	t.retained = append(t.retained, r)
	if len(payload) == 0 { // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
		return r, true
	}
	r.reserved = r.to.Reserve(of.Tenant, r.topic, len(payload)*4/3+beside+2*len(topic)+lineMost)
	return r, r.reserved
}

// publishToRetainOnLane is retainOnLane for a PUBLISH. It keeps no room for one that will be
// refused or that the log has already. If there is no room, the PUBLISH is refused if the client
// hears of that: the code says how. Otherwise it is stored, and what its topic has is retained no
// more, because it is not the last.
func (q *mqtt) publishToRetainOnLane(l *link, t *turn, pub *mqttproto.Publish, seq uint64, beside int) (r *retaining, code mqttproto.ReasonCode) {
	high := l.session.AcceptedOnLane()
	if !pub.Retain || !l.g.retains() || l.lost != 0 || seq != 0 && seq <= high || !l.rights.Load().MayPublish(pub.Topic) {
		return nil, mqttproto.ReasonSuccess
	}
	r, room := t.retainOnLane(l.g, l.session.Key(), pub.Topic, pub.Payload, beside)
	if room {
		return r, mqttproto.ReasonSuccess
	}
	hears := q.peer.Version == mqttproto.V5 && pub.QoS > 0 && l.flags.Load()&flagUnheard == 0
	if hears && !l.missOnLane(seq, high, DropRetainFull, tooManyRetained) {
		return nil, mqttproto.ReasonCode(codeNone)
	}
	l.g.drops[DropRetainFull].Add(1)
	if hears {
		return nil, mqttproto.ReasonQuotaExceeded
	}
	return r, mqttproto.ReasonSuccess
}

// tooManyRetained is told to devices.
const tooManyRetained = "there is no room for one more retained message"

// be has a record be the one that r is about, which has its Done.
func (r *retaining) be(of *backbone.Record) {
	if r != nil {
		r.Completion = of.Done
		of.Retain, of.Done = true, r
	}
}

// giveBack gives its room back: it does not come to the log.
func (r *retaining) giveBack() {
	if r != nil && r.reserved {
		r.reserved = false
		r.to.GiveBack(r.tenant, r.topic)
	}
}

// Placed implements backbone.Placer.
func (r *retaining) Placed(position uint64, line []byte) {
	r.to.Retain(r.tenant, r.topic, r.reserved, position, line)
}

// Overtaken implements backbone.Completion.
func (r *retaining) Overtaken(seq uint64, n int) {
	r.giveBack()
	r.Completion.Overtaken(seq, n)
}

var _ backbone.Placer = (*retaining)(nil)
