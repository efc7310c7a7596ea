package gateway_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"edgeloop/envelope"
)

// heard is what a device understands of a message, whatever the protocol. The
// node's own codec does not decode what only the node sends, so this is written
// apart from it, after docs/protocol.md.
type heard struct {
	Type         string
	Upto, Epoch  uint64
	Window       uint64
	ID, Name     string
	Code         string
	Data         json.RawMessage
	HeartbeatSec uint64 `json:"heartbeat_s"`
}

// understand reads one message of the protocol.
func understand(proto string, b []byte) (m heard, err error) {
	if proto == envelope.ProtoJSON {
		return m, json.Unmarshal(b, &m)
	}
	const head, tail = 6, 4
	if len(b) < head+tail || b[0] != 0x55 || b[1] != 0xaa {
		return m, fmt.Errorf("%q is no frame", b)
	}
	body, end := b[head:len(b)-tail], len(b)-tail
	if n := int(b[3])<<16 | int(b[4])<<8 | int(b[5]); n != len(body) {
		return m, fmt.Errorf("length %d of %d bytes", n, len(body))
	}
	if sum := crc32.ChecksumIEEE(b[:end]); sum != binary.BigEndian.Uint32(b[end:]) {
		return m, fmt.Errorf("checksum of %q is not %x", b, sum)
	}
	if proto == envelope.ProtoFrameJSON {
		err = json.Unmarshal(body, &m)
	} else {
		err = m.readProto(body)
	}
	m.Type = map[byte]string{0x01: "heartbeat", 0x05: "ack", 0x06: "command", 0x08: "welcome", 0x0f: "error"}[b[2]]
	return m, err
}

// readProto reads protobuf fields by their numbers in edgeloop.proto.
func (m *heard) readProto(b []byte) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		value, k := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || k <= 0 {
			return fmt.Errorf("%q is no field", b)
		}
		b = b[n+k:]
		field, kind := tag>>3, tag&7
		if kind == 0 {
			for number, to := range map[uint64]*uint64{11: &m.Epoch, 12: &m.Upto, 13: &m.HeartbeatSec, 14: &m.Window} {
				if number == field {
					*to = value
				}
			}
			continue
		}
		if kind != 2 || value > uint64(len(b)) {
			return fmt.Errorf("field %d of kind %d", field, kind)
		}
		for number, to := range map[uint64]*string{5: &m.ID, 6: &m.Name, 8: &m.Code} {
			if number == field {
				*to = string(b[:value])
			}
		}
		if field == 4 {
			m.Data = json.RawMessage(b[:value])
		}
		b = b[value:]
	}
	return nil
}
