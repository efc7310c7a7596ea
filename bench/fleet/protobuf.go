package fleet

import (
	"encoding/binary"
	"time"

	"github.com/gobwas/ws"
)

// protoFrame is edgeloop.v1.frame.proto: the binary frame with the fields of
// edgeloop.proto in it, written and read by hand.
type protoFrame struct{ body []byte }

func (*protoFrame) protocol() string { return "edgeloop.v1.frame.proto" }
func (*protoFrame) op() ws.OpCode    { return ws.OpBinary }
func (*protoFrame) welcomes() bool   { return true }

// The field numbers of edgeloop.proto that a device needs.
const (
	fieldSeq    = 1
	fieldTopic  = 2
	fieldTS     = 3
	fieldData   = 4
	fieldID     = 5
	fieldOK     = 7
	fieldCode   = 8
	fieldUpto   = 12
	fieldWindow = 14
)

func appendVarint(dst []byte, field int, v uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(field)<<3)
	return binary.AppendUvarint(dst, v)
}

func appendBytes(dst []byte, field int, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(field)<<3|2)
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func (f *protoFrame) heartbeat(dst []byte) []byte { return wrap(dst, 0x01, nil) }

func (f *protoFrame) telemetry(dst []byte, seq uint64, due int64, size int) []byte {
	b := appendVarint(f.body[:0], fieldSeq, seq)
	b = appendBytes(b, fieldTopic, []byte("bench"))
	b = appendVarint(b, fieldTS, uint64(due/int64(time.Millisecond)))
	// What is left of size for data, after its key, its length and the frame.
	room := max(0, size-frameHead-frameTail-len(b)-2)
	if room > 127 {
		room--
	}
	b = binary.AppendUvarint(b, fieldData<<3|2)
	b = binary.AppendUvarint(b, uint64(room))
	for i := range room {
		b = append(b, 'a'+byte(seq+uint64(i))%26)
	}
	f.body = b
	return wrap(dst, 0x02, b)
}

func (f *protoFrame) reply(dst, id []byte) []byte {
	b := appendBytes(f.body[:0], fieldID, id)
	b = appendVarint(b, fieldOK, 1)
	f.body = appendBytes(b, fieldData, []byte("{}"))
	return wrap(dst, 0x07, f.body)
}

func (*protoFrame) read(payload []byte, e *event) {
	body, ok := unwrap(payload)
	if !ok || !readFields(body, e) {
		e.kind = isBroken
		return
	}
	switch payload[2] {
	case 0x05:
		e.kind = isAck
	case 0x06:
		e.kind = isCommand
	case 0x08:
		e.kind = isWelcome
	case 0x0F:
		e.kind = isFault
	default:
		e.kind = isOther
	}
}

// readFields takes what it knows out of a protobuf message; false when the
// message is malformed. Fields of other wire types do not occur in the schema.
func readFields(b []byte, e *event) bool {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return false
		}
		b = b[n:]
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return false
		}
		b = b[n:]
		switch key & 7 {
		case 0:
			switch key >> 3 {
			case fieldUpto:
				e.seq = v
			case fieldWindow:
				e.window = int(min(v, maxBacklog))
			}
		case 2:
			if v > uint64(len(b)) {
				return false
			}
			switch key >> 3 {
			case fieldID:
				e.id = b[:v]
			case fieldData:
				stamped(b[:v], e)
			case fieldCode:
				e.code = string(b[:v])
			}
			b = b[v:]
		default:
			return false
		}
	}
	return true
}
