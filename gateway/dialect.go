package gateway

import (
	"context"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// A dialect is what a protocol has of its own: how a message of a device is
// understood, what the device is told, when it is silent. The link has what all
// protocols need: window, batch, parking, takeover, the flags.
//
// A dialect that keeps nothing of a connection is shared by all that speak it.
type dialect interface {
	// protocol is which one this is, and so how its commands are encoded. Any goroutine.
	protocol() protocol
	// hearOnLoop looks at a message before it is copied, and says whether it has dealt
	// with it; false sends it to the lane. payload is borrowed until return.
	hearOnLoop(l *link, kind eventloop.Kind, payload []byte) (done bool)
	// begunOnLoop hears of a batch that is going to be filled; see batch.await.
	begunOnLoop(b *batch)
	// takeOnLane takes one message m of b in: it adds a record to t's, or deals with it.
	// m is a piece of b, to which the record refers until the log copied it.
	takeOnLane(l *link, t *turn, b *batch, m message)
	// doneOnLane hears that all messages of b were taken in. It may add a record in the
	// place of one of them that made none.
	doneOnLane(l *link, t *turn, b *batch)
	// resume takes up what the device has left at this node, before the connection is
	// welcomed; done is false where that was left to the log meanwhile, which is to be asked. Not on a loop.
	resume(l *link, key devicemgr.Key) (done bool, err error)
	// kept is the session of the client that resume has taken up, nil for none. Any goroutine.
	kept() *clientSession
	// fetch sends what is stored for the device, and says whether the store did as it was
	// asked. Not on a loop.
	fetch(ctx context.Context, l *link) (ok bool)
	// tellOnLoop writes what the device does not know yet: first the welcome, then
	// what has become durable.
	tellOnLoop(l *link)
	// mostDown is the largest message that the device takes, bytes; 0: any. Any goroutine.
	mostDown() int
	// silenceOnLoop is how long this connection may be silent.
	silenceOnLoop(l *link) devicemgr.Silence
	// goneOnLoop hears that the connection has ended. What it adds to the link's batch
	// still goes to the lane.
	goneOnLoop(l *link, gone *eventloop.Gone)
}

// A voice is a dialect at a node. A link has one pointer to both, so a dialect that keeps state for
// each connection costs the others nothing.
type voice struct {
	// Immutable after construction.
	g       *Gateway
	dialect dialect
	tenant  *tenant // set once, before anybody sees the link; nil where there is no connection
}

// A protocol is one by number, for tables.
type protocol uint8

const (
	protocolRaw protocol = iota
	protocolJSON
	protocolFrameJSON
	protocolFrameProto
	protocolMQTT3
	protocolMQTT5
	numProtocols

	numEdgeloop = protocolMQTT3 // those before it are edgeloop's, one for each encoding
)

// name is what lists call it: of edgeloop's the subprotocol.
func (p protocol) name() string {
	return [numProtocols]string{envelope.ProtoRaw, envelope.ProtoJSON, envelope.ProtoFrameJSON, envelope.ProtoFrameProto, "mqtt.3.1.1", "mqtt.5.0"}[p]
}

// firstFlags are those with which a link begins: an MQTT device has to ask for commands.
func (p protocol) firstFlags() uint32 {
	if p < numEdgeloop {
		return 0
	}
	return flagMute
}

// protocolOf finds an encoding of edgeloop's protocol by its subprotocol.
func protocolOf(name string) (protocol, bool) {
	for p := range numEdgeloop {
		if p.name() == name {
			return p, true
		}
	}
	return 0, false
}

// A form is how a command looks in a protocol.
type form interface {
	// kind is of the message that carries it.
	kind() eventloop.Kind
	// appendCommand appends a command to dst.
	appendCommand(dst []byte, id, name string, data []byte) []byte
}

// forms are the forms of all protocols.
type forms [numProtocols]form

// voices are the voices of the dialects that are shared.
type voices [numEdgeloop]*voice

func (g *Gateway) learnProtocols() {
	for p := range numEdgeloop {
		e := newEdgeloop(p)
		g.forms[p], g.voices[p] = e, &voice{g: g, dialect: e}
	}
	g.forms[protocolMQTT3] = mqttForm(mqttproto.V311)
	g.forms[protocolMQTT5] = mqttForm(mqttproto.V5)
}
