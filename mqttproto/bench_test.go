package mqttproto_test

import (
	"bytes"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"edgeloop/mqttproto"
)

// The figures of decision 44: a PUBLISH of QoS 1 in 5.0 with one user property and 100
// bytes of payload, and its PUBACK; here, and with the library of mochi-mqtt, which is
// spared the reading and the copy that it would need before.
func BenchmarkDecodePublish(b *testing.B) {
	in := wire(0x32, str("telemetry/engine1"), u16(7), props(prop(38, str("seq"), str("1234"))), bytes.Repeat([]byte("x"), 100))
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, _, _, err := mqttproto.Next(in, v5, limit)
			if err != nil {
				b.Fatal(err)
			}
			if m, err := mqttproto.DecodePublish(p, v5, 0); err != nil || len(m.Payload) != 100 {
				b.Fatal(err)
			}
		}
	})
	b.Run("mochi", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pk := packets.Packet{ProtocolVersion: 5}
			if err := pk.FixedHeader.Decode(in[0]); err != nil {
				b.Fatal(err)
			}
			if err := pk.PublishDecode(in[3:]); err != nil || len(pk.Payload) != 100 {
				b.Fatal(err)
			}
			if code := pk.PublishValidate(0); code.Code != 0 {
				b.Fatal(code)
			}
		}
	})
}

func BenchmarkAppendPuback(b *testing.B) {
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 64)
		for b.Loop() {
			mqttproto.AppendAck(dst, now, mqttproto.PUBACK, 7, 0, nil)
		}
	})
	b.Run("mochi", func(b *testing.B) {
		b.ReportAllocs()
		var buf bytes.Buffer
		for b.Loop() {
			buf.Reset()
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: 7, ProtocolVersion: 5}
			if err := pk.PubackEncode(&buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
