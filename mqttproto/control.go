package mqttproto

// Disconnect is a decoded DISCONNECT.
type Disconnect struct {
	Properties Properties // parts of the packet's bytes
	Reason     ReasonCode // ReasonSuccess: the Will is not published
}

// DecodeDisconnect decodes a packet of type DISCONNECT.
func DecodeDisconnect(p Packet, v Version) (m Disconnect, err error) {
	c := cursor{rest: p.Body}
	if v == V5 && len(c.rest) != 0 {
		m.Reason = c.reason(DISCONNECT) // [MQTT-3.14.2-1]
		if len(c.rest) != 0 {
			m.Properties = c.properties(v, DISCONNECT)
		}
	}
	return m, c.end()
}

// Auth is a decoded AUTH of a client.
type Auth struct {
	Properties Properties // parts of the packet's bytes; PropAuthMethod is there
	Reason     ReasonCode // ReasonContinueAuth or ReasonReauthenticate
}

// DecodeAuth decodes a packet of type AUTH, which 5.0 alone has.
func DecodeAuth(p Packet) (m Auth, err error) {
	c := cursor{rest: p.Body}
	m.Reason = c.reason(AUTH)
	if c.fault == nil && m.Reason == ReasonSuccess {
		c.fail(ErrReason) // [MQTT-3.15.2-1] [MQTT-4.12.0-3]: success is the server's to say
	}
	m.Properties = c.properties(V5, AUTH)
	if c.fault == nil && !m.Properties.Has(PropAuthMethod) {
		c.fail(ErrAuthMethod) // [MQTT-4.12.0-5]
	}
	return m, c.end()
}

// DecodePingreq checks a packet of type PINGREQ, which has nothing in it.
func DecodePingreq(p Packet) error {
	c := cursor{rest: p.Body}
	return c.end()
}

// Peer is what the form of a packet depends on besides the packet. The caller fills it in
// from CONNECT.
type Peer struct {
	Version   Version
	Terse     bool   // Request Problem Information was 0
	MaxPacket uint32 // the largest packet that the client takes, bytes; 0 = any
}

// PeerOf returns what a client's CONNECT says of the packets that it wants.
func PeerOf(m *Connect) Peer {
	return Peer{m.Version, m.Properties.Uint(PropRequestProblemInfo, 1) == 0, m.Properties.Uint(PropMaximumPacket, 0)}
}

// AppendConnack appends a CONNACK. Session Present is told with success only
// [MQTT-3.2.2-6]. In 3.1.1 nothing is appended for a reason that it has no code for
// [MQTT3-3.2.2-6]. The caller closes after a failure. props may be nil.
func AppendConnack(dst []byte, to Peer, present bool, reason ReasonCode, props *Properties) []byte {
	head := [2]byte{0, byte(reason)} // [MQTT-3.2.2-1]
	if present && reason == ReasonSuccess {
		head[0] = 1
	}
	if to.Version == V311 {
		code, ok := reason.ConnackV311()
		if !ok {
			return dst
		}
		return append(dst, byte(CONNACK)<<4, 2, head[0], code)
	}
	return to.append(dst, CONNACK, 0, head[:], props, nil)
}

// AppendPingresp appends the answer to PINGREQ. [MQTT-3.12.4-1]
func AppendPingresp(dst []byte) []byte { return append(dst, byte(PINGRESP)<<4, 0) }

// AppendDisconnect appends a DISCONNECT, behind which nothing may follow [MQTT-3.14.4-1].
// In 3.1.1 a server sends none, and nothing is appended. props may be nil.
func AppendDisconnect(dst []byte, to Peer, reason ReasonCode, props *Properties) []byte {
	if to.Version == V311 {
		return dst
	}
	head := [1]byte{byte(reason)}
	return to.append(dst, DISCONNECT, 0, head[:], props, nil)
}

// AppendAuth appends an AUTH, whose props have the method of CONNECT [MQTT-4.12.0-5].
func AppendAuth(dst []byte, to Peer, reason ReasonCode, props *Properties) []byte {
	head := [1]byte{byte(reason)}
	return to.append(dst, AUTH, 0, head[:], props, nil)
}

func (p *Properties) empty() bool { return p == nil || len(p.raw) == 0 }

// append appends a packet made of head, properties (in 5.0) and codes. Reason String and
// user properties are left out where the client did not ask for them [MQTT-3.1.2-29], and
// where the packet would be too large with them; one that is too large without them is not
// sent. [MQTT-3.2.2-19] [MQTT-3.2.2-20]
// [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3]
// [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1]
// [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3]
func (to Peer) append(dst []byte, t Type, flags byte, head []byte, props *Properties, codes []ReasonCode) []byte {
	size, told, full := len(head)+len(codes), 0, true
	if to.Version == V5 {
		if !props.empty() {
			told = len(props.raw)
		}
		full = !to.Terse || t == CONNACK || t == DISCONNECT
		if whole := size + uvarintSize(told) + told; to.MaxPacket != 0 && 1+uvarintSize(whole)+whole > int(to.MaxPacket) {
			full = false
		}
		if !full && told != 0 {
			told = props.terseLen()
		}
		size += uvarintSize(told) + told
	}
	if to.MaxPacket != 0 && 1+uvarintSize(size)+size > int(to.MaxPacket) {
		return dst // [MQTT-3.1.2-24]
	}
	dst = append(appendUvarint(append(dst, byte(t)<<4|flags), size), head...)
	if to.Version == V5 {
		dst = appendUvarint(dst, told) // [MQTT-2.2.2-1]
		switch {
		case told == 0:
		case full:
			dst = append(dst, props.raw...)
		default:
			dst = props.appendTerse(dst)
		}
	}
	for _, code := range codes {
		if to.Version == V311 && code.Failed() {
			code = ReasonUnspecified
		}
		dst = append(dst, byte(code))
	}
	return dst
}

// optional says whether a property is for people to read.
func (id Property) optional() bool { return id == PropReasonString || id == PropUser }

// terseLen is the size of the properties that are not optional, bytes.
func (p *Properties) terseLen() (n int) {
	for at, c := 0, (cursor{rest: p.raw}); len(c.rest) != 0; at = len(p.raw) - len(c.rest) {
		if v := c.property(); !v.ID.optional() {
			n += len(p.raw) - len(c.rest) - at
		}
	}
	return n
}

// appendTerse appends the properties that are not optional.
func (p *Properties) appendTerse(dst []byte) []byte {
	for at, c := 0, (cursor{rest: p.raw}); len(c.rest) != 0; at = len(p.raw) - len(c.rest) {
		if v := c.property(); !v.ID.optional() {
			dst = append(dst, p.raw[at:len(p.raw)-len(c.rest)]...)
		}
	}
	return dst
}
