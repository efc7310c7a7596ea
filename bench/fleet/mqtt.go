package fleet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// mqtt is a device that speaks MQTT over TCP: 3.1.1 or 5.0, a clean session, telemetry with
// QoS 1. What a dialect writes is whole packets here. It is written apart from the node's own
// packet code. Topics are in mqtttopic.go.
type mqtt struct {
	level     byte   // 4: 3.1.1, 5: 5.0
	keepAlive uint16 // seconds
	tenant    string
	password  string // of all devices; "": each has its token, where there are any
	topic     topic  // what they publish to
	filter    topic  // what they subscribe to; none: nothing
	device    int    // whose telemetry comes next
	body      []byte
}

// The first bytes of packets, flags included.
const (
	mqttConnect    = 0x10
	mqttConnack    = 0x20
	mqttPublish    = 0x30
	mqttPublish1   = 0x32 // QoS 1
	mqttPuback     = 0x40
	mqttSubscribe  = 0x82
	mqttSuback     = 0x90
	mqttPingreq    = 0xc0
	mqttPingresp   = 0xd0
	mqttDisconnect = 0xe0
)

// Topics.
const (
	mqttCommand = "$edgeloop/command/"
	mqttReply   = "$edgeloop/reply/"
)

// subscribeID is the packet identifier of the one SUBSCRIBE.
const subscribeID = 0xffff

var errBadPacket = errors.New("fleet: not a packet that a server sends")

func newMQTT(cfg Config) *mqtt {
	m := &mqtt{level: 4, tenant: cfg.Tenant, password: cfg.Password, topic: topicOf(cfg.Topic), filter: topicOf(cfg.Subscribe)}
	if cfg.Dialect == "mqtt5" {
		m.level = 5
	}
	m.keepAlive = uint16(min(65535, (2*cfg.Heartbeat+time.Second-1)/time.Second)) //nolint:gosec // bounded here
	return m
}

func (m *mqtt) protocol() string { return "mqtt" }
func (m *mqtt) op() ws.OpCode    { return ws.OpBinary }
func (m *mqtt) welcomes() bool   { return !m.filter.none() } // ready with its SUBACK

// packet appends a packet whose body is made by the caller in m.body.
func (m *mqtt) packet(dst []byte, first byte) []byte {
	dst = append(dst, first)
	n := len(m.body)
	for ; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(append(dst, byte(n)), m.body...)
}

func (m *mqtt) text(s []byte) {
	m.body = append(binary.BigEndian.AppendUint16(m.body, uint16(len(s))), s...) //nolint:gosec // names and tokens are short
}

// noProperties says in 5.0 that there are none.
func (m *mqtt) noProperties() {
	if m.level == 5 {
		m.body = append(m.body, 0)
	}
}

// hello appends a device's CONNECT: client identifier, tenant as user name, and its token,
// if it has one, as password.
func (m *mqtt) hello(dst []byte, o *opener, n int) []byte {
	flags := byte(0x82) // clean, user name
	if o.sign != nil || m.password != "" {
		flags |= 0x40
	}
	m.body = append(m.body[:0], 0, 4, 'M', 'Q', 'T', 'T', m.level, flags)
	m.body = binary.BigEndian.AppendUint16(m.body, m.keepAlive)
	m.noProperties()
	m.text(o.device(n))
	m.text([]byte(m.tenant))
	switch {
	case m.password != "":
		m.text([]byte(m.password))
	case o.sign != nil:
		m.text(o.sign.append(nil, o.device(n)))
	}
	return m.packet(dst, mqttConnect)
}

// subscribe appends the SUBSCRIBE of device n.
func (m *mqtt) subscribe(dst []byte, n int) []byte {
	m.body = binary.BigEndian.AppendUint16(m.body[:0], subscribeID)
	m.noProperties()
	m.text(m.filter.of(n))
	m.body = append(m.body, 1) // QoS
	return m.packet(dst, mqttSubscribe)
}

// mqttID is the packet identifier of a device's message: never 0, and another one for any
// two that can be in flight at once.
func mqttID(seq uint64) uint16 { return uint16(seq%65535) + 1 } //nolint:gosec // bounded here

// telemetry appends a PUBLISH of about size bytes in all; with sequence 0 of QoS 0. It says its
// number and when it was due, as a broadcast does, so that who subscribed can account for it.
func (m *mqtt) telemetry(dst []byte, seq uint64, due int64, size int) []byte {
	m.body = m.body[:0]
	m.text(m.topic.of(m.device))
	first := byte(mqttPublish)
	if seq > 0 {
		first = mqttPublish1
		m.body = binary.BigEndian.AppendUint16(m.body, mqttID(seq))
	}
	m.noProperties()
	m.body = append(m.body, `{"n":`...)
	m.body = strconv.AppendUint(m.body, seq, 10)
	m.body = append(m.body, `,"at":`...)
	m.body = strconv.AppendInt(m.body, due, 10)
	m.body = append(m.body, `,"pad":"`...)
	for len(m.body) < size-2-2 { // the fixed header, and what ends the object
		m.body = append(m.body, 'a'+byte(seq+uint64(len(m.body)))%26) //nolint:gosec // filler
	}
	m.body = append(m.body, `"}`...)
	return m.packet(dst, first)
}

func (m *mqtt) heartbeat(dst []byte) []byte { return append(dst, mqttPingreq, 0) }

func (m *mqtt) reply(dst, id []byte) []byte {
	m.body = m.body[:0]
	m.text(append([]byte(mqttReply), id...))
	m.noProperties()
	m.body = append(m.body, `{}`...)
	return m.packet(dst, mqttPublish)
}

// read is for messages of WebSocket; packets are read below.
func (m *mqtt) read(_ []byte, e *event) { e.kind = isBroken }

// mqttNext cuts the first packet off b; size 0 means more bytes are needed.
func mqttNext(b []byte) (first byte, body []byte, size int, err error) {
	n := 0
	for i := 1; i < len(b); i++ {
		n |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			switch size = 1 + i + n; {
			case n > maxIncoming:
				return 0, nil, 0, errFrameTooBig
			case size > len(b):
				return 0, nil, 0, nil
			}
			return b[0], b[1+i : size], size, nil
		}
		if i == 4 {
			return 0, nil, 0, errBadPacket
		}
	}
	return 0, nil, 0, nil
}

// message takes a PUBLISH apart. id is 0 with QoS 0.
func (m *mqtt) message(first byte, body []byte) (topic, payload []byte, id uint16, ok bool) {
	if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
		return nil, nil, 0, false
	}
	n := 2 + int(binary.BigEndian.Uint16(body))
	topic, body = body[2:n], body[n:]
	if first&0x06 != 0 {
		if len(body) < 2 {
			return nil, nil, 0, false
		}
		id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	if m.level == 5 {
		size, n := binary.Uvarint(body)
		if n <= 0 || size > uint64(len(body)-n) { //nolint:gosec // n is not more than there is
			return nil, nil, 0, false
		}
		body = body[n+int(size):] //nolint:gosec // bounded above
	}
	return topic, body, id, true
}

// command is what a PUBLISH to a device tells it.
func (m *mqtt) command(topic, payload []byte, e *event) {
	e.kind = isCommand
	if rest, ok := bytes.CutPrefix(topic, []byte(mqttCommand)); ok {
		e.id, _, _ = bytes.Cut(rest, []byte{'/'})
	} else {
		e.kind = isMessage
	}
	stamped(payload, e)
}

// receiveMaximum reads how many messages in flight a CONNACK of 5.0 allows; 0 if it does
// not say.
func receiveMaximum(body []byte) int {
	if len(body) < 3 || body[2] >= 0x80 || len(body) < 3+int(body[2]) {
		return 0
	}
	for p := body[3 : 3+int(body[2])]; len(p) > 2; {
		skip := 0
		switch p[0] {
		case 33:
			return int(binary.BigEndian.Uint16(p[1:]))
		case 36, 37, 40, 41, 42: // a byte
			skip = 2
		case 19, 34: // two
			skip = 3
		case 17, 39: // four
			skip = 5
		case 18, 21, 22, 26, 28, 31: // a string
			skip = 3 + int(binary.BigEndian.Uint16(p[1:]))
		default:
			return 0
		}
		p = p[min(skip, len(p)):]
	}
	return 0
}
