package envelope

import "bytes"

// The subprotocols, as offered in Sec-WebSocket-Protocol. The raw encoding has the empty
// name: it serves devices that offer none.
const (
	ProtoJSON       = "edgeloop.v1.json"
	ProtoFrameJSON  = "edgeloop.v1.frame.json"
	ProtoFrameProto = "edgeloop.v1.frame.proto"
	ProtoRaw        = ""
)

// Protocols lists the subprotocols, the one that a node prefers first. The slice belongs to
// the caller.
func Protocols() []string { return []string{ProtoFrameProto, ProtoFrameJSON, ProtoJSON} }

// Codec is one encoding. It has no state; any goroutine may use it. Neither
// direction allocates once m and dst have grown, unless the input is faulty.
type Codec interface {
	// Decode empties m and reads the whole payload of one WebSocket message into it.
	// binary says whether it was a binary message. payload is shared, never written;
	// m borrows from it. The error is a *Fault or nil; after a fault m is empty.
	Decode(binary bool, payload []byte, m *Message) error
	// Append appends the payload of one WebSocket message that carries m, and returns
	// the longer slice. It leaves out fields that the type does not carry. If the
	// encoding has no form for m (raw: anything but a command), it returns dst
	// unchanged, and the caller sends nothing.
	Append(dst []byte, m *Message) []byte
	// Binary reports whether Append makes binary messages, or else text.
	Binary() bool
	// Name is the subprotocol, "" for raw.
	Name() string
}

// ForProtocol is the node's codec for a subprotocol. It decodes only what devices may send;
// Append takes every type.
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

// MayBeHeartbeat quickly reports whether a message may be a heartbeat. It may return false
// for a heartbeat in an unusual form. payload is borrowed until return.
func MayBeHeartbeat(binary bool, payload []byte) bool {
	if binary { // behind the magic
		return len(payload) > 2 && payload[2] == byte(TypeHeartbeat)
	}
	return bytes.Contains(payload, []byte(`"heartbeat"`))
}
