package mqttproto_test

import (
	"errors"
	"strings"
	"testing"

	"edgeloop/mqttproto"
)

const (
	v0 = mqttproto.Version(0)
	v4 = mqttproto.V311
	v5 = mqttproto.V5
)

// fault is a packet that must be refused, and how.
type fault struct {
	tags string // clauses of which this is the proof
	name string
	v    mqttproto.Version
	in   []byte
	want *mqttproto.Error // nil: it must be accepted
}

// Each clause that forbids a packet refuses it, with a reason that ends the connection
// [MQTT-4.13.1-1], and the packet beside it that is allowed is accepted.
func TestDecode_Clauses(t *testing.T) {
	for _, list := range [][]fault{faultsAny(), faultsConnect(), faultsPublish(), faultsSubscribe(), faultsControl(), faultsProperty()} {
		for _, f := range list {
			t.Run(f.tags+" "+f.name, func(t *testing.T) {
				_, err := decode(f.in, f.v, 5)
				switch {
				case f.want == nil && err != nil:
					t.Errorf("%x: %v, want it accepted", f.in, err)
				case f.want != nil && !errors.Is(err, f.want):
					t.Errorf("%x: %v, want %v", f.in, err, f.want)
				case f.want != nil && !f.want.Reason.Failed():
					t.Errorf("%v: not a failure", f.want)
				case f.want != nil && !strings.Contains(f.want.Error(), f.want.Reason.String()):
					t.Errorf("%q does not say its reason", f.want.Error())
				}
			})
		}
	}
}

func faultsAny() []fault {
	large := append([]byte{0x30}, length(998)...) // 1,001 bytes in all
	return []fault{
		{"[MQTT-3.1.0-1]", "first packet", v0, raw(0xc0, 0), mqttproto.ErrConnectFirst},
		{"[MQTT-3.1.0-2]", "second CONNECT", v5, connect(v5, 2, str("a")), mqttproto.ErrConnectTwice},
		{"[MQTT-2.1.3-1]", "flags of CONNECT", v0, raw(0x11, 0), mqttproto.ErrFlags},
		{"[MQTT-2.1.3-1]", "flags of PUBACK", v5, raw(0x42), mqttproto.ErrFlags},
		{"[MQTT-2.1.3-1]", "flags of PINGREQ", v5, raw(0xc1), mqttproto.ErrFlags},
		{"[MQTT-3.14.1-1]", "flags of DISCONNECT", v4, raw(0xe1), mqttproto.ErrFlags},
		{"[MQTT-3.15.1-1]", "flags of AUTH", v5, raw(0xf1), mqttproto.ErrFlags},
		{"[MQTT-3.6.1-1]", "flags of PUBREL", v5, raw(0x60), mqttproto.ErrFlags},
		{"[MQTT-3.8.1-1]", "flags of SUBSCRIBE", v5, raw(0x80), mqttproto.ErrFlags},
		{"[MQTT-3.10.1-1]", "flags of UNSUBSCRIBE", v4, raw(0xa3), mqttproto.ErrFlags},
		{"[MQTT-3.3.1-4]", "QoS 3", v5, raw(0x36), mqttproto.ErrQoS},
		{"[MQTT-3.3.1-2]", "DUP with QoS 0", v5, raw(0x38), mqttproto.ErrDup},
		{"", "type 0", v5, raw(0x00), mqttproto.ErrType},
		{"", "CONNACK from a client", v5, raw(0x20), mqttproto.ErrType},
		{"", "SUBACK from a client", v5, raw(0x90), mqttproto.ErrType},
		{"", "UNSUBACK from a client", v5, raw(0xb0), mqttproto.ErrType},
		{"", "PINGRESP from a client", v4, raw(0xd0), mqttproto.ErrType},
		{"", "AUTH in 3.1.1", v4, raw(0xf0), mqttproto.ErrType},
		{"[MQTT-1.5.5-1]", "length of five bytes", v4, raw(0xc0, 0x80, 0x80, 0x80, 0x80), mqttproto.ErrLength},
		{"[MQTT-1.5.5-1]", "length not in its shortest form", v5, raw(0xc0, 0x80, 0), mqttproto.ErrLength},
		{"[MQTT-1.5.5-1]", "the same in 3.1.1", v4, raw(0xc0, 0x80, 0), nil},
		{"[MQTT-1.5.5-1]", "the same in a CONNECT of 5.0", v0, append(raw(0x10, 0x8e, 0), connect(v5, 2, str("a"))[2:]...), mqttproto.ErrLength},
		{"[MQTT-3.2.2-15]", "larger than the limit", v5, large, mqttproto.ErrTooLarge},
		{"", "PINGREQ", v5, raw(0xc0, 0), nil},
		{"", "PINGREQ with something in it", v5, raw(0xc0, 1, 0), mqttproto.ErrTrailing},
	}
}

func faultsConnect() []fault {
	will := func(parts ...[]byte) [][]byte { return append([][]byte{str("a")}, parts...) }
	return []fault{
		{"[MQTT-3.1.4-1]", "5.0", v0, connect(v5, 2, str("a")), nil},
		{"[MQTT-3.1.4-1]", "3.1.1", v0, connect(v4, 2, str("a")), nil},
		{"[MQTT-3.1.2-1]", "another name", v0, wire(0x10, str("MQTX"), raw(5, 2), u16(0), raw(0), str("a")), mqttproto.ErrProtocolName},
		{"[MQTT-3.1.2-2]", "3.1", v0, wire(0x10, str("MQIsdp"), raw(3, 2), u16(0), str("a")), mqttproto.ErrVersion},
		{"[MQTT-3.1.2-2]", "level 6", v0, connect(6, 2, raw(0), str("a")), mqttproto.ErrVersion},
		{"[MQTT-3.1.2-3]", "reserved flag", v0, connect(v5, 3, str("a")), mqttproto.ErrConnectFlags},
		{"[MQTT-3.1.2-11]", "Will QoS without Will", v0, connect(v5, 2|1<<3, str("a")), mqttproto.ErrWillQoS},
		{"[MQTT-3.1.2-11]", "Will QoS 3 without Will", v0, connect(v5, 2|3<<3, str("a")), mqttproto.ErrWillQoS},
		{"[MQTT-3.1.2-12]", "Will QoS 3", v0, connect(v4, 2|4|3<<3, will(str("t"), str("x"))...), mqttproto.ErrWillQoS3},
		{"[MQTT-3.1.2-13]", "Will Retain without Will", v0, connect(v5, 2|1<<5, str("a")), mqttproto.ErrWillRetain},
		{"[MQTT-3.1.2-9]", "Will", v0, connect(v5, 2|4|2<<3, will(raw(0), str("t"), str("x"))...), nil},
		{"[MQTT-3.1.2-9]", "Will without message", v0, connect(v4, 2|4, will(str("t"))...), mqttproto.ErrTruncated},
		{"[MQTT-3.1.3-11]", "Will Topic not UTF-8", v0, connect(v4, 2|4, will(str("\xff"), str("x"))...), mqttproto.ErrWillTopic},
		{"[MQTT-3.1.3-11]", "Will Topic with wildcard", v0, connect(v4, 2|4, will(str("a/+"), str("x"))...), mqttproto.ErrWillTopic},
		{"[MQTT-3.1.2-16]", "user name without its flag", v0, connect(v4, 2, str("a"), str("user")), mqttproto.ErrTrailing},
		{"[MQTT-3.1.2-17]", "no user name for the flag", v0, connect(v4, 2|1<<7, str("a")), mqttproto.ErrTruncated},
		{"[MQTT-3.1.2-18]", "password without its flag", v0, connect(v4, 2|1<<7, str("a"), str("u"), str("p")), mqttproto.ErrTrailing},
		{"[MQTT-3.1.2-19]", "no password for the flag", v0, connect(v4, 2|1<<7|1<<6, str("a"), str("u")), mqttproto.ErrTruncated},
		{"[MQTT3-3.1.2-22]", "password alone in 3.1.1", v0, connect(v4, 2|1<<6, str("a"), str("p")), mqttproto.ErrPasswordAlone},
		{"[MQTT3-3.1.2-22]", "password alone in 5.0", v0, connect(v5, 2|1<<6, str("a"), str("p")), nil},
		{"[MQTT-3.1.3-3]", "no client identifier", v0, connect(v5, 2), mqttproto.ErrTruncated},
		{"[MQTT-3.1.3-4] [MQTT-1.5.4-1]", "client identifier not UTF-8", v0, connect(v5, 2, str("\xc3")), mqttproto.ErrClientID},
		{"[MQTT-1.5.4-1]", "a surrogate", v0, connect(v5, 2, str("\xed\xa0\x80")), mqttproto.ErrClientID},
		{"[MQTT-1.5.4-2]", "U+0000", v0, connect(v5, 2, str("a\x00")), mqttproto.ErrClientID},
		{"[MQTT-3.1.3-6]", "empty client identifier", v0, connect(v5, 0, str("")), nil},
		{"[MQTT3-3.1.3-7]", "empty, clean session, 3.1.1", v0, connect(v4, 2, str("")), nil},
		{"[MQTT3-3.1.3-8]", "empty, no clean session, 3.1.1", v0, connect(v4, 0, str("")), mqttproto.ErrClientIDEmpty},
		{"[MQTT-3.1.3-12]", "user name not UTF-8", v0, connect(v4, 2|1<<7, str("a"), str("\xff")), mqttproto.ErrUserName},
		{"", "authentication data alone", v0, wire(0x10, str("MQTT"), raw(5, 2), u16(0), props(prop(22, str("x"))), str("a")), mqttproto.ErrAuthData},
	}
}

func faultsPublish() []fault {
	alias := func(n int) []byte { return props(prop(35, u16(n))) }
	return []fault{
		{"", "QoS 0", v5, wire(0x31, str("a/b"), raw(0), tail("x")), nil},
		{"[MQTT-2.2.1-2]", "QoS 0 has no packet identifier", v4, wire(0x30, str("a")), nil},
		{"[MQTT-2.2.1-3]", "identifier 0", v5, wire(0x32, str("a"), u16(0), raw(0)), mqttproto.ErrPacketID},
		{"[MQTT-2.2.1-3]", "no identifier", v4, wire(0x32, str("a")), mqttproto.ErrTruncated},
		{"[MQTT-3.3.2-1]", "topic not UTF-8", v4, wire(0x30, str("\xff")), mqttproto.ErrTopic},
		{"[MQTT-4.7.3-2]", "U+0000 in the topic", v4, wire(0x30, str("a\x00b")), mqttproto.ErrTopic},
		{"[MQTT-3.3.2-2] [MQTT-4.7.0-1]", "#", v5, wire(0x30, str("a/#"), raw(0)), mqttproto.ErrTopicWild},
		{"[MQTT-3.3.2-2] [MQTT-4.7.0-1]", "+", v4, wire(0x30, str("a+")), mqttproto.ErrTopicWild},
		{"[MQTT-4.7.3-1]", "empty topic in 3.1.1", v4, wire(0x30, str("")), mqttproto.ErrTopicEmpty},
		{"", "neither topic nor alias", v5, wire(0x30, str(""), raw(0)), mqttproto.ErrTopicNone},
		{"[MQTT-3.3.2-12]", "alias at the maximum", v5, wire(0x30, str(""), alias(5)), nil},
		{"[MQTT-3.2.2-17] [MQTT-3.3.2-9]", "alias above the maximum", v5, wire(0x30, str("a"), alias(6)), mqttproto.ErrTopicAlias},
		{"[MQTT-3.3.2-8]", "alias 0", v5, wire(0x30, str("a"), alias(0)), mqttproto.ErrTopicAlias},
		{"[MQTT-3.3.4-6]", "subscription identifier", v5, wire(0x30, str("a"), props(prop(11, raw(1)))), mqttproto.ErrSubscriptionID},
		{"[MQTT-3.3.2-13]", "Response Topic not UTF-8", v5, wire(0x30, str("a"), props(prop(8, str("\xff")))), mqttproto.ErrPropertyText},
		{"[MQTT-3.3.2-14]", "wildcard in the Response Topic", v5, wire(0x30, str("a"), props(prop(8, str("a/#")))), mqttproto.ErrResponseTopic},
		{"[MQTT-3.3.2-19]", "Content Type not UTF-8", v5, wire(0x30, str("a"), props(prop(3, str("\xff")))), mqttproto.ErrPropertyText},
		{"", "Payload Format Indicator 2", v5, wire(0x30, str("a"), props(prop(1, raw(2)))), mqttproto.ErrPropertyValue},
	}
}

func faultsSubscribe() []fault {
	sub := func(v mqttproto.Version, filter string, options byte) []byte {
		if v == v4 {
			return wire(0x82, u16(1), str(filter), raw(options))
		}
		return wire(0x82, u16(1), raw(0), str(filter), raw(options))
	}
	return []fault{
		{"", "all options", v5, sub(v5, "a/+/#", 0x2e), nil},
		{"[MQTT-2.2.1-3]", "identifier 0", v5, wire(0x82, u16(0), raw(0), str("a"), raw(0)), mqttproto.ErrPacketID},
		{"[MQTT-3.8.3-1]", "filter not UTF-8", v4, sub(v4, "\xff", 0), mqttproto.ErrFilter},
		{"[MQTT-3.8.3-2]", "no filter", v5, wire(0x82, u16(1), raw(0)), mqttproto.ErrNoFilter},
		{"[MQTT-3.8.3-4]", "No Local on a shared subscription", v5, sub(v5, "$share/g/a", 4), mqttproto.ErrShareNoLocal},
		{"[MQTT-3.8.3-5]", "bit 6", v5, sub(v5, "a", 0x40), mqttproto.ErrOptions},
		{"[MQTT-3.8.3-5]", "bit 7", v5, sub(v5, "a", 0x81), mqttproto.ErrOptions},
		{"[MQTT3-3.8.3-4]", "an option of 5.0 in 3.1.1", v4, sub(v4, "a", 4), mqttproto.ErrOptions},
		{"[MQTT3-3.8.3-4]", "QoS 3", v4, sub(v4, "a", 3), mqttproto.ErrOptionsQoS},
		{"", "Retain Handling 3", v5, sub(v5, "a", 0x30), mqttproto.ErrRetainHandling},
		{"", "no options", v5, wire(0x82, u16(1), raw(0), str("a")), mqttproto.ErrTruncated},
		{"[MQTT-4.7.3-1]", "empty filter", v4, sub(v4, "", 0), mqttproto.ErrFilterEmpty},
		{"[MQTT-4.7.1-1]", "# not last", v4, sub(v4, "a/#/b", 0), mqttproto.ErrFilterHash},
		{"[MQTT-4.7.1-1]", "# within a level", v4, sub(v4, "a#", 0), mqttproto.ErrFilterHash},
		{"[MQTT-4.7.1-2]", "+ within a level", v4, sub(v4, "a/b+/c", 0), mqttproto.ErrFilterPlus},
		{"[MQTT-4.8.2-1]", "no share name", v5, sub(v5, "$share//a", 0), mqttproto.ErrShareName},
		{"[MQTT-4.8.2-2]", "wildcard in the share name", v5, sub(v5, "$share/a+/b", 0), mqttproto.ErrShareFilter},
		{"[MQTT-4.8.2-2]", "no filter behind the share name", v5, sub(v5, "$share/a/", 0), mqttproto.ErrShareFilter},
		{"[MQTT-4.8.2-2]", "nothing behind the share name", v5, sub(v5, "$share/a", 0), mqttproto.ErrShareFilter},
		{"", "UNSUBSCRIBE", v5, wire(0xa2, u16(1), raw(0), str("a"), str("b")), nil},
		{"[MQTT-3.10.3-1]", "UNSUBSCRIBE not UTF-8", v4, wire(0xa2, u16(1), str("\xff")), mqttproto.ErrFilter},
		{"[MQTT-3.10.3-2]", "UNSUBSCRIBE of nothing", v4, wire(0xa2, u16(1)), mqttproto.ErrNoUnfilter},
	}
}

func faultsControl() []fault {
	method := props(prop(21, str("m")))
	return []fault{
		{"[MQTT-2.2.1-5]", "PUBACK", v4, wire(0x40, u16(7)), nil},
		{"", "PUBACK with nothing", v5, wire(0x40), mqttproto.ErrTruncated},
		{"[MQTT-2.2.1-3]", "PUBACK 0", v5, wire(0x40, u16(0)), mqttproto.ErrPacketID},
		{"", "PUBACK of 5.0 in 3.1.1", v4, wire(0x40, u16(7), raw(0)), mqttproto.ErrTrailing},
		{"[MQTT-3.4.2-1]", "PUBACK reason", v5, wire(0x40, u16(7), raw(0x92)), mqttproto.ErrReason},
		{"[MQTT-3.5.2-1]", "PUBREC reason", v5, wire(0x50, u16(7), raw(0x01)), mqttproto.ErrReason},
		{"[MQTT-3.6.2-1]", "PUBREL reason", v5, wire(0x62, u16(7), raw(0x80)), mqttproto.ErrReason},
		{"[MQTT-3.7.2-1]", "PUBCOMP reason", v5, wire(0x70, u16(7), raw(0x10)), mqttproto.ErrReason},
		{"[MQTT-3.7.2-1]", "PUBCOMP, not found", v5, wire(0x70, u16(7), raw(0x92), props(prop(31, str("x")))), nil},
		{"", "DISCONNECT", v5, wire(0xe0), nil},
		{"", "DISCONNECT with Will", v5, wire(0xe0, raw(4)), nil},
		{"[MQTT-3.14.2-1]", "DISCONNECT reason", v5, wire(0xe0, raw(0x18)), mqttproto.ErrReason},
		{"", "DISCONNECT of 5.0 in 3.1.1", v4, wire(0xe0, raw(0)), mqttproto.ErrTrailing},
		{"", "AUTH", v5, wire(0xf0, raw(0x18), method), nil},
		{"[MQTT-3.15.2-1] [MQTT-4.12.0-3]", "AUTH with success", v5, wire(0xf0, raw(0), method), mqttproto.ErrReason},
		{"[MQTT-4.12.0-5]", "AUTH without a method", v5, wire(0xf0, raw(0x19, 0)), mqttproto.ErrAuthMethod},
	}
}

func faultsProperty() []fault {
	in := func(list ...[]byte) []byte {
		return wire(0x10, str("MQTT"), raw(5, 2), u16(0), props(list...), str("a"))
	}
	user := prop(38, str("k"), str("v"))
	return []fault{
		{"", "all of CONNECT", v0, in(prop(17, u32(1)), prop(33, u16(1)), prop(39, u32(20)), prop(34, u16(0)), prop(25, raw(1)), prop(23, raw(0)), user, user, prop(21, str("m")), prop(22, str("d"))), nil},
		{"[MQTT-2.2.2-1]", "no property length", v0, wire(0x10, str("MQTT"), raw(5, 2), u16(0)), mqttproto.ErrTruncated},
		{"", "length beyond the packet", v0, wire(0x10, str("MQTT"), raw(5, 2), u16(0), raw(9), str("a")), mqttproto.ErrTruncated},
		{"", "property cut off by the length", v0, in(prop(17, u16(1))), mqttproto.ErrTruncated},
		{"[MQTT-1.5.5-1]", "property length not in its shortest form", v0, wire(0x10, str("MQTT"), raw(5, 2), u16(0), raw(0x80, 0), str("a")), mqttproto.ErrLength},
		{"", "unknown", v0, in(prop(99, raw(0))), mqttproto.ErrProperty},
		{"", "of another packet", v0, in(prop(35, u16(1))), mqttproto.ErrProperty},
		{"", "a server's", v0, in(prop(36, raw(1))), mqttproto.ErrProperty},
		{"", "twice", v0, in(prop(33, u16(1)), prop(33, u16(1))), mqttproto.ErrPropertyTwice},
		{"", "Receive Maximum 0", v0, in(prop(33, u16(0))), mqttproto.ErrPropertyValue},
		{"", "Maximum Packet Size 0", v0, in(prop(39, u32(0))), mqttproto.ErrPropertyValue},
		{"", "Request Problem Information 2", v0, in(prop(23, raw(2))), mqttproto.ErrPropertyValue},
		{"", "subscription identifier 0", v5, wire(0x82, u16(1), props(prop(11, raw(0))), str("a"), raw(0)), mqttproto.ErrPropertyValue},
		{"[MQTT-1.5.7-1]", "name not UTF-8", v0, in(prop(38, str("\xff"), str("v"))), mqttproto.ErrUserProperty},
		{"[MQTT-1.5.7-1]", "value not UTF-8", v0, in(prop(38, str("k"), str("\xff"))), mqttproto.ErrUserProperty},
		{"", "Will properties", v0, connect(v5, 2|4, str("a"), props(prop(24, u32(5)), prop(1, raw(1)), user), str("t"), str("x")), nil},
		{"", "of CONNECT in the Will", v0, connect(v5, 2|4, str("a"), props(prop(33, u16(5))), str("t"), str("x")), mqttproto.ErrProperty},
	}
}
