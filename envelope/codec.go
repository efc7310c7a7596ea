package envelope

import "bytes"

// The subprotocols, as offered in Sec-WebSocket-Protocol. The raw encoding has
// the empty name: it is spoken with devices that offer none.
const (
	ProtoJSON       = "edgeloop.v1.json"
	ProtoFrameJSON  = "edgeloop.v1.frame.json"
	ProtoFrameProto = "edgeloop.v1.frame.proto"
	ProtoRaw        = ""
)

// Protocols lists the subprotocols in the order in which a node prefers them.
// The slice is the caller's.
func Protocols() []string { return []string{ProtoFrameProto, ProtoFrameJSON, ProtoJSON} }

// Codec is one encoding. It has no state; any goroutine may use it. Neither
// direction allocates once m and dst have grown, unless the input is faulty.
type Codec interface {
	// Decode reads the whole payload of one WebSocket message into m, which it
	// empties first. binary says whether it was a binary message. payload is
	// shared and never written; m borrows from it. The error is a *Fault or
	// nil; after a fault m is empty.
	Decode(binary bool, payload []byte, m *Message) error
	// Append appends the payload of one WebSocket message that carries m, and
	// returns the longer slice. Fields that the type does not carry are left
	// out. If the encoding has no form for m (raw: anything but a command),
	// dst comes back as it was and nothing is to be sent.
	Append(dst []byte, m *Message) []byte
	// Binary says what Append makes: binary messages, or text.
	Binary() bool
	// Name is the subprotocol, "" for raw.
	Name() string
}

// ForProtocol is the node's codec for a subprotocol: it decodes only what
// devices may send. Append takes every type.
func ForProtocol(name string) (Codec, bool) { return newCodec(name, nodeSide) }

// ForDevice is the codec of a device, which decodes only what a node sends.
func ForDevice(name string) (Codec, bool) { return newCodec(name, deviceSide) }

func newCodec(name string, reader side) (Codec, bool) {
	switch name {
	case ProtoJSON:
		return jsonCodec{reader}, true
	case ProtoFrameJSON:
		return frameJSONCodec{reader}, true
	case ProtoFrameProto:
		return frameProtoCodec{reader}, true
	case ProtoRaw:
		return rawCodec{}, true
	}
	return nil, false
}

// MayBeHeartbeat says whether a message may be a heartbeat, at a glance: a false
// answer may be wrong for one that is written in an unusual way. payload is borrowed
// until return.
func MayBeHeartbeat(binary bool, payload []byte) bool {
	if binary { // behind the magic
		return len(payload) > 2 && payload[2] == byte(TypeHeartbeat)
	}
	return bytes.Contains(payload, []byte(`"heartbeat"`))
}
