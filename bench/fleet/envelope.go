package fleet

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// jsonText is edgeloop.v1.json: one JSON object in a text message.
type jsonText struct{}

func (jsonText) protocol() string { return "edgeloop.v1.json" }
func (jsonText) op() ws.OpCode    { return ws.OpText }
func (jsonText) welcomes() bool   { return true }

func (jsonText) heartbeat(dst []byte) []byte { return append(dst, `{"type":"heartbeat"}`...) }

func (jsonText) telemetry(dst []byte, seq uint64, due int64, size int) []byte {
	start := len(dst)
	dst = append(dst, `{"type":"telemetry","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"topic":"bench","ts":`...)
	dst = strconv.AppendInt(dst, due/int64(time.Millisecond), 10)
	dst = append(dst, `,"data":{"pad":"`...)
	for len(dst)-start < size-3 {
		dst = append(dst, 'a'+byte(seq+uint64(len(dst)))%26)
	}
	return append(dst, `"}}`...)
}

func (jsonText) reply(dst, id []byte) []byte {
	dst = append(dst, `{"type":"reply","id":"`...)
	dst = append(dst, id...)
	return append(dst, `","ok":true,"data":{}}`...)
}

func (jsonText) read(payload []byte, e *event) {
	rest, plain := bytes.CutPrefix(payload, []byte(`{"type":"`))
	if !plain || payload[len(payload)-1] != '}' || bytes.IndexByte(payload, '\\') >= 0 {
		readAnyJSON(payload, e)
		return
	}
	switch {
	case bytes.HasPrefix(rest, []byte(`ack"`)):
		upto, ok := numberAfter(rest, `"upto":`)
		e.kind, e.seq = isAck, upto
		if !ok {
			e.kind = isBroken
		}
	case bytes.HasPrefix(rest, []byte(`command"`)):
		e.kind = isCommand
		if _, after, ok := bytes.Cut(rest, []byte(`"id":"`)); ok {
			e.id, _, _ = bytes.Cut(after, []byte(`"`))
		}
		stamped(rest, e)
	default:
		readAnyJSON(payload, e)
	}
}

// readAnyJSON reads the rare messages, and frequent ones in unexpected spelling.
func readAnyJSON(payload []byte, e *event) {
	var m struct {
		Type   string
		Upto   uint64
		Window int
		ID     string
		Code   string
		Data   json.RawMessage
	}
	if json.Unmarshal(payload, &m) != nil {
		e.kind = isBroken
		return
	}
	e.seq, e.window, e.id, e.code = m.Upto, m.Window, []byte(m.ID), m.Code
	switch m.Type {
	case "welcome":
		e.kind = isWelcome
	case "ack":
		e.kind = isAck
	case "command":
		e.kind = isCommand
		stamped(m.Data, e)
	case "error":
		e.kind = isFault
	default:
		e.kind = isOther
	}
}

// jsonFrame is edgeloop.v1.frame.json: the same objects in a binary frame of
// 0x55AA, type, length (3 bytes, big-endian), object, CRC-32/IEEE of all before.
type jsonFrame struct {
	jsonText
	body []byte
}

const (
	frameHead = 6
	frameTail = 4
)

func (*jsonFrame) protocol() string { return "edgeloop.v1.frame.json" }
func (*jsonFrame) op() ws.OpCode    { return ws.OpBinary }

func wrap(dst []byte, typ byte, body []byte) []byte {
	start := len(dst)
	dst = append(dst, 0x55, 0xAA, typ, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)))
	dst = append(dst, body...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

// unwrap returns the object in a binary frame; false when the frame is wrong.
func unwrap(b []byte) ([]byte, bool) {
	if len(b) < frameHead+frameTail || b[0] != 0x55 || b[1] != 0xAA {
		return nil, false
	}
	end := len(b) - frameTail
	if int(b[3])<<16|int(b[4])<<8|int(b[5]) != end-frameHead {
		return nil, false
	}
	if crc32.ChecksumIEEE(b[:end]) != binary.BigEndian.Uint32(b[end:]) {
		return nil, false
	}
	return b[frameHead:end], true
}

func (f *jsonFrame) heartbeat(dst []byte) []byte {
	f.body = f.jsonText.heartbeat(f.body[:0])
	return wrap(dst, 0x01, f.body)
}

func (f *jsonFrame) telemetry(dst []byte, seq uint64, due int64, size int) []byte {
	f.body = f.jsonText.telemetry(f.body[:0], seq, due, size-frameHead-frameTail)
	return wrap(dst, 0x02, f.body)
}

func (f *jsonFrame) reply(dst, id []byte) []byte {
	f.body = f.jsonText.reply(f.body[:0], id)
	return wrap(dst, 0x07, f.body)
}

func (f *jsonFrame) read(payload []byte, e *event) {
	body, ok := unwrap(payload)
	if !ok {
		e.kind = isBroken
		return
	}
	f.jsonText.read(body, e)
}
