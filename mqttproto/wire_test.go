package mqttproto_test

import (
	"encoding/binary"
	"slices"

	"edgeloop/mqttproto"
)

// What these tests decode is written by hand here, so that encoder and decoder of the
// package cannot be wrong in the same way.

// wire is a packet with first as its first byte.
func wire(first byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append(append([]byte{first}, length(len(body))...), body...)
}

func length(n int) (b []byte) {
	for ; n > 127; n /= 128 {
		b = append(b, byte(n%128+128))
	}
	return append(b, byte(n))
}

func u16(v int) []byte                 { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32(v int) []byte                 { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func str(s string) []byte              { return append(u16(len(s)), s...) }
func raw(b ...byte) []byte             { return b }
func tail(s string) []byte             { return []byte(s) }
func prop(id byte, v ...[]byte) []byte { return append([]byte{id}, slices.Concat(v...)...) }

// props are properties behind their length.
func props(list ...[]byte) []byte {
	b := slices.Concat(list...)
	return append(length(len(b)), b...)
}

// connect begins a CONNECT: what comes behind it is the payload.
func connect(v mqttproto.Version, flags byte, parts ...[]byte) []byte {
	head := slices.Concat(str("MQTT"), raw(byte(v), flags), u16(60))
	if v == mqttproto.V5 {
		head = append(head, 0)
	}
	return wire(0x10, append([][]byte{head}, parts...)...)
}

// decode decodes the packet that in begins with.
func decode(in []byte, v mqttproto.Version, aliases uint16) (m any, err error) {
	p, _, more, err := mqttproto.Next(in, v, 1000)
	if err != nil || more != 0 {
		return more, err
	}
	switch p.Type {
	case mqttproto.CONNECT:
		return mqttproto.DecodeConnect(p)
	case mqttproto.PUBLISH:
		return mqttproto.DecodePublish(p, v, aliases)
	case mqttproto.SUBSCRIBE, mqttproto.UNSUBSCRIBE:
		return mqttproto.DecodeSubscribe(p, v)
	case mqttproto.DISCONNECT:
		return mqttproto.DecodeDisconnect(p, v)
	case mqttproto.AUTH:
		return mqttproto.DecodeAuth(p)
	case mqttproto.PINGREQ:
		return p.Type, mqttproto.DecodePingreq(p)
	default:
		return mqttproto.DecodeAck(p, v)
	}
}
