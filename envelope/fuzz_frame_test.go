package envelope_test

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"edgeloop/envelope"
)

// isFrame is the definition of a frame, written a second time.
func isFrame(b []byte) bool {
	return len(b) >= 10 && b[0] == 0x55 && b[1] == 0xAA &&
		int(b[3])<<16+int(b[4])<<8+int(b[5]) == len(b)-10 &&
		crc32.ChecksumIEEE(b[:len(b)-4]) == binary.BigEndian.Uint32(b[len(b)-4:])
}

// FuzzFrame feeds both binary codecs with arbitrary bytes, and with a whole
// frame around an arbitrary payload. Nothing but a whole frame passes; with
// JSON inside it means what the payload means in a text message; and no change
// of one byte passes unnoticed.
func FuzzFrame(f *testing.F) {
	for _, m := range samples() {
		for _, name := range []string{envelope.ProtoFrameJSON, envelope.ProtoFrameProto} {
			codec, _ := codecs(f, name)
			b := codec.Append(nil, &m)
			f.Add(b, b[2], b[6:len(b)-4], uint(len(b)/2), byte(1))
		}
	}
	f.Add([]byte("\x55\xAA"), byte(9), []byte(`{"type":"leave","group":"g"}`), uint(3), byte(0x80))
	text, textDevice := codecs(f, envelope.ProtoJSON)
	f.Fuzz(func(t *testing.T, b []byte, kind byte, payload []byte, at uint, flip byte) {
		whole := frame(kind, string(payload))
		damaged := frame(kind, string(payload))
		damaged[at%uint(len(damaged))] ^= flip
		for _, name := range []string{envelope.ProtoFrameJSON, envelope.ProtoFrameProto} {
			node, device := codecs(t, name)
			for i, codec := range []envelope.Codec{node, device} {
				var m envelope.Message
				if codec.Decode(true, b, &m) == nil && !isFrame(b) {
					t.Fatalf("%s took %x", name, b)
				}
				if codec.Decode(true, damaged, &m) == nil && flip != 0 {
					t.Fatalf("%s took the damaged frame %x", name, damaged)
				}
				if codec.Decode(true, whole, &m) != nil {
					continue
				}
				if m.Type != envelope.Type(kind) && (m.Type != envelope.TypeLeave || kind != 0x09) {
					t.Fatalf("%s: type %v in a frame of type %#x", name, m.Type, kind)
				}
				wantRoundTrip(t, codec, codec, &m)
				if name == envelope.ProtoFrameJSON {
					wantRoundTrip(t, text, []envelope.Codec{text, textDevice}[i], &m)
				}
			}
		}
	})
}
