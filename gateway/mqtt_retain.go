package gateway

import (
	"edgeloop/backbone"
	"edgeloop/mqttproto"
)

// What a client of MQTT wants retained is a record like others that says so. Whoever keeps what is
// retained reads it in the log (docs/decisions/0070), and is told before that one is on its way.

// A Retainer keeps the last message of each topic that was published to be retained. Its methods
// may be called from any goroutine, and do not block.
type Retainer interface {
	// Room says whether there is room for a message with so many bytes of payload, none being one
	// that takes an older one out, and so many beside, and keeps it for that. topic is borrowed
	// until return.
	Room(tenant, device string, topic []byte, payload, beside int) bool
	// Begun hears that a record which is to be retained is about to be appended, and Ended that it
	// is in the log, or never will be.
	Begun()
	Ended()
}

// retains says whether anything is retained.
func (g *Gateway) retains() bool { return g.cfg.Retainer != nil }

// wantsRetained says whether pub is to be retained, and whether there is room.
func (l *link) wantsRetained(pub *mqttproto.Publish, beside int) (retain, room bool) {
	if !pub.Retain || !l.g.retains() || !l.rights().MayPublish(pub.Topic) {
		return false, true
	}
	key := l.session.Key()
	return true, l.g.cfg.Retainer.Room(key.Tenant, key.Device, pub.Topic, len(pub.Payload), beside)
}

// refusesRetained says whether pub, for which there is no room, is refused: where the client hears
// of that.
func (q *mqtt) refusesRetained(l *link, pub *mqttproto.Publish) bool {
	if q.peer.Version != mqttproto.V5 || pub.QoS == 0 || l.flags.Load()&flagUnheard != 0 {
		return false
	}
	l.g.drops[DropRetainFull].Add(1)
	return true
}

// errRetain lies in what a node may not offer.
var errRetain = &mqttproto.Error{Reason: mqttproto.ReasonRetainNotSupported, What: "this node retains nothing", Tag: "MQTT-3.2.2-14"}

// retainOnLane has r retained. Where there is no room it says so all the same: what its topic had
// is retained no more, because it is not the last.
func (g *Gateway) retainOnLane(r *backbone.Record, room bool) {
	if !room {
		g.drops[DropRetainFull].Add(1)
	}
	g.cfg.Retainer.Begun()
	r.Retain, r.Done = true, &retaining{r.Done, g.cfg.Retainer}
}

// retaining tells a Retainer besides whoever is to be told.
type retaining struct {
	backbone.Completion
	to Retainer
}

// Durable implements backbone.Completion.
func (r *retaining) Durable(seq uint64, n int) {
	r.to.Ended()
	r.Completion.Durable(seq, n)
}

// Overtaken implements backbone.Completion.
func (r *retaining) Overtaken(seq uint64, n int) {
	r.to.Ended()
	r.Completion.Overtaken(seq, n)
}
