package envelope

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// A frame is magic (2 bytes), type (1), length of the payload (3, big-endian), payload, and
// the CRC-32/IEEE of all bytes before it (4, big-endian). One frame fills one binary
// message.
const (
	frameMagic   = 0x55AA
	frameHeader  = 6
	frameTrailer = 4
)

// frameJSONCodec is edgeloop.v1.frame.json.
type frameJSONCodec struct{ reader side }

func (frameJSONCodec) Name() string { return ProtoFrameJSON }

func (frameJSONCodec) Binary() bool { return true }

func (c frameJSONCodec) Decode(binary bool, payload []byte, m *Message) error {
	m.Reset()
	frameType, inner, fault := openFrame(c.Name(), binary, payload)
	if fault == nil {
		if len(inner) == 0 {
			inner = emptyObject
		}
		fault = decodeJSON(c.reader, frameType, inner, m)
	}
	if fault != nil {
		m.Reset()
		return fault
	}
	return nil
}

func (frameJSONCodec) Append(dst []byte, m *Message) []byte {
	return appendFrame(dst, m, appendJSON)
}

// emptyObject stands for an empty payload; never written.
var emptyObject = []byte("{}")

// frameProtoCodec is edgeloop.v1.frame.proto.
type frameProtoCodec struct{ reader side }

func (frameProtoCodec) Name() string { return ProtoFrameProto }

func (frameProtoCodec) Binary() bool { return true }

func (c frameProtoCodec) Decode(binary bool, payload []byte, m *Message) error {
	m.Reset()
	frameType, inner, fault := openFrame(c.Name(), binary, payload)
	if fault == nil {
		fault = decodeProto(c.reader, frameType, inner, m)
	}
	if fault != nil {
		m.Reset()
		return fault
	}
	return nil
}

func (frameProtoCodec) Append(dst []byte, m *Message) []byte {
	return appendFrame(dst, m, appendProto)
}

// openFrame checks the frame b and returns its type byte and its payload.
func openFrame(codec string, isBinary bool, b []byte) (Type, []byte, *Fault) {
	if !isBinary {
		return 0, nil, badFrame("a text message; " + codec + " takes binary messages")
	}
	if len(b) < frameHeader+frameTrailer {
		return 0, nil, badFrame("a message of " + strconv.Itoa(len(b)) + " bytes; a frame has 10 and its payload")
	}
	if magic := binary.BigEndian.Uint16(b); magic != frameMagic {
		return 0, nil, badFrame("the magic is 0x" + hexadecimal(uint32(magic), 4) + "; allowed is 0x55AA")
	}
	declared := int(binary.BigEndian.Uint32(b[2:]) & MaxPayload)
	if held := len(b) - frameHeader - frameTrailer; declared != held {
		return 0, nil, badFrame("the payload length says " + strconv.Itoa(declared) + " but the message holds " +
			strconv.Itoa(held) + " bytes of payload; one frame fills one message")
	}
	body, trailer := b[:len(b)-frameTrailer], b[len(b)-frameTrailer:]
	if sent, sum := binary.BigEndian.Uint32(trailer), crc32.ChecksumIEEE(body); sent != sum {
		return 0, nil, &Fault{Code: CodeBadCRC, Message: "the checksum is 0x" + hexadecimal(sent, 8) +
			" but the frame's CRC-32/IEEE is 0x" + hexadecimal(sum, 8)}
	}
	frameType := Type(b[2])
	if frameType == 0 || frameType == TypeLeave {
		return 0, nil, &Fault{Code: CodeUnsupportedType, Message: "type 0x" + hexadecimal(uint32(frameType), 2) +
			" is not a frame's; 0x09 is join and leave"}
	}
	return frameType, body[frameHeader:len(body):len(body)], nil
}

// appendFrame appends a frame with the payload that appendPayload makes of m. It appends
// nothing if the payload is longer than a frame can hold.
func appendFrame(dst []byte, m *Message, appendPayload func([]byte, *Message) []byte) []byte {
	start := len(dst)
	if !m.Type.known() {
		return dst
	}
	dst = append(dst, frameMagic>>8, frameMagic&0xFF, m.Type.wire(), 0, 0, 0)
	dst = appendPayload(dst, m)
	n := len(dst) - start - frameHeader
	if n > MaxPayload {
		return dst[:start]
	}
	dst[start+3], dst[start+4], dst[start+5] = byte(n>>16), byte(n>>8), byte(n)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

func badFrame(problem string) *Fault { return &Fault{Code: CodeBadFrame, Message: problem} }

// hexadecimal returns v in upper case with at least the given number of digits.
func hexadecimal(v uint32, digits int) string {
	const hex = "0123456789ABCDEF"
	var b [8]byte
	for i := range b {
		b[7-i] = hex[v>>(4*i)&15]
	}
	return string(b[8-digits:])
}
