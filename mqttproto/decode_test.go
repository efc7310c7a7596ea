package mqttproto_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"unicode/utf8"

	"edgeloop/mqttproto"
)

// show writes properties in their order.
func show(p *mqttproto.Properties) (out []string) {
	for v := range p.All() {
		out = append(out, fmt.Sprintf("%d=%d,%s,%s", v.ID, v.Uint, v.Name, v.Bytes))
	}
	return out
}

func cut(t *testing.T, in []byte, v mqttproto.Version) mqttproto.Packet {
	t.Helper()
	p, n, more, err := mqttproto.Next(in, v, 1000)
	if err != nil || more != 0 || n != len(in) {
		t.Fatalf("%x: %d bytes, %d more, %v", in, n, more, err)
	}
	return p
}

// What a device says in CONNECT arrives as it said it. The order of the payload's fields
// is the specification's. [MQTT-3.1.3-1]
func TestDecodeConnect(t *testing.T) {
	in := wire(0x10, str("MQTT"), raw(5, 0xee), u16(300), props(prop(17, u32(7)), prop(39, u32(99)), prop(23, raw(0))),
		str("\ufeffid"), props(prop(24, u32(5)), prop(38, str("b"), str("1")), prop(38, str("a"), str("2"))), str("w/t"), str("\x00gone"), str("user"), str("pass\x00"))
	m, err := mqttproto.DecodeConnect(cut(t, in, 0))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %v %d %q %q %q", m.Version, m.Clean, m.KeepAlive, m.ClientID, m.User, m.Password)
	if want := `5 true 300 "\ufeffid" "user" "pass\x00"`; got != want { // [MQTT-1.5.4-3]
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = fmt.Sprintf("%v %v %d %q %q %q", m.Will.Set, m.Will.Retain, m.Will.QoS, m.Will.Topic, m.Will.Payload, show(&m.Will.Properties))
	if want := `true true 1 "w/t" "\x00gone" ["24=5,," "38=0,b,1" "38=0,a,2"]`; got != want { // [MQTT-3.1.3-10]
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if to := mqttproto.PeerOf(&m); to != (mqttproto.Peer{Version: v5, Terse: true, MaxPacket: 99}) {
		t.Errorf("peer %+v", to)
	}
	if n := m.Properties.Uint(mqttproto.PropReceiveMaximum, 65535); n != 65535 {
		t.Errorf("Receive Maximum %d", n)
	}
}

// The answer to a CONNECT that is refused is in a version that its sender understands.
func TestDecodeConnect_VersionOfTheAnswer(t *testing.T) {
	for level, want := range map[byte]mqttproto.Version{3: v4, 4: v4, 5: v5, 6: v5, 0x84: v5} {
		m, err := mqttproto.DecodeConnect(cut(t, wire(0x10, str("MQTT"), raw(level, 3), u16(0)), 0))
		if err == nil || m.Version != want {
			t.Errorf("level %d: version %d, %v, want %d", level, m.Version, err, want)
		}
	}
}

func TestDecodePublish(t *testing.T) {
	list := props(prop(35, u16(3)), prop(38, str("seq"), str("9")), prop(9, str("\x01\x02")))
	for _, c := range []struct {
		v    mqttproto.Version
		in   []byte
		want string
	}{
		{v4, wire(0x31, str("a/b"), tail("xyz")), `"a/b" "xyz" 0 0 0 false true []`},
		{v4, wire(0x3a, str("a"), u16(258)), `"a" "" 258 0 1 true false []`},
		{v5, wire(0x34, str(""), u16(1), list, tail("x")), `"" "x" 1 3 2 false false ["35=3,," "38=0,seq,9" "9=0,,\x01\x02"]`},
	} {
		m, err := mqttproto.DecodePublish(cut(t, c.in, c.v), c.v, 5)
		got := fmt.Sprintf("%q %q %d %d %d %v %v %q", m.Topic, m.Payload, m.ID, m.Alias, m.QoS, m.Dup, m.Retain, show(&m.Properties))
		if err != nil || got != c.want {
			t.Errorf("%x: %v\ngot  %s\nwant %s", c.in, err, got, c.want)
		}
	}
}

// Filters come in their order, which the codes of the answer follow. [MQTT-3.9.3-1]
// [MQTT-3.11.3-1]
func TestDecodeSubscribe(t *testing.T) {
	in := wire(0x82, u16(9), props(prop(11, raw(0x80, 1))), str("a/+"), raw(0x2e), str("$share/g/b/#"), raw(0x01))
	m, err := mqttproto.DecodeSubscribe(cut(t, in, v5), v5)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{fmt.Sprint(m.ID, m.N, m.Properties.Uint(mqttproto.PropSubscriptionID, 0))}
	for i, s := range m.All() {
		group, rest := mqttproto.SplitShare(s.Filter)
		got = append(got, fmt.Sprintf("%d %q %q %d %d %v %v", i, group, rest, s.QoS, s.RetainHandling, s.NoLocal, s.RetainAsPublished))
	}
	want := []string{"9 2 128", `0 "" "a/+" 2 2 true true`, `1 "g" "b/#" 1 0 false false`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	un, err := mqttproto.DecodeSubscribe(cut(t, wire(0xa2, u16(9), str("a"), str("b")), v4), v4)
	got = nil
	for _, s := range un.All() {
		got = append(got, string(s.Filter))
	}
	if err != nil || un.N != 2 || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("UNSUBSCRIBE: %q, %v", got, err)
	}
}

func TestDecode_Control(t *testing.T) {
	ack, err := mqttproto.DecodeAck(cut(t, wire(0x50, u16(7), raw(0x97), props(prop(31, str("full")))), v5), v5)
	if err != nil || ack.ID != 7 || ack.Reason != mqttproto.ReasonQuotaExceeded || string(ack.Properties.Bytes(mqttproto.PropReasonString)) != "full" {
		t.Errorf("PUBREC: %+v, %v", ack, err)
	}
	bye, err := mqttproto.DecodeDisconnect(cut(t, wire(0xe0, raw(4), props(prop(17, u32(60)))), v5), v5)
	if err != nil || bye.Reason != mqttproto.ReasonDisconnectWithWill || bye.Properties.Uint(mqttproto.PropSessionExpiry, 0) != 60 {
		t.Errorf("DISCONNECT: %+v, %v", bye, err)
	}
	auth, err := mqttproto.DecodeAuth(cut(t, wire(0xf0, raw(0x19), props(prop(21, str("m")), prop(22, str("d")))), v5))
	if err != nil || auth.Reason != mqttproto.ReasonReauthenticate || string(auth.Properties.Bytes(mqttproto.PropAuthData)) != "d" {
		t.Errorf("AUTH: %+v, %v", auth, err)
	}
}

// Without a Topic Alias Maximum no alias is accepted. [MQTT-3.2.2-18]
func TestDecodePublish_NoAliases(t *testing.T) {
	in := wire(0x30, str("a"), props(prop(35, u16(1))))
	if _, err := mqttproto.DecodePublish(cut(t, in, v5), v5, 0); !errors.Is(err, mqttproto.ErrTopicAlias) {
		t.Errorf("%v", err)
	}
}

// The stream may be cut anywhere: Next asks for no more than is missing, exactly so once
// the length is known, and gives the same packets whatever the cuts.
func TestNext_SplitInvariance(t *testing.T) {
	stream := slices.Concat(wire(0x32, str("a/b"), u16(1), raw(0), make([]byte, 300)), raw(0xc0, 0), wire(0x40, u16(7)), wire(0xe0))
	var sizes []int
	for rest := stream; len(rest) > 0; {
		p, n, _, err := mqttproto.Next(rest, v5, 1000)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		if size := len(p.Body); size != cap(p.Body) || !bytes.Equal(p.Body, rest[n-size:n]) {
			t.Fatalf("the body is not the end of its packet, and that alone: %x", p.Body[:cap(p.Body)])
		}
		for have := range n {
			_, used, more, err := mqttproto.Next(rest[:have:have], v5, 1000)
			if used != 0 || err != nil || more < 1 || have+more > n || have > 2 && have+more != n {
				t.Fatalf("%d of %d bytes: used %d, %d more, %v", have, n, used, more, err)
			}
		}
		sizes, rest = append(sizes, n), rest[n:]
	}
	if want := []int{3 + 5 + 2 + 1 + 300, 2, 4, 2}; !slices.Equal(sizes, want) {
		t.Errorf("packets of %d, want %d", sizes, want)
	}
}

// The limit is for the whole packet, and is looked at before the packet is there.
func TestNext_Limit(t *testing.T) {
	in := wire(0x30, str("a"), make([]byte, 200))
	if _, n, _, err := mqttproto.Next(in, v4, len(in)); n != len(in) || err != nil {
		t.Errorf("at the limit: %d, %v", n, err)
	}
	if _, _, _, err := mqttproto.Next(in[:3], v4, len(in)-1); !errors.Is(err, mqttproto.ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
}

// Text is valid wherever in it the byte is that makes it so.
func TestValidText(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte{'x'}, n)
				b[at] = byte(c)
				if got, want := mqttproto.ValidText(b), utf8.Valid(b) && c != 0; got != want {
					t.Fatalf("%q: %v", b, got)
				}
			}
		}
	}
	for s, want := range map[string]bool{"éééé\x01": true, "é\x00": false, "12345678é": true, "1234567\xc3": false, "\xed\xa0\x80": false, "\ufeff": true} {
		if got := mqttproto.ValidText([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
