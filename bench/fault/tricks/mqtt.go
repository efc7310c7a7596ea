package tricks

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// packet is one of MQTT.
func packet(first byte, body string) string {
	return bytesOf(first) + varint(len(body)) + body
}

// bytesOf is a byte as a string of one byte: string(byte) would be UTF-8.
func bytesOf(b byte) string { return string([]byte{b}) }

func varint(n int) string {
	var out []byte
	for {
		b := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			b |= 0x80
		}
		out = append(out, b)
		if n == 0 {
			return string(out)
		}
	}
}

// str is a string of MQTT.
func str(s string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s //nolint:gosec // as long as wished
}

// Kinds of packets, with their flags.
const (
	mqttConnect    = 0x10
	mqttPublish    = 0x30
	mqttPubrel     = 0x62
	mqttSubscribe  = 0x82
	mqttPing       = 0xc0
	mqttDisconnect = 0xe0
	mqttAuth       = 0xf0
	qos1           = 0x02
	qos3           = 0x06
	flagsOfDevice  = 0xc2 // user name, password, clean start
)

// connect is the first packet of a device that may come: version 5 with properties, or 3.1.1.
func (t *try) connect(version byte, properties string) string {
	body := str("MQTT") + string([]byte{version, flagsOfDevice, 0, 60})
	if version == 5 {
		body += varint(len(properties)) + properties
	}
	return packet(mqttConnect, body+str(t.name())+str("any")+str(t.doors.Token(t.name())))
}

// mqttTricks are packets that are wrong.
func mqttTricks() []Trick {
	first := func(name, about, wire string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.mqttFirst(wire) }}
	}
	then := func(name, about, wire string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.mqttThen(5, wire) }}
	}
	anyEnd := []string{cut, "disconnect …", "connack …"}
	publish := func(flags byte, topic, rest string) string { return packet(mqttPublish|flags, str(topic)+rest) }
	return []Trick{
		{Name: "silence", About: "nothing is said", Slow: true, Want: []string{cut}, try: func(t *try) string { return t.holds(t.doors.MQTT, "") }},
		{Name: "slowly", About: "CONNECT, a byte at a time", Slow: true, Peers: 200, Want: []string{cut, "disconnect …"}, try: func(t *try) string {
			return t.drips(t.doors.MQTT, "\x10\xff\x7f\x00\x04MQTT\x05\x02\x00\x3c"+strings.Repeat("\x00", 300))
		}},
		{Name: "slow-packet", About: "a PUBLISH of which nothing comes behind its length", Want: []string{"goes on"}, try: (*try).slowPacket},
		first("not-connect", "a PUBLISH before CONNECT", publish(0, "t", "\x00x"), anyEnd...),
		first("http", "HTTP", upgrade(devicePath)+"\r\n", anyEnd...),
		first("length-256m", "a CONNECT of 256 MiB, announced", "\x10\xff\xff\xff\x7f\x00\x04MQTT", anyEnd...),
		first("length-5", "a length of five bytes", "\x10\xff\xff\xff\xff\x7f", anyEnd...),
		first("name", "a protocol that is another", packet(mqttConnect, str("AMQP")+"\x05\x02\x00\x3c\x00"+str("a")), anyEnd...),
		first("version", "version 9", packet(mqttConnect, str("MQTT")+"\x09\x02\x00\x3c\x00"+str("a")), anyEnd...),
		first("reserved", "a reserved flag", packet(mqttConnect, str("MQTT")+"\x05\x03\x00\x3c\x00"+str("a")), anyEnd...),
		first("properties", "2,000 user properties in CONNECT", packet(mqttConnect, str("MQTT")+"\x05\x02\x00\x3c"+varint(14_000)+strings.Repeat("\x26\x00\x01a\x00\x01b", 2000)+str("a")), anyEnd...),
		first("no-token", "no password", packet(mqttConnect, str("MQTT")+"\x05\x02\x00\x3c\x00"+str("a")), "connack 86"),
		{Name: "other-name", About: "another device's client identifier", Want: []string{"connack 85"}, try: func(t *try) string {
			return t.mqttFirst(packet(mqttConnect, str("MQTT")+"\x05\xc2\x00\x3c\x00"+str("x-victim")+str("any")+str(t.doors.Token(t.name()))))
		}},
		{Name: "twice", About: "a second CONNECT", Want: anyEnd, try: func(t *try) string { return t.mqttThen(5, t.connect(5, "")) }},
		{Name: "twice-311", About: "the same, 3.1.1", Want: []string{cut}, try: func(t *try) string { return t.mqttThen(4, t.connect(4, "")) }},
		then("qos-3", "QoS 3", publish(qos3, "t", "\x00\x01\x00x"), "disconnect …"),
		then("id-0", "packet identifier 0", publish(qos1, "t", "\x00\x00\x00x"), "disconnect …"),
		then("kind-0", "a packet of a kind that does not exist", "\x00\x00", "disconnect …"),
		then("flags", "flags that a SUBSCRIBE does not have", packet(0x80, "\x00\x01\x00"+str("a")+"\x00"), "disconnect …"),
		then("subscribe-none", "a SUBSCRIBE to nothing", packet(mqttSubscribe, "\x00\x01\x00"), "disconnect …"),
		then("auth", "AUTH that nobody asked for", packet(mqttAuth, "\x18\x00"), "disconnect …"),
		then("large", "a PUBLISH of 100 KiB", publish(0, "t", "\x00"+strings.Repeat("x", 100<<10)), "disconnect …", cut),
		then("pings", "100,000 PINGREQ, then the end", strings.Repeat(bytesOf(mqttPing)+"\x00", 100_000)+bytesOf(mqttDisconnect)+"\x00", cut),
		then("pubrel", "PUBREL of nothing, then the end", packet(mqttPubrel, "\x00\x09")+bytesOf(mqttDisconnect)+"\x00", cut, "disconnect …"),
	}
}

// mqttTopics are names of topics that are wrong, or somebody else's.
func mqttTopics() []Trick {
	then := func(name, about, wire string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.mqttThen(5, wire) }}
	}
	publish := func(topic, rest string) string { return packet(mqttPublish|qos1, str(topic)+"\x00\x01"+rest) }
	subscribe := func(filter string) string { return packet(mqttSubscribe, "\x00\x07\x00"+str(filter)+"\x00") }
	refused := []string{"disconnect …", "puback 9…", "puback 8…"}
	return []Trick{
		then("topic-wild", "a wildcard in the topic of a PUBLISH", publish("a/#", "\x00x"), refused...),
		then("topic-plus", "the other wildcard", publish("a/+/b", "\x00x"), refused...),
		then("topic-none", "no topic and no alias", publish("", "\x00x"), refused...),
		then("topic-nul", "a NUL in the topic", publish("a\x00b", "\x00x"), refused...),
		then("topic-utf8", "a topic that is no UTF-8", publish("a\xff", "\x00x"), refused...),
		then("topic-long", "a topic of 2,000 bytes", publish(strings.Repeat("t", 2000), "\x00x"), refused...),
		then("topic-node", "a topic of the node's own", publish("$edgeloop/command/1/reboot", "\x00x"), refused...),
		then("alias-high", "a topic alias above those that there are", publish("t", "\x03\x23\xff\xffx"), refused...),
		then("alias-0", "topic alias 0", publish("t", "\x03\x23\x00\x00x"), refused...),
		then("alias-none", "a topic alias that stands for nothing", publish("", "\x03\x23\x00\x05x"), refused...),
		then("publish-properties", "2,000 user properties in PUBLISH", publish("t", varint(14_000)+strings.Repeat("\x26\x00\x01a\x00\x01b", 2000)+"{}"), "puback …", "disconnect …"),
		then("property-twice", "a property that may be there once, twice", publish("t", "\x06\x23\x00\x01\x23\x00\x01x"), refused...),
		then("subscribe-all", "to hear everybody", subscribe("#"), "suback 87"),
		then("subscribe-other", "to hear another device's commands", subscribe("$edgeloop/command/+/x-victim/#"), "suback …"),
		then("subscribe-shared", "a shared subscription", subscribe("$share/g/$edgeloop/command/#"), "suback …", "disconnect 9e"),
		then("subscribe-sys", "the broker's own topics", subscribe("$SYS/#"), "suback 87"),
	}
}

// mqttFirst begins with something.
func (t *try) mqttFirst(wire string) string {
	c, err := t.dial(t.doors.MQTT)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	go func() { _, _ = io.WriteString(c, wire) }()
	return t.mqttAnswer(bufio.NewReader(c))
}

// mqttDevice is one that was let in.
func (t *try) mqttDevice(version byte) (net.Conn, *bufio.Reader, string) {
	c, err := t.dial(t.doors.MQTT)
	if err != nil {
		return nil, nil, t.ended(err)
	}
	r := bufio.NewReader(c)
	_, _ = io.WriteString(c, t.connect(version, "")) // seen by the next read
	if how := t.mqttAnswer(r); how != "connack 0" {
		c.Close()
		return nil, nil, how
	}
	return c, r, ""
}

// mqttThen is let in, and then says something.
func (t *try) mqttThen(version byte, wire string) string {
	c, r, how := t.mqttDevice(version)
	if c == nil {
		return how
	}
	defer c.Close()
	go func() { _, _ = io.WriteString(c, wire) }()
	return t.mqttAnswer(r)
}

// mqttAnswer is the next packet of the node's that says something: its kind and its reason.
func (t *try) mqttAnswer(r *bufio.Reader) string {
	for {
		first, err := r.ReadByte()
		if err != nil {
			return t.ended(err)
		}
		n, err := binary.ReadUvarint(r)
		if err != nil || n > 1<<20 {
			return fmt.Sprintf("a packet of %d bytes, %v", n, err)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return t.ended(err)
		}
		reason := func(i int) string {
			if i < len(body) {
				return fmt.Sprintf("%x", body[i])
			}
			return "0"
		}
		switch first >> 4 {
		case 2:
			return "connack " + reason(1)
		case 4:
			return "puback " + reason(2)
		case 9:
			return "suback " + reason(len(body)-1)
		case 14:
			return "disconnect " + reason(0)
		}
	}
}

// slowPacket begins a packet, and is a device that sends no more. It is no attack on others:
// the keep alive ends it. Another device meanwhile gets its PUBACK.
func (t *try) slowPacket() string {
	c, _, how := t.mqttDevice(5)
	if c == nil {
		return how
	}
	defer c.Close()
	if _, err := io.WriteString(c, "\x30\xff\x7f\x00\x01t"); err != nil {
		return t.ended(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(Patience / 2))
	if how := t.wait(c); how != open {
		return how
	}
	other := &try{ctx: t.ctx, doors: t.doors, i: t.i, trick: t.trick + "-other"}
	if how := other.mqttThen(5, packet(mqttPublish|qos1, str("t")+"\x00\x01\x00{}")); how != "puback 0" {
		return how
	}
	return "goes on"
}
