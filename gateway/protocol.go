package gateway

import "edgeloop/envelope"

// A protocol is a codec by number: a link keeps one byte of it instead of an
// interface of sixteen.
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

// codecTable holds the codec of each protocol.
type codecTable [numProtocols]envelope.Codec

func newCodecTable() (t codecTable) {
	for p := range numProtocols {
		t[p], _ = envelope.ForProtocol(p.name()) // each is one of envelope's
	}
	return t
}

// codec is the encoding that the link speaks.
func (l *link) codec() envelope.Codec { return l.g.codecs[l.proto] }

// anyBytes says whether data may be something else than JSON.
func (p protocol) anyBytes() bool { return p == protocolRaw || p == protocolFrameProto }
