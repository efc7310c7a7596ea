package mqttproto

import (
	"encoding/binary"
	"iter"
)

// Property is the identifier of a property of 5.0.
type Property byte

// The properties.
const (
	PropPayloadFormat       Property = 1  // uint: 1 = the payload is UTF-8
	PropMessageExpiry       Property = 2  // uint, seconds
	PropContentType         Property = 3  // text
	PropResponseTopic       Property = 8  // text
	PropCorrelationData     Property = 9  // bytes
	PropSubscriptionID      Property = 11 // uint up to 268,435,455; may repeat in PUBLISH
	PropSessionExpiry       Property = 17 // uint, seconds; 0xffffffff = never
	PropAssignedClientID    Property = 18 // text
	PropServerKeepAlive     Property = 19 // uint, seconds
	PropAuthMethod          Property = 21 // text
	PropAuthData            Property = 22 // bytes
	PropRequestProblemInfo  Property = 23 // uint: 0 or 1; absent = 1
	PropWillDelay           Property = 24 // uint, seconds
	PropRequestResponseInfo Property = 25 // uint: 0 or 1; absent = 0
	PropResponseInfo        Property = 26 // text
	PropServerReference     Property = 28 // text
	PropReasonString        Property = 31 // text
	PropReceiveMaximum      Property = 33 // uint; absent = 65,535
	PropTopicAliasMaximum   Property = 34 // uint; absent = 0
	PropTopicAlias          Property = 35 // uint
	PropMaximumQoS          Property = 36 // uint: 0 or 1; absent = 2
	PropRetainAvailable     Property = 37 // uint: 0 or 1; absent = 1
	PropUser                Property = 38 // pair of texts; may repeat
	PropMaximumPacket       Property = 39 // uint, bytes
	PropWildcardAvailable   Property = 40 // uint: 0 or 1; absent = 1
	PropSubIDAvailable      Property = 41 // uint: 0 or 1; absent = 1
	PropSharedAvailable     Property = 42 // uint: 0 or 1; absent = 1
	numProperties           Property = 43
)

// kind is how the value of a property lies on the wire.
type kind byte

const (
	kindNone kind = iota // no such property
	kindBool             // one byte, 0 or 1
	kindU16
	kindU32
	kindUvarint
	kindText
	kindBytes
	kindPair
)

// place is where properties are: a Type, or placeWill.
type place = Type

const placeWill place = 0

// properties has for each its kind, whether 0 is forbidden, and, by bit 1<<place, where it
// may be when it comes from a client.
var properties = [numProperties]struct {
	kind    kind
	nonzero bool
	from    uint16
}{
	PropPayloadFormat:       {kindBool, false, 1<<PUBLISH | 1<<placeWill},
	PropMessageExpiry:       {kindU32, false, 1<<PUBLISH | 1<<placeWill},
	PropContentType:         {kindText, false, 1<<PUBLISH | 1<<placeWill},
	PropResponseTopic:       {kindText, false, 1<<PUBLISH | 1<<placeWill},
	PropCorrelationData:     {kindBytes, false, 1<<PUBLISH | 1<<placeWill},
	PropSubscriptionID:      {kindUvarint, true, 1<<PUBLISH | 1<<SUBSCRIBE},
	PropSessionExpiry:       {kindU32, false, 1<<CONNECT | 1<<DISCONNECT},
	PropAssignedClientID:    {kindText, false, 0},
	PropServerKeepAlive:     {kindU16, false, 0},
	PropAuthMethod:          {kindText, false, 1<<CONNECT | 1<<AUTH},
	PropAuthData:            {kindBytes, false, 1<<CONNECT | 1<<AUTH},
	PropRequestProblemInfo:  {kindBool, false, 1 << CONNECT},
	PropWillDelay:           {kindU32, false, 1 << placeWill},
	PropRequestResponseInfo: {kindBool, false, 1 << CONNECT},
	PropResponseInfo:        {kindText, false, 0},
	PropServerReference:     {kindText, false, 0},
	PropReasonString:        {kindText, false, acks | 1<<DISCONNECT | 1<<AUTH},
	PropReceiveMaximum:      {kindU16, true, 1 << CONNECT},
	PropTopicAliasMaximum:   {kindU16, false, 1 << CONNECT},
	PropTopicAlias:          {kindU16, true, 1 << PUBLISH},
	PropMaximumQoS:          {kindBool, false, 0},
	PropRetainAvailable:     {kindBool, false, 0},
	PropUser:                {kindPair, false, 1<<placeWill | 1<<CONNECT | 1<<PUBLISH | acks | 1<<SUBSCRIBE | 1<<UNSUBSCRIBE | 1<<DISCONNECT | 1<<AUTH},
	PropMaximumPacket:       {kindU32, true, 1 << CONNECT},
	PropWildcardAvailable:   {kindBool, false, 0},
	PropSubIDAvailable:      {kindBool, false, 0},
	PropSharedAvailable:     {kindBool, false, 0},
}

// Properties are the properties of one packet, as they lie on the wire. The zero value has
// none. Decoded ones are checked, and part of the packet's bytes; own ones are made with Add.
type Properties struct {
	set uint64 // by bit 1<<Property
	raw []byte
}

// Has says whether the property is there.
func (p *Properties) Has(id Property) bool { return p.set&(1<<id) != 0 }

// Uint returns the value of a property that is a number; def if it is absent.
func (p *Properties) Uint(id Property, def uint32) uint32 {
	if p.Has(id) {
		for v := range p.All() {
			if v.ID == id {
				return v.Uint
			}
		}
	}
	return def
}

// Bytes returns the value of a property that is text or bytes; nil if it is absent. It
// lives as long as the packet.
func (p *Properties) Bytes(id Property) []byte {
	if p.Has(id) {
		for v := range p.All() {
			if v.ID == id {
				return v.Bytes
			}
		}
	}
	return nil
}

// Value is one property of a packet; its bytes live as long as the packet.
type Value struct {
	ID    Property
	Uint  uint32 // of a number
	Bytes []byte // of text and bytes; of a user property the value
	Name  []byte // of a user property
}

// All ranges over the properties in their order, which matters for user properties.
// [MQTT-3.3.2-18] [MQTT-3.1.3-10]
func (p *Properties) All() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		c := cursor{rest: p.raw}
		for len(c.rest) != 0 {
			if !yield(c.property()) {
				return
			}
		}
	}
}

// property reads one property; which packet it is in does not matter.
func (c *cursor) property() (v Value) {
	id := c.uvarint()
	if id >= int(numProperties) || properties[id].kind == kindNone {
		c.fail(ErrProperty)
		return v
	}
	v.ID = Property(id)
	switch properties[id].kind {
	case kindBool:
		if v.Uint = uint32(c.byte()); v.Uint > 1 {
			c.fail(ErrPropertyValue)
		}
	case kindU16:
		v.Uint = uint32(c.u16())
	case kindU32:
		v.Uint = c.u32()
	case kindUvarint:
		v.Uint = uint32(c.uvarint())
	case kindText: // [MQTT-3.3.2-13] [MQTT-3.3.2-19]
		v.Bytes = c.text(ErrPropertyText)
	case kindBytes:
		v.Bytes = c.binary()
	case kindPair: // [MQTT-1.5.7-1]
		v.Name = c.text(ErrUserProperty)
		v.Bytes = c.text(ErrUserProperty)
	}
	return v
}

// properties reads and checks the properties at a place. In 3.1.1 there are none.
func (c *cursor) properties(v Version, at place) (p Properties) {
	if v != V5 {
		return p
	}
	p.raw = c.take(c.uvarint()) // [MQTT-2.2.2-1]
	in := cursor{rest: p.raw}
	for len(in.rest) != 0 {
		v := in.property()
		if in.fault == nil {
			in.check(&p, v, at)
		}
	}
	if in.fault != nil {
		c.fail(in.fault)
	}
	if p.Has(PropAuthData) && !p.Has(PropAuthMethod) && at == CONNECT {
		c.fail(ErrAuthData)
	}
	return p
}

// check checks a property against its place and those before it.
func (c *cursor) check(p *Properties, v Value, at place) {
	rule := &properties[v.ID]
	switch {
	case rule.from&(1<<at) == 0:
		c.fail(ErrProperty)
	case v.ID == PropSubscriptionID && at == PUBLISH: // [MQTT-3.3.4-6]
		c.fail(ErrSubscriptionID)
	case p.Has(v.ID) && v.ID != PropUser:
		c.fail(ErrPropertyTwice)
	case v.ID == PropTopicAlias && v.Uint == 0: // [MQTT-3.3.2-8]
		c.fail(ErrTopicAlias)
	case rule.nonzero && v.Uint == 0:
		c.fail(ErrPropertyValue)
	case v.ID == PropResponseTopic && checkNameText(v.Bytes) != nil: // [MQTT-3.3.2-14]
		c.fail(ErrResponseTopic)
	}
	p.set |= 1 << v.ID
}

// Reset empties p; what is added next is written to buf[:0].
func (p *Properties) Reset(buf []byte) { *p = Properties{raw: buf[:0]} }

// AddUint adds a number. Only the bytes that the property has are taken of it.
func (p *Properties) AddUint(id Property, v uint32) {
	p.set |= 1 << id
	p.raw = append(p.raw, byte(id))
	switch properties[id].kind {
	case kindBool:
		p.raw = append(p.raw, byte(v))
	case kindU16:
		p.raw = binary.BigEndian.AppendUint16(p.raw, uint16(v))
	case kindUvarint:
		p.raw = appendUvarint(p.raw, int(v&maxLength))
	default:
		p.raw = binary.BigEndian.AppendUint32(p.raw, v)
	}
}

// AddText adds text or bytes, borrowed until return: of bytes the caller ensures at most
// 65,535, of text what is over that is cut off.
func (p *Properties) AddText(id Property, s []byte) { addText(p, id, s) }

// AddString is AddText for a string.
func (p *Properties) AddString(id Property, s string) { addText(p, id, s) }

func addText[T Text](p *Properties, id Property, s T) {
	p.set |= 1 << id
	p.raw = appendText(append(p.raw, byte(id)), cutText(s))
}

// AddUser adds a user property behind those that are there. name and value are borrowed
// until return, and cut like text.
func (p *Properties) AddUser(name, value []byte) {
	addText(p, PropUser, name)
	p.raw = appendText(p.raw, cutText(value))
}

// AddUserString is AddUser for strings.
func (p *Properties) AddUserString(name, value string) {
	addText(p, PropUser, name)
	p.raw = appendText(p.raw, cutText(value))
}
