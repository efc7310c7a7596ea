package envelope_test

import (
	"bytes"
	"fmt"
	"testing"

	"edgeloop/envelope"
)

// Valid messages cost no allocation in either direction, escapes included.
func TestAllocs_Codec(t *testing.T) {
	all := append(samples(), envelope.Message{
		Type: envelope.TypeTelemetry, Seq: 7, Topic: []byte(`a "b" \ c`), Data: []byte(`{"deep":[[[[1,2,{"x":"\u00e9"}]]]]}`),
	})
	for _, name := range append(envelope.Protocols(), envelope.ProtoRaw) {
		node, device := codecs(t, name)
		for i := range all {
			m := &all[i]
			reader, writer := node, device
			if !m.Type.FromDevice() {
				reader, writer = device, node
			}
			payload := writer.Append(nil, m)
			var got envelope.Message
			if n := testing.AllocsPerRun(100, func() {
				if err := reader.Decode(reader.Binary(), payload, &got); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%q %v: Decode allocates %v times, want 0", name, m.Type, n)
			}
			dst := make([]byte, 0, 2*len(payload)+16)
			if n := testing.AllocsPerRun(100, func() { dst = writer.Append(dst[:0], m) }); n != 0 {
				t.Errorf("%q %v: Append allocates %v times, want 0", name, m.Type, n)
			}
		}
	}
	var m envelope.Message
	node, _ := codecs(t, envelope.ProtoRaw)
	if n := testing.AllocsPerRun(100, func() { _ = node.Decode(true, nil, &m) }); n != 0 {
		t.Errorf("raw: an empty message allocates %v times, want 0", n)
	}
}

// telemetry of 128 bytes of data, the size that the figures are for.
func telemetry() *envelope.Message {
	data := []byte(`{"c":21.5,"unit":"celsius","ok":true,"v":[1,2,3],"pad":"`)
	data = append(data, bytes.Repeat([]byte("x"), 126-len(data))...)
	return &envelope.Message{Type: envelope.TypeTelemetry, Seq: 7, Topic: []byte("temp"), TS: 1795234836000, Data: append(data, `"}`...)}
}

func BenchmarkCodec_Decode(b *testing.B) {
	for _, name := range envelope.Protocols() {
		b.Run(fmt.Sprintf("protocol=%s/data=128B", name), func(b *testing.B) {
			node, device := codecs(b, name)
			payload := device.Append(nil, telemetry())
			var m envelope.Message
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if err := node.Decode(node.Binary(), payload, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCodec_Append(b *testing.B) {
	for _, name := range envelope.Protocols() {
		b.Run(fmt.Sprintf("protocol=%s/type=ack", name), func(b *testing.B) {
			node, _ := codecs(b, name)
			var dst []byte
			m := &envelope.Message{Type: envelope.TypeAck, Upto: 123456}
			b.ReportAllocs()
			for b.Loop() {
				dst = node.Append(dst[:0], m)
			}
		})
	}
}
