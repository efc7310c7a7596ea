package mqttproto

import (
	"encoding/binary"
	"iter"
)

// Subscribe is a decoded SUBSCRIBE or UNSUBSCRIBE. All bytes are parts of the packet's.
type Subscribe struct {
	Properties Properties
	ID         uint16
	N          int // filters, at least one

	filters []byte // as on the wire, checked
	options bool   // each filter has its options behind it
}

// Subscription is one filter of a Subscribe; of UNSUBSCRIBE the filter alone.
type Subscription struct {
	Filter            []byte // a valid topic filter, with $share/GROUP/ if it has that
	QoS               byte   // the highest that is asked for
	RetainHandling    byte   // 0, 1 or 2
	NoLocal           bool
	RetainAsPublished bool
}

// DecodeSubscribe decodes a packet of type SUBSCRIBE or UNSUBSCRIBE.
func DecodeSubscribe(p Packet, v Version) (m Subscribe, err error) {
	c := cursor{rest: p.Body}
	m.options = p.Type == SUBSCRIBE
	m.ID = c.id()
	m.Properties = c.properties(v, p.Type)
	m.filters = c.rest
	for len(c.rest) != 0 {
		s := c.subscription(m.options)
		if c.fault == nil {
			c.checkSubscription(&s, v)
		}
		m.N++
	}
	switch {
	case c.fault != nil || m.N > 0:
		return m, c.end()
	case m.options:
		return m, ErrNoFilter // [MQTT-3.8.3-2]
	}
	return m, ErrNoUnfilter // [MQTT-3.10.3-2]
}

// All ranges over the filters in their order, which is that of the reason codes in the
// answer [MQTT-3.9.3-1] [MQTT-3.11.3-1].
func (m *Subscribe) All() iter.Seq2[int, Subscription] {
	return func(yield func(int, Subscription) bool) {
		c := cursor{rest: m.filters}
		for i := 0; len(c.rest) != 0; i++ {
			s := c.subscription(m.options)
			s.QoS &= 3
			if !yield(i, s) {
				return
			}
		}
	}
}

// subscription reads a filter and its options. QoS keeps the bits that are reserved.
func (c *cursor) subscription(options bool) (s Subscription) {
	s.Filter = c.text(ErrFilter) // [MQTT-3.8.3-1] [MQTT-3.10.3-1]
	if options {
		b := c.byte()
		s.QoS = b & 0xc3
		s.NoLocal, s.RetainAsPublished, s.RetainHandling = b&4 != 0, b&8 != 0, b>>4&3
	}
	return s
}

func (c *cursor) checkSubscription(s *Subscription, v Version) {
	if fault := checkFilterText(s.Filter); fault != nil {
		c.fail(fault)
		return
	}
	group, _ := SplitShare(s.Filter)
	switch {
	case s.QoS > 3:
		c.fail(ErrOptions) // [MQTT-3.8.3-5]
	case s.QoS == 3:
		c.fail(ErrOptionsQoS) // [MQTT3-3.8.3-4]
	case v == V311 && (s.NoLocal || s.RetainAsPublished || s.RetainHandling != 0):
		c.fail(ErrOptions) // [MQTT3-3.8.3-4]
	case s.RetainHandling == 3:
		c.fail(ErrRetainHandling)
	case s.NoLocal && len(group) != 0:
		c.fail(ErrShareNoLocal) // [MQTT-3.8.3-4]
	}
}

// AppendSuback appends the answer to a SUBSCRIBE: codes are the granted QoS or the failure
// for each filter [MQTT-3.8.4-6] [MQTT-3.8.4-7]. 3.1.1 has one code for all failures.
// props may be nil.
func AppendSuback(dst []byte, to Peer, id uint16, codes []ReasonCode, props *Properties) []byte {
	return appendCodes(dst, to, SUBACK, id, codes, props)
}

// AppendUnsuback appends the answer to an UNSUBSCRIBE; 3.1.1 has no codes. props may be nil.
func AppendUnsuback(dst []byte, to Peer, id uint16, codes []ReasonCode, props *Properties) []byte {
	if to.Version == V311 {
		return binary.BigEndian.AppendUint16(append(dst, byte(UNSUBACK)<<4, 2), id)
	}
	return appendCodes(dst, to, UNSUBACK, id, codes, props)
}

func appendCodes(dst []byte, to Peer, t Type, id uint16, codes []ReasonCode, props *Properties) []byte {
	var head [2]byte
	binary.BigEndian.PutUint16(head[:], id) // [MQTT-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.10.4-5]
	return to.append(dst, t, 0, head[:], props, codes)
}
