package envelope_test

import (
	"testing"

	"edgeloop/envelope"
)

// Every way to be wrong in protobuf, written as bytes: a tag is the field's
// number times 8 plus 0 for a number, 2 for bytes.
func TestProto_Faults(t *testing.T) {
	tests := []struct {
		name    string
		kind    byte
		payload string
		code    string
		says    string
		seq     uint64
	}{
		{"sequence above 2^53-1", 0x02, "\x08\x80\x80\x80\x80\x80\x80\x80\x10", envelope.CodeBadSequence, "from 1 to 9007199254740991", 0},
		{"sequence above 2^63", 0x02, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", envelope.CodeBadSequence, `"seq"`, 0},
		{"time out of range", 0x02, "\x08\x07\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", envelope.CodeBadEnvelope, `"ts"`, 7},
		{"topic too long", 0x02, "\x08\x07\x12\x81\x02" + string(make([]byte, 257)), envelope.CodeTooLarge, `"topic" is 257 bytes`, 7},
		{"topic with a control character", 0x02, "\x12\x01\x00", envelope.CodeBadEnvelope, "control", 0},
		{"topic that is not UTF-8", 0x02, "\x08\x07\x12\x01\xff", envelope.CodeBadEnvelope, `"topic" must be UTF-8`, 7},
		{"group missing", 0x09, "", envelope.CodeBadEnvelope, `"group" is missing`, 0},
		{"type that the frame contradicts", 0x02, "\x8a\x01\x05leave", envelope.CodeBadEnvelope, `"leave" but the frame says telemetry`, 0},
		{"type of the node", 0x05, "\x60\x07", envelope.CodeUnsupportedType, "0x05", 0},
		{"value cut off", 0x02, "\x08\x07\x22\x05ab", envelope.CodeBadEnvelope, "cut off", 7},
		{"tag broken", 0x02, "\xff", envelope.CodeBadEnvelope, "tag", 0},
		{"field number 0", 0x02, "\x00\x01", envelope.CodeBadEnvelope, "tag", 0},
		{"a group", 0x02, "\xa3\x06\xa4\x06", envelope.CodeBadEnvelope, "groups are not supported", 0},
	}
	node, _ := codecs(t, envelope.ProtoFrameProto)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m envelope.Message
			if seq := wantFault(t, node.Decode(true, frame(tt.kind, tt.payload), &m), tt.code, tt.says); seq != tt.seq {
				t.Errorf("the fault's sequence is %d, want %d", seq, tt.seq)
			}
		})
	}
}

// Data may be any bytes and may be missing; unknown fields and those of another
// wire type are passed over; of a field that is there twice the last counts.
func TestProto_Accepts(t *testing.T) {
	node, _ := codecs(t, envelope.ProtoFrameProto)
	for payload, want := range map[string]envelope.Message{
		"":                               {Type: envelope.TypeTelemetry, Data: []byte{}},
		"\x22\x02\xff\x00":               {Type: envelope.TypeTelemetry, Data: []byte("\xff\x00")},
		"\x08\x01\x22\x01a\x08\x02":      {Type: envelope.TypeTelemetry, Seq: 2, Data: []byte("a")},
		"\x22\x01a\x0a\x01x\xa0\x06\x05": {Type: envelope.TypeTelemetry, Data: []byte("a")},
	} {
		var m envelope.Message
		if err := node.Decode(true, frame(0x02, payload), &m); err != nil {
			t.Errorf("%x: %v", payload, err)
		}
		wantMessage(t, payload, want, m)
	}
}
