package mqttproto

import "encoding/binary"

// Ack is a decoded PUBACK, PUBREC, PUBREL or PUBCOMP.
type Ack struct {
	Properties Properties // parts of the packet's bytes
	ID         uint16
	Reason     ReasonCode // ReasonSuccess in 3.1.1
}

// DecodeAck decodes a packet of one of the four types.
func DecodeAck(p Packet, v Version) (m Ack, err error) {
	c := cursor{rest: p.Body}
	m.ID = c.id() // [MQTT-2.2.1-5]
	if v == V5 && len(c.rest) != 0 {
		m.Reason = c.reason(p.Type) // [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
		if len(c.rest) != 0 {
			m.Properties = c.properties(v, p.Type)
		}
	}
	return m, c.end()
}

// reason reads a reason code that a packet of type t may have.
func (c *cursor) reason(t Type) ReasonCode {
	r := ReasonCode(c.byte())
	if !r.AllowedIn(t) {
		c.fail(ErrReason)
	}
	return r
}

// AppendAck appends a packet of one of the four types. In 3.1.1 nothing can be told but
// success: for a PUBACK or PUBREC that tells of a failure nothing is appended, and the
// connection is to be closed [MQTT3-3.3.5-2]; in PUBREL and PUBCOMP the reason is left out.
// props may be nil.
func AppendAck(dst []byte, to Peer, t Type, id uint16, reason ReasonCode, props *Properties) []byte {
	flags := byte(0)
	if t == PUBREL {
		flags = 2 // [MQTT-3.6.1-1]
	}
	switch {
	case to.Version == V311 && reason.Failed() && (t == PUBACK || t == PUBREC):
		return dst
	case to.Version == V311 || reason == ReasonSuccess && props.empty():
		return binary.BigEndian.AppendUint16(append(dst, byte(t)<<4|flags, 2), id)
	}
	var head [3]byte
	binary.BigEndian.PutUint16(head[:], id)
	head[2] = byte(reason)
	return to.append(dst, t, flags, head[:], props, nil)
}
