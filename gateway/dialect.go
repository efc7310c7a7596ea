package gateway

import (
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
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
	// takeOnLane takes one message of b in: it adds a record to t's, or deals with it.
	// payload is a piece of b, to which the record refers until the log copied it.
	takeOnLane(l *link, t *turn, b *batch, kind eventloop.Kind, payload []byte)
	// tellOnLoop writes what the device does not know yet: first the welcome, then
	// what has become durable.
	tellOnLoop(l *link)
	// silenceOnLoop is how long this connection may be silent.
	silenceOnLoop(l *link) devicemgr.Silence
}

// A voice is a dialect at a node. The link has one pointer to both, where it had one
// to the node, so a dialect with a state of each connection costs the others nothing.
type voice struct {
	// Immutable after construction.
	g       *Gateway
	dialect dialect
}

// A protocol is one by number, for tables.
type protocol uint8

const (
	protocolRaw protocol = iota
	protocolJSON
	protocolFrameJSON
	protocolFrameProto
	numProtocols
)

// name is the subprotocol.
func (p protocol) name() string {
	return [numProtocols]string{envelope.ProtoRaw, envelope.ProtoJSON, envelope.ProtoFrameJSON, envelope.ProtoFrameProto}[p]
}

// protocolOf finds a subprotocol by its name.
func protocolOf(name string) (protocol, bool) {
	for p := range numProtocols {
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
type voices [numProtocols]*voice

func (g *Gateway) learnProtocols() {
	for p := range numProtocols {
		e := newEdgeloop(p)
		g.forms[p], g.voices[p] = e, &voice{g, e}
	}
}
