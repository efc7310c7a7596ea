package mqttproto_test

import (
	"testing"

	"edgeloop/mqttproto"
)

func wantNoAllocs(t *testing.T, fn func()) {
	t.Helper()
	if got := testing.AllocsPerRun(1000, fn); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// Packets are decoded where they lie, and encoded where the caller says: no memory is
// taken, in either version, for any packet.
func TestAllocs_Decode(t *testing.T) {
	list := props(prop(35, u16(3)), prop(38, str("seq"), str("9")))
	for name, c := range map[string]struct {
		v  mqttproto.Version
		in []byte
	}{
		"PUBLISH of 3.1.1": {v4, wire(0x32, str("a/b"), u16(1), tail("xyz"))},
		"PUBLISH of 5.0":   {v5, wire(0x32, str("a/b"), u16(1), list, tail("xyz"))},
		"refused PUBLISH":  {v5, wire(0x32, str("a/#"), u16(1), list, tail("xyz"))},
		"CONNECT":          {v0, connect(v5, 2|4|1<<7|1<<6, str("a"), raw(0), str("t"), str("x"), str("u"), str("p"))},
		"SUBSCRIBE":        {v5, wire(0x82, u16(9), raw(0), str("a/+"), raw(1), str("$share/g/b"), raw(1))},
		"PUBACK":           {v5, wire(0x40, u16(1), raw(0x10), props(prop(31, str("x"))))},
		"PINGREQ":          {v5, wire(0xc0)},
	} {
		t.Run(name, func(t *testing.T) {
			wantNoAllocs(t, func() { walk(c.in, c.v) })
		})
	}
}

// walk decodes a packet and looks at all that is in it.
func walk(in []byte, v mqttproto.Version) (n int) {
	p, _, _, _ := mqttproto.Next(in, v, 1000)
	switch p.Type {
	case mqttproto.CONNECT:
		m, _ := mqttproto.DecodeConnect(p)
		n += len(m.Will.Topic) + int(m.Properties.Uint(mqttproto.PropReceiveMaximum, 1))
	case mqttproto.PUBLISH:
		m, _ := mqttproto.DecodePublish(p, v, 5)
		for v := range m.Properties.All() {
			n += len(v.Name)
		}
		n += len(m.Properties.Bytes(mqttproto.PropContentType))
	case mqttproto.SUBSCRIBE:
		m, _ := mqttproto.DecodeSubscribe(p, v)
		for _, s := range m.All() {
			if mqttproto.Match(s.Filter, "a/b") {
				n++
			}
		}
	case mqttproto.PINGREQ:
		_ = mqttproto.DecodePingreq(p)
	default:
		m, _ := mqttproto.DecodeAck(p, v)
		n += int(m.ID)
	}
	return n
}

func TestAllocs_Append(t *testing.T) {
	dst := make([]byte, 0, 1024)
	scratch := make([]byte, 0, 256)
	m := mqttproto.Publish{Topic: []byte("a"), Payload: []byte("x"), ID: 1, QoS: 1}
	codes := []mqttproto.ReasonCode{0, 1}
	wantNoAllocs(t, func() {
		var p mqttproto.Properties
		p.Reset(scratch)
		p.AddUint(mqttproto.PropReceiveMaximum, 10)
		p.AddUserString("k", "v")
		out := mqttproto.AppendConnack(dst, now, true, 0, &p)
		m.Properties = p
		out, _ = mqttproto.AppendPublish(out, now, &m)
		out = mqttproto.AppendAck(out, mqttproto.Peer{Version: v5, Terse: true}, mqttproto.PUBACK, 1, 0x10, &p)
		out = mqttproto.AppendSuback(out, now, 1, codes, nil)
		mqttproto.AppendPingresp(out)
	})
}
