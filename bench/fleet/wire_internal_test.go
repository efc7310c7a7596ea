package fleet

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"testing"
)

// The payload of telemetry has the size asked for, in every dialect.
func TestDialects_TelemetrySize(t *testing.T) {
	for _, name := range []string{"raw", "json", "frame.json", "frame.proto"} {
		d, err := newDialect(Config{Dialect: name})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{128, 300, 1024, 70000} {
			b := d.telemetry(nil, 12345, 1795234836000000000, size)
			if diff := len(b) - size; diff < -1 || diff > 1 {
				t.Errorf("%s: %d bytes, want %d", name, len(b), size)
			}
		}
	}
}

func TestJSONText_WritesValidJSON(t *testing.T) {
	var d jsonText
	for _, b := range [][]byte{d.telemetry(nil, 7, 1, 200), d.heartbeat(nil), d.reply(nil, []byte("c1"))} {
		if !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
	}
}

// What a node may send, in the forms that the protocol page shows and in others
// that mean the same.
func TestDialects_Read(t *testing.T) {
	proto := func(typ byte, fields ...[]byte) []byte {
		var body []byte
		for _, f := range fields {
			body = append(body, f...)
		}
		return wrap(nil, typ, body)
	}
	welcome := event{kind: isWelcome, seq: 6, window: 64}
	ack := event{kind: isAck, seq: 7}
	command := event{kind: isCommand, id: []byte("x"), number: 3, stamp: 9}
	fault := event{kind: isFault, code: "bad"}
	for _, tc := range []struct {
		dialect string
		payload []byte
		want    event
	}{
		{"json", []byte(`{"type":"welcome","epoch":3,"upto":6,"heartbeat_s":30,"window":64}`), welcome},
		{"json", []byte(`{"type":"ack","upto":7}`), ack},
		{"json", []byte(`{ "upto" : 7, "type" : "ack" }`), ack},
		{"json", []byte(`{"type":"ack"}`), event{kind: isBroken}},
		{"json", []byte(`{"type":"command","id":"x","name":"n","data":{"n":3,"at":9}}`), command},
		{"json", []byte(`{"type":"command","id":"\u0078","data":{"n":3,"at":9}}`), command},
		{"json", []byte(`{"type":"error","code":"bad","message":"m"}`), fault},
		{"json", []byte(`{"type":"news"}`), event{kind: isOther}},
		{"json", []byte(`{"type":"ack","upto":7`), event{kind: isBroken}},
		{"json", []byte(`nonsense`), event{kind: isBroken}},
		{"frame.json", wrap(nil, 5, []byte(`{"type":"ack","upto":7}`)), ack},
		{"frame.json", []byte(`{"type":"ack","upto":7}`), event{kind: isBroken}},
		{"frame.proto", proto(8, appendVarint(nil, 11, 3), appendVarint(nil, fieldUpto, 6), appendVarint(nil, fieldWindow, 64)), welcome},
		{"frame.proto", proto(5, appendVarint(nil, fieldUpto, 7)), ack},
		{"frame.proto", proto(6, appendBytes(nil, fieldID, []byte("x")), appendBytes(nil, fieldData, []byte(`{"n":3,"at":9}`))), command},
		{"frame.proto", proto(15, appendBytes(nil, fieldCode, []byte("bad"))), fault},
		{"frame.proto", proto(5, []byte{0x0A, 0x7F}), event{kind: isBroken}},
		{"raw", []byte(`{"n":3,"at":9}`), event{kind: isCommand, number: 3, stamp: 9}},
		{"raw", appendEcho(nil, castagnoli(), 5, 8, 1, 2, 64), event{kind: isEcho, device: 5, seq: 8, due: 1, sent: 2}},
		{"raw", []byte("EBM1 but spoilt"), event{kind: isBroken}},
	} {
		d, err := newDialect(Config{Dialect: tc.dialect})
		if err != nil {
			t.Fatal(err)
		}
		var got event
		d.read(tc.payload, &got)
		if got.kind == isBroken {
			got = event{kind: isBroken}
		}
		if string(got.id) != string(tc.want.id) {
			t.Errorf("%s %q: id %q, want %q", tc.dialect, tc.payload, got.id, tc.want.id)
		}
		got.id, tc.want.id = nil, nil
		if !equal(got, tc.want) {
			t.Errorf("%s %q: %+v, want %+v", tc.dialect, tc.payload, got, tc.want)
		}
	}
}

func equal(a, b event) bool {
	return a.kind == b.kind && a.seq == b.seq && a.device == b.device && a.due == b.due && a.sent == b.sent &&
		a.window == b.window && a.code == b.code && a.number == b.number && a.stamp == b.stamp
}

// Every single bit flipped in a binary frame is noticed.
func TestUnwrap_NoticesEveryFlippedBit(t *testing.T) {
	good := wrap(nil, 5, []byte(`{"type":"ack","upto":7}`))
	if binary.BigEndian.Uint32(good[len(good)-4:]) != crc32.ChecksumIEEE(good[:len(good)-4]) {
		t.Fatal("not CRC-32/IEEE of all before")
	}
	for bit := range 8 * len(good) {
		b := append([]byte(nil), good...)
		b[bit/8] ^= 1 << (bit % 8)
		if _, ok := unwrap(b); ok {
			t.Errorf("bit %d flipped, not noticed", bit)
		}
	}
}

// What the ledger says to each number that comes back.
func TestEchoes_Verdicts(t *testing.T) {
	e := echoes{sent: 6}
	for _, step := range []struct {
		seq  uint64
		want verdict
	}{
		{1, inTurn},
		{1, repeated},
		{3, inTurn},
		{2, overtaken},
		{2, repeated},
		{0, unknown},
		{7, unknown},
		{6, inTurn},
		{4, overtaken},
		{6, repeated},
	} {
		if got := e.receive(step.seq); got != step.want {
			t.Errorf("%d: verdict %d, want %d", step.seq, got, step.want)
		}
	}
	if e.base != 4 || e.outstanding() != 1 || e.giveUp() != 1 || e.outstanding() != 0 {
		t.Errorf("%+v", e)
	}
}

func TestEchoes_RoomIsBoundedByTheBitSet(t *testing.T) {
	var e echoes
	for range 200 {
		if e.room(maxInFlight) > 0 {
			e.sent++
		}
		if e.sent > 1 { // 1 is lost: everything else comes back
			e.receive(e.sent)
		}
	}
	if e.sent != maxInFlight || e.room(8) != 0 {
		t.Errorf("sent %d beyond a lost message, want %d", e.sent, maxInFlight)
	}
}

func TestAcks_BacklogIsBounded(t *testing.T) {
	a := acks{known: true}
	for i := range maxBacklog {
		if !a.add(int64(i)) {
			t.Fatalf("full at %d", i)
		}
	}
	if a.add(0) {
		t.Error("no bound")
	}
	a.sent, a.top = 10, 10
	var due []int64
	newly, v := a.ack(3, func(d int64) { due = append(due, d) })
	if newly != 3 || v != inTurn || len(due) != 3 || due[0] != 0 || due[2] != 2 {
		t.Errorf("newly %d, verdict %d, due %v", newly, v, due)
	}
}

// What was given up and comes after all is late, and only once.
func TestLedgers_LateIsNotRepeated(t *testing.T) {
	e := echoes{sent: 3}
	if n := e.giveUp(); n != 3 || e.receive(2) != late {
		t.Errorf("gave up %d", n)
	}
	a := acks{known: true, made: 3, sent: 3, top: 3, due: make([]int64, 4)}
	if n := a.giveUp(); n != 3 {
		t.Errorf("gave up %d", n)
	}
	none := func(int64) { t.Error("a latency for what was given up") }
	if _, v := a.ack(2, none); v != late {
		t.Errorf("verdict %d, want late", v)
	}
	if _, v := a.ack(2, none); v != repeated {
		t.Errorf("verdict %d, want repeated", v)
	}
	if _, forgotten, _ := a.welcome(2, none); forgotten != 0 {
		t.Errorf("forgotten %d: the node never acknowledged more", forgotten)
	}
}

// A message of 5.0 is found behind properties of any length, and is none where they are cut off.
func TestMQTT_PropertiesOfAnyLength(t *testing.T) {
	m := &mqtt{level: 5}
	for _, size := range []int{0, 127, 128, 300, 20_000} {
		props := append(binary.AppendUvarint(nil, uint64(size)), make([]byte, size)...)
		body := append([]byte("\x00\x01t\x00\x07"), props...)
		if _, payload, id, ok := m.message(mqttPublish1, append(body, "x"...)); !ok || id != 7 || string(payload) != "x" {
			t.Errorf("behind %d bytes there is %q, %d, %v", size, payload, id, ok)
		}
		if _, _, _, ok := m.message(mqttPublish1, body[:len(body)-1]); ok {
			t.Errorf("%d bytes that are cut off pass", size)
		}
	}
}
