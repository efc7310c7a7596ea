package e2e_test

import (
	"bytes"
	"net/http"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"edgeloop/internal/testkit"
)

// Fields of envelope/proto/edgeloop.proto.
const (
	fieldSeq    = 1
	fieldTopic  = 2
	fieldData   = 4
	fieldID     = 5
	fieldName   = 6
	fieldOK     = 7
	fieldEpoch  = 11
	fieldUpto   = 12
	fieldWindow = 14
)

// wire is a protobuf message taken apart by the library's own wire reader.
type wire struct {
	numbers map[protowire.Number]uint64
	bytes   map[protowire.Number][]byte
}

func parseWire(t *testing.T, b []byte) wire {
	t.Helper()
	w := wire{map[protowire.Number]uint64{}, map[protowire.Number][]byte{}}
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("the node sent % x: %v", b, protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			w.numbers[field], n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			w.bytes[field], n = protowire.ConsumeBytes(b)
		default:
			t.Fatalf("field %d has wire type %d", field, kind)
		}
		if n < 0 {
			t.Fatalf("field %d: %v", field, protowire.ParseError(n))
		}
		b = b[n:]
	}
	return w
}

func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func TestProtocols_FrameProto(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		d := c.dial(order{URL: n.url("?token=" + n.token("d1")), Protocols: []string{"edgeloop.v1.frame.proto"}})
		if e := d.want("open"); e.Protocol != "edgeloop.v1.frame.proto" {
			t.Fatalf("subprotocol %q", e.Protocol)
		}
		welcome := parseWire(t, d.wantFrame(typeWelcome))
		if welcome.numbers[fieldEpoch] == 0 || welcome.numbers[fieldWindow] == 0 {
			t.Errorf("welcome %v", welcome)
		}
		reading := appendBytes(appendBytes(appendNumber(nil, fieldSeq, 1), fieldTopic, []byte("temp")), fieldData, []byte(`{"c":1}`))
		d.sendBinary(pack(typeTelemetry, reading))
		if ack := parseWire(t, d.wantFrame(typeAck)); ack.numbers[fieldUpto] != 1 {
			t.Errorf("ack %v", ack)
		}

		answers := n.command("/v1/devices/default/d1/commands?wait=1m", map[string]any{"name": "ping", "data": 7})
		command := parseWire(t, d.wantFrame(typeCommand))
		if string(command.bytes[fieldName]) != "ping" || !bytes.Equal(command.bytes[fieldData], []byte("7")) {
			t.Errorf("command %v", command)
		}
		reply := appendBytes(appendNumber(appendBytes(nil, fieldID, command.bytes[fieldID]), fieldOK, 1), fieldData, []byte(`"pong"`))
		d.sendBinary(pack(typeReply, reply))
		if got := testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusOK || got.body["ok"] != true || got.body["data"] != "pong" {
			t.Errorf("the API answered %+v", got)
		}
		if log := n.tail(); len(log) != 1 || log[0].Topic != "temp" || log[0].Seq != 1 || string(log[0].Data) != `{"c":1}` {
			t.Errorf("the log has %+v", log)
		}
		n.stop()
	})
}
