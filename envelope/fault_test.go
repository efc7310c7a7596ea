package envelope_test

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"edgeloop/envelope"
)

// Every way to be wrong in JSON, with the code, what the message must say, and
// whether the sequence is still known, so that the gateway can settle it.
func TestJSON_Faults(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		payload string
		code    string
		says    string
		seq     uint64
	}{
		{``, envelope.CodeBadEnvelope, "ends too early", 0},
		{` `, envelope.CodeBadEnvelope, "ends too early", 0},
		{`{`, envelope.CodeBadEnvelope, "at byte 1", 0},
		{`[]`, envelope.CodeBadEnvelope, "one object", 0},
		{`"telemetry"`, envelope.CodeBadEnvelope, "one object", 0},
		{`{}`, envelope.CodeBadEnvelope, `"type" is missing; allowed are heartbeat, telemetry,`, 0},
		{`{"type":7}`, envelope.CodeBadEnvelope, `"type" must be a string`, 0},
		{`{"type":null,"seq":7}`, envelope.CodeBadEnvelope, `"type" is missing`, 7},
		{`{"type":"Telemetry","seq":7,"data":1}`, envelope.CodeUnsupportedType, `"Telemetry" is not supported; allowed are heartbeat,`, 7},
		{`{"type":"` + long(100) + `"}`, envelope.CodeUnsupportedType, `"` + long(32) + `"…`, 0},
		{`{"type":"welcome"}`, envelope.CodeUnsupportedType, "telemetry", 0},
		{`{"type":"telemetry","seq":7}`, envelope.CodeBadEnvelope, `"data" is missing; telemetry must carry "data" and may carry "seq", "topic", "ts"`, 7},
		{`{"type":"telemetry","seq":0,"data":1}`, envelope.CodeBadSequence, "from 1 to 9007199254740991", 0},
		{`{"type":"telemetry","seq":-1,"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":1.0,"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":1e3,"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":"7","data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":true,"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":[7],"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":9007199254740992,"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":18446744073709551617,"data":1}`, envelope.CodeBadSequence, `"seq"`, 0},
		{`{"type":"telemetry","seq":7,"seq":8,"data":1}`, envelope.CodeBadEnvelope, `"seq" is there twice`, 0},
		{`{"type":"telemetry","seq":7,"data":1,"d\u0061ta":2}`, envelope.CodeBadEnvelope, `"data" is there twice`, 7},
		{`{"type":"telemetry","topic":5,"seq":7,"data":1}`, envelope.CodeBadEnvelope, `"topic" must be a string`, 7},
		{`{"type":"telemetry","topic":"` + long(257) + `","data":1,"seq":7}`, envelope.CodeTooLarge, `"topic" is 257 bytes; allowed are up to 256`, 7},
		{`{"type":"telemetry","topic":"a\u0000b","data":1}`, envelope.CodeBadEnvelope, `"topic" has a control character`, 0},
		{`{"type":"telemetry","topic":"a\u0085b","data":1}`, envelope.CodeBadEnvelope, "control", 0},
		{"{\"type\":\"telemetry\",\"topic\":\"a\x7f\",\"data\":1}", envelope.CodeBadEnvelope, "control", 0},
		{`{"type":"telemetry","ts":1.5,"data":1}`, envelope.CodeBadEnvelope, `"ts" must be an integer`, 0},
		{`{"type":"telemetry","data":` + deep(128) + `}`, envelope.CodeTooLarge, "128", 0},
		{`{"type":"telemetry","seq":7,"data":tru}`, envelope.CodeBadEnvelope, "at byte 35: allowed words", 7},
		{`{"type":"telemetry","data":1}x`, envelope.CodeBadEnvelope, "nothing may follow", 0},
		{`{"type":"telemetry","data":1,}`, envelope.CodeBadEnvelope, "name", 0},
		{"{\"type\":\"telemetry\",\"data\":\"\xff\"}", envelope.CodeBadEnvelope, "UTF-8", 0},
		{`{"type":"reply","ok":true}`, envelope.CodeBadEnvelope, `"id" is missing`, 0},
		{`{"type":"reply","id":"","ok":true}`, envelope.CodeBadEnvelope, `"id" is missing`, 0},
		{`{"type":"reply","id":"a"}`, envelope.CodeBadEnvelope, `"ok" is missing`, 0},
		{`{"type":"reply","id":"a","ok":null}`, envelope.CodeBadEnvelope, `"ok" is missing`, 0},
		{`{"type":"reply","id":"a","ok":1}`, envelope.CodeBadEnvelope, `"ok" must be true or false`, 0},
		{`{"type":"reply","id":"` + long(65) + `","ok":true}`, envelope.CodeTooLarge, `up to 64`, 0},
		{`{"type":"reply","id":"a","ok":false,"message":"` + long(1025) + `"}`, envelope.CodeTooLarge, `up to 1024`, 0},
		{`{"type":"alert","level":"` + long(33) + `","data":1}`, envelope.CodeTooLarge, `up to 32`, 0},
		{`{"type":"join"}`, envelope.CodeBadEnvelope, `"group" is missing; join must carry "group" and may carry nothing else`, 0},
		{`{"type":"leave","group":"` + long(65) + `"}`, envelope.CodeTooLarge, `"group"`, 0},
		{`{"type":"token","token":""}`, envelope.CodeBadEnvelope, `"token" is missing`, 0},
		{`{"type":"token","token":"` + long(8193) + `"}`, envelope.CodeTooLarge, `"token"`, 0},
	}
	node, _ := codecs(t, envelope.ProtoJSON)
	var m envelope.Message
	for _, tt := range tests {
		if seq := wantFault(t, node.Decode(false, []byte(tt.payload), &m), tt.code, tt.says); seq != tt.seq {
			t.Errorf("%s: the fault's sequence is %d, want %d", tt.payload, seq, tt.seq)
		}
	}
	wantFault(t, node.Decode(true, []byte(`{"type":"heartbeat"}`), &m), envelope.CodeBadFrame, "binary", envelope.ProtoJSON)
}

// What looks wrong but is not.
func TestJSON_Accepts(t *testing.T) {
	tests := []struct {
		payload string
		want    envelope.Message
	}{
		{" {\n\t\"type\" : \"heartbeat\" }\r\n", envelope.Message{Type: envelope.TypeHeartbeat}},
		{`{"data":null,"\u0074ype":"tele\u006detry"}`, envelope.Message{Type: envelope.TypeTelemetry, Data: []byte("null")}},
		{`{"type":"telemetry","topic":null,"seq":null,"ts":null,"data":""}`, envelope.Message{Type: envelope.TypeTelemetry, Data: []byte(`""`)}},
		{`{"type":"telemetry","topic":"","data":-0}`, envelope.Message{Type: envelope.TypeTelemetry, Data: []byte("-0")}},
		{`{"type":"telemetry","topic":"\ud83d\ude00\ud800\/\"","data":[ 1 , 2 ]}`, envelope.Message{
			Type: envelope.TypeTelemetry, Topic: []byte("😀\uFFFD/\""), Data: []byte(`[ 1 , 2 ]`),
		}},
		{`{"type":"telemetry","data":{"seq":1,"seq":2},"seq":3}`, envelope.Message{Type: envelope.TypeTelemetry, Seq: 3, Data: []byte(`{"seq":1,"seq":2}`)}},
		{`{"type":"telemetry","unknown":[{}],"Seq":"x","data":1,"unknown":2}`, envelope.Message{Type: envelope.TypeTelemetry, Data: []byte("1")}},
		// A field that the type does not carry is as unknown as any.
		{`{"type":"heartbeat","seq":-5,"topic":7}`, envelope.Message{Type: envelope.TypeHeartbeat}},
		{`{"type":"telemetry","ts":-9007199254740991,"data":1}`, envelope.Message{Type: envelope.TypeTelemetry, TS: -envelope.MaxSeq, Data: []byte("1")}},
		{`{"type":"telemetry","data":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`, envelope.Message{
			Type: envelope.TypeTelemetry, Data: []byte(strings.Repeat("[", 127) + strings.Repeat("]", 127)),
		}},
	}
	node, _ := codecs(t, envelope.ProtoJSON)
	var m envelope.Message
	for _, tt := range tests {
		before := tt.payload
		payload := []byte(tt.payload)
		if err := node.Decode(false, payload, &m); err != nil {
			t.Errorf("%s: %v", tt.payload, err)
			continue
		}
		wantMessage(t, tt.payload, tt.want, m)
		if string(payload) != before {
			t.Errorf("Decode wrote into its payload: %s", payload)
		}
	}
}

// Escaped strings lie in the message's scratch: many in one message do not
// disturb each other, nor do appends to one of them.
func TestJSON_Scratch(t *testing.T) {
	node, _ := codecs(t, envelope.ProtoJSON)
	var m envelope.Message
	payload := []byte(`{"type":"reply","ok":false,"id":"\u0061","code":"\u0062","message":"\u0063` + strings.Repeat(`\n`, 500) + `"}`)
	for range 2 {
		if err := node.Decode(false, payload, &m); err != nil {
			t.Fatal(err)
		}
		_ = append(m.ID, "overwritten"...)
		wantMessage(t, "", envelope.Message{
			Type: envelope.TypeReply, ID: []byte("a"), Code: []byte("b"), Text: []byte("c" + strings.Repeat("\n", 500)),
		}, m)
	}
}

func frame(kind byte, payload string) []byte {
	b := append([]byte{0x55, 0xAA, kind, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload))}, payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestFrame_Faults(t *testing.T) {
	whole := frame(0x02, `{"data":1}`)
	changed := func(at int, to byte) []byte {
		b := append([]byte(nil), whole...)
		b[at] = to
		return b
	}
	node, _ := codecs(t, envelope.ProtoFrameJSON)
	tests := []struct {
		name  string
		frame []byte
		code  string
		says  string
	}{
		{"empty", nil, envelope.CodeBadFrame, "0 bytes"},
		{"cut in the header", whole[:9], envelope.CodeBadFrame, "9 bytes"},
		{"cut in the payload", whole[:len(whole)-1], envelope.CodeBadFrame, "says 10 but the message holds 9"},
		{"trailing byte", append(whole[:len(whole):len(whole)], 0), envelope.CodeBadFrame, "one frame"},
		{"two frames", append(whole[:len(whole):len(whole)], whole...), envelope.CodeBadFrame, "one frame"},
		{"magic reversed", append([]byte{0xAA, 0x55}, whole[2:]...), envelope.CodeBadFrame, "0xAA55; allowed is 0x55AA"},
		{"checksum", changed(len(whole)-1, whole[len(whole)-1]^1), envelope.CodeBadCRC, "CRC-32"},
		{"type not covered by the checksum", changed(2, 0x03), envelope.CodeBadCRC, "CRC-32"},
		{"payload not covered by the checksum", changed(14, '2'), envelope.CodeBadCRC, "CRC-32"},
		{"length too long", changed(3, 0xFF), envelope.CodeBadFrame, "16711690"},
		{"type 0", frame(0x00, "{}"), envelope.CodeUnsupportedType, "0x00"},
		{"type of leave", frame(0x0B, `{"group":"g"}`), envelope.CodeUnsupportedType, "0x0B"},
		{"type unused", frame(0x0C, "{}"), envelope.CodeUnsupportedType, "0x0C is not supported; allowed are heartbeat"},
		{"type beyond", frame(0xFF, "{}"), envelope.CodeUnsupportedType, "0xFF"},
		{"type of the node", frame(0x08, "{}"), envelope.CodeUnsupportedType, "0x08"},
		{"payload says otherwise", frame(0x02, `{"type":"status","data":1}`), envelope.CodeBadEnvelope, `"status" but the frame says telemetry`},
		{"payload says nonsense", frame(0x02, `{"type":"x","data":1}`), envelope.CodeUnsupportedType, `"x"`},
		{"no payload where some is needed", frame(0x02, ``), envelope.CodeBadEnvelope, `"data" is missing`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m envelope.Message
			if seq := wantFault(t, node.Decode(true, tt.frame, &m), tt.code, tt.says); seq != 0 {
				t.Errorf("a fault with sequence %d", seq)
			}
		})
	}
	var m envelope.Message
	wantFault(t, node.Decode(false, whole, &m), envelope.CodeBadFrame, "text", envelope.ProtoFrameJSON)
	if seq := wantFault(t, node.Decode(true, frame(0x02, `{"seq":9}`), &m), envelope.CodeBadEnvelope); seq != 9 {
		t.Errorf("the fault's sequence is %d, want 9", seq)
	}
}

func TestFrame_Accepts(t *testing.T) {
	node, _ := codecs(t, envelope.ProtoFrameJSON)
	for payload, want := range map[string]envelope.Message{
		`{"group":"g"}`:                {Type: envelope.TypeJoin, Group: []byte("g")},
		`{"group":"g","type":"join"}`:  {Type: envelope.TypeJoin, Group: []byte("g")},
		`{"group":"g","type":"leave"}`: {Type: envelope.TypeLeave, Group: []byte("g")},
	} {
		var m envelope.Message
		if err := node.Decode(true, frame(0x09, payload), &m); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
		wantMessage(t, payload, want, m)
	}
	for _, name := range []string{envelope.ProtoFrameJSON, envelope.ProtoFrameProto} {
		node, _ := codecs(t, name)
		var m envelope.Message
		if err := node.Decode(true, frame(0x01, ""), &m); err != nil || m.Type != envelope.TypeHeartbeat {
			t.Errorf("%s: an empty heartbeat: %v, %v", name, m.Type, err)
		}
	}
}

// The bytes of a frame, written out, so that a change of the codec cannot
// change the protocol unseen. The CRC was computed with Python's zlib.
func TestFrame_Bytes(t *testing.T) {
	node, _ := codecs(t, envelope.ProtoFrameJSON)
	got := node.Append(nil, &envelope.Message{Type: envelope.TypeAck, Upto: 7})
	want := "\x55\xAA\x05\x00\x00\x17" + `{"type":"ack","upto":7}` + "\xD1\xB3\x4F\xB9"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	node, _ = codecs(t, envelope.ProtoFrameProto)
	got = node.Append(nil, &envelope.Message{Type: envelope.TypeAck, Upto: 7})
	if want := "\x55\xAA\x05\x00\x00\x02\x60\x07\x33\xEF\x15\x32"; string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAppend_NothingToSend(t *testing.T) {
	huge := envelope.Message{Type: envelope.TypeCommand, ID: []byte("a"), Name: []byte("n"), Data: make([]byte, envelope.MaxPayload)}
	for _, name := range append(envelope.Protocols(), envelope.ProtoRaw) {
		node, _ := codecs(t, name)
		for _, kind := range []envelope.Type{0, 0x0C, 0x10, 0xFF} {
			if got := node.Append([]byte("kept"), &envelope.Message{Type: kind}); string(got) != "kept" {
				t.Errorf("%q made %q of type %d", name, got, kind)
			}
		}
		if got := node.Append([]byte("kept"), &huge); node.Binary() && string(got) != "kept" {
			t.Errorf("%q made a frame longer than a frame can say", name)
		}
	}
}

func TestRaw(t *testing.T) {
	node, _ := codecs(t, envelope.ProtoRaw)
	var m envelope.Message
	for _, payload := range []string{"", "\xff\x00", "21.5"} {
		if err := node.Decode(payload == "", []byte(payload), &m); err != nil {
			t.Fatal(err)
		}
		wantMessage(t, payload, envelope.Message{Type: envelope.TypeTelemetry, Data: []byte(payload)}, m)
	}
	if err := node.Decode(true, nil, &m); err != nil || m.Data == nil {
		t.Errorf("an empty message is telemetry with empty data, got %v, %v", m.Data, err)
	}
	for want, m := range map[string]envelope.Message{
		`{"s":5}`: {Type: envelope.TypeCommand, ID: []byte("x"), Name: []byte("set"), Data: []byte(`{"s":5}`)},
		`reboot`:  {Type: envelope.TypeCommand, ID: []byte("x"), Name: []byte("reboot")},
		``:        {Type: envelope.TypeAck, Upto: 7},
	} {
		if got := node.Append(nil, &m); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if _, ok := envelope.ForProtocol("mqtt"); ok {
		t.Error("there is a codec for mqtt")
	}
}
