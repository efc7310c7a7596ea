package mqttproto

// The flags of CONNECT.
const (
	flagClean    = 1 << 1
	flagWill     = 1 << 2
	flagWillQoS  = 3 << 3
	flagRetained = 1 << 5
	flagPassword = 1 << 6
	flagUser     = 1 << 7
)

// Connect is a decoded CONNECT. All bytes are parts of the packet's.
type Connect struct {
	Version     Version
	Clean       bool   // Clean Start; in 3.1.1 Clean Session
	KeepAlive   uint16 // seconds; 0 = none
	ClientID    []byte // may be empty: the server assigns one [MQTT-3.1.3-6]
	User        []byte // nil if there is none
	Password    []byte // nil if there is none
	HasUser     bool
	HasPassword bool
	Properties  Properties
	Will        Will
}

// Will is what is published for a client that went without a word.
type Will struct {
	Set        bool
	Retain     bool
	QoS        byte
	Topic      []byte // a valid topic name
	Payload    []byte
	Properties Properties
}

// DecodeConnect decodes a packet of type CONNECT [MQTT-3.1.4-1]. With an error that is about
// something behind the version, Version of the result says in which one to answer, and else
// which one is nearer: V5 for a level above 5, otherwise V311.
func DecodeConnect(p Packet) (m Connect, err error) {
	c := cursor{rest: p.Body}
	name := c.binary()
	level := Version(c.byte())
	m.Version = V311
	if level >= V5 {
		m.Version = V5
	}
	switch {
	case c.fault != nil:
		return m, c.fault
	case string(name) != "MQTT" && (string(name) != "MQIsdp" || level != 3):
		return m, ErrProtocolName // [MQTT-3.1.2-1]
	case level != V311 && level != V5:
		return m, ErrVersion // [MQTT-3.1.2-2]
	case level == V5 && p.long:
		return m, ErrLength // [MQTT-1.5.5-1]
	}
	flags := c.byte()
	if fault := checkConnectFlags(flags, level); fault != nil {
		return m, fault
	}
	m.Clean = flags&flagClean != 0
	m.KeepAlive = c.u16()
	m.Properties = c.properties(level, CONNECT)
	m.ClientID = c.text(ErrClientID) // [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]
	if flags&flagWill != 0 {         // [MQTT-3.1.2-9]
		m.Will = c.will(flags, level)
	}
	if m.HasUser = flags&flagUser != 0; m.HasUser { // [MQTT-3.1.2-16] [MQTT-3.1.2-17]
		m.User = c.text(ErrUserName) // [MQTT-3.1.3-12]
	}
	if m.HasPassword = flags&flagPassword != 0; m.HasPassword { // [MQTT-3.1.2-18] [MQTT-3.1.2-19]
		m.Password = c.binary()
	}
	if c.fault == nil && level == V311 && len(m.ClientID) == 0 && !m.Clean { // [MQTT3-3.1.3-7] [MQTT3-3.1.3-8]
		c.fail(ErrClientIDEmpty)
	}
	return m, c.end()
}

func checkConnectFlags(flags byte, v Version) *Error {
	switch {
	case flags&1 != 0: // [MQTT-3.1.2-3]
		return ErrConnectFlags
	case flags&flagWill == 0 && flags&flagWillQoS != 0: // [MQTT-3.1.2-11]
		return ErrWillQoS
	case flags&flagWillQoS == flagWillQoS: // [MQTT-3.1.2-12]
		return ErrWillQoS3
	case flags&flagWill == 0 && flags&flagRetained != 0: // [MQTT-3.1.2-13]
		return ErrWillRetain
	case v == V311 && flags&flagUser == 0 && flags&flagPassword != 0: // [MQTT3-3.1.2-22]
		return ErrPasswordAlone
	}
	return nil
}

func (c *cursor) will(flags byte, v Version) Will {
	w := Will{Set: true, Retain: flags&flagRetained != 0, QoS: flags & flagWillQoS >> 3}
	w.Properties = c.properties(v, placeWill)
	w.Topic = c.text(ErrWillTopic) // [MQTT-3.1.3-11]
	if c.fault == nil && checkNameText(w.Topic) != nil {
		c.fail(ErrWillTopic)
	}
	w.Payload = c.binary()
	return w
}
