package mqttproto

import "encoding/binary"

// The flags of PUBLISH.
const (
	flagRetain = 1 << 0
	flagQoS    = 3 << 1
	flagDup    = 1 << 3
)

// Publish is an application message. Decoded, all bytes are parts of the packet's.
type Publish struct {
	Topic      []byte // empty behind a topic alias
	Payload    []byte
	Properties Properties
	ID         uint16 // the packet identifier; 0 with QoS 0
	Alias      uint16 // topic alias; 0 = none. Decoded from, and encoded besides, Properties
	QoS        byte
	Dup        bool
	Retain     bool
}

// DecodePublish decodes a packet of type PUBLISH that a client sent. aliases is the Topic
// Alias Maximum that the server gave in CONNACK [MQTT-3.2.2-17] [MQTT-3.2.2-18].
func DecodePublish(p Packet, v Version, aliases uint16) (m Publish, err error) {
	c := cursor{rest: p.Body}
	m.QoS = p.Flags & flagQoS >> 1
	m.Dup, m.Retain = p.Flags&flagDup != 0, p.Flags&flagRetain != 0
	m.Topic = c.text(ErrTopic) // [MQTT-3.3.2-1]
	if m.QoS > 0 {             // [MQTT-2.2.1-2]
		m.ID = c.id()
	}
	m.Properties = c.properties(v, PUBLISH)
	m.Alias = uint16(m.Properties.Uint(PropTopicAlias, 0))
	switch {
	case c.fault != nil:
	case m.Alias > aliases: // [MQTT-3.3.2-9] [MQTT-3.3.2-12]
		c.fail(ErrTopicAlias)
	case len(m.Topic) == 0 && m.Alias != 0:
	case len(m.Topic) == 0 && v == V5:
		c.fail(ErrTopicNone)
	default:
		if fault := checkNameText(m.Topic); fault != nil {
			c.fail(fault)
		}
	}
	if c.fault != nil {
		return m, c.fault
	}
	m.Payload = c.rest
	return m, nil
}

// AppendPublish appends m. ok is false, and dst as it was, if the packet would be larger
// than its receiver takes: who sends it goes on as if it had been delivered.
// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func AppendPublish(dst []byte, to Peer, m *Publish) (out []byte, ok bool) {
	size := 2 + len(m.Topic) + len(m.Payload)
	flags := m.QoS << 1
	if m.QoS > 0 {
		size += 2
		if m.Dup { // [MQTT-3.3.1-2] [MQTT-4.3.1-1]
			flags |= flagDup
		}
	}
	if m.Retain {
		flags |= flagRetain
	}
	props := 0
	if to.Version == V5 {
		if props = len(m.Properties.raw); m.Alias != 0 && !m.Properties.Has(PropTopicAlias) {
			props += 3
		}
		size += uvarintSize(props) + props
	}
	if size > maxLength || to.MaxPacket != 0 && 1+uvarintSize(size)+size > int(to.MaxPacket) {
		return dst, false
	}
	dst = appendUvarint(append(dst, byte(PUBLISH)<<4|flags), size)
	dst = appendText(dst, m.Topic)
	if m.QoS > 0 { // [MQTT-2.2.1-2]
		dst = binary.BigEndian.AppendUint16(dst, m.ID)
	}
	if to.Version == V5 { // [MQTT-2.2.2-1]
		dst = appendUvarint(dst, props)
		dst = append(dst, m.Properties.raw...) // [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]
		if props > len(m.Properties.raw) {
			dst = binary.BigEndian.AppendUint16(append(dst, byte(PropTopicAlias)), m.Alias)
		}
	}
	return append(dst, m.Payload...), true
}
