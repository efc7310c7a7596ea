package mqttproto_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"edgeloop/mqttproto"
)

var (
	old = mqttproto.Peer{Version: v4}
	now = mqttproto.Peer{Version: v5}
)

func reasonProps(code string) *mqttproto.Properties {
	var p mqttproto.Properties
	p.AddString(mqttproto.PropReasonString, code)
	return &p
}

// Each packet that a server sends, byte by byte.
func TestAppend(t *testing.T) {
	var offer mqttproto.Properties
	offer.AddUint(mqttproto.PropReceiveMaximum, 64)
	offer.AddUint(mqttproto.PropRetainAvailable, 0)
	offer.AddUint(mqttproto.PropMaximumPacket, 1<<20)
	offer.AddString(mqttproto.PropAssignedClientID, "id")
	offer.AddUserString("k", "v")
	var method mqttproto.Properties
	method.AddText(mqttproto.PropAuthMethod, []byte("m"))
	list := [][]byte{prop(33, u16(64)), prop(37, raw(0)), prop(39, u32(1<<20)), prop(18, str("id")), prop(38, str("k"), str("v"))}
	codes := []mqttproto.ReasonCode{1, mqttproto.ReasonNotAuthorized}
	for _, c := range []struct {
		tags, name string
		got, want  []byte
	}{
		{"[MQTT-3.2.2-1]", "CONNACK", mqttproto.AppendConnack(nil, now, true, 0, &offer), wire(0x20, raw(1, 0), props(list...))},
		{"[MQTT-2.2.2-1]", "CONNACK without properties", mqttproto.AppendConnack(nil, now, false, 0, nil), raw(0x20, 3, 0, 0, 0)},
		{"[MQTT-3.2.2-6]", "no session with a refusal", mqttproto.AppendConnack(nil, now, true, 0x87, nil), raw(0x20, 3, 0, 0x87, 0)},
		{"", "CONNACK of 3.1.1", mqttproto.AppendConnack(nil, old, true, 0, &offer), raw(0x20, 2, 1, 0)},
		{"[MQTT-3.1.2-2]", "version", mqttproto.AppendConnack(nil, old, false, mqttproto.ReasonUnsupportedVersion, nil), raw(0x20, 2, 0, 1)},
		{"[MQTT-3.1.3-8]", "client identifier", mqttproto.AppendConnack(nil, old, false, mqttproto.ReasonClientIDInvalid, nil), raw(0x20, 2, 0, 2)},
		{"", "busy", mqttproto.AppendConnack(nil, old, false, mqttproto.ReasonServerBusy, nil), raw(0x20, 2, 0, 3)},
		{"", "credentials", mqttproto.AppendConnack(nil, old, false, mqttproto.ReasonBadCredentials, nil), raw(0x20, 2, 0, 4)},
		{"", "banned", mqttproto.AppendConnack(nil, old, false, mqttproto.ReasonBanned, nil), raw(0x20, 2, 0, 5)},
		{"[MQTT3-3.2.2-6]", "no code in 3.1.1", mqttproto.AppendConnack(nil, old, false, mqttproto.ReasonMalformedPacket, nil), nil},
		{"[MQTT-2.2.1-5]", "PUBACK", mqttproto.AppendAck(nil, now, mqttproto.PUBACK, 258, 0, nil), raw(0x40, 2, 1, 2)},
		{"", "PUBACK with a reason", mqttproto.AppendAck(nil, now, mqttproto.PUBACK, 258, 0x10, nil), raw(0x40, 4, 1, 2, 0x10, 0)},
		{"", "PUBREC with a text", mqttproto.AppendAck(nil, now, mqttproto.PUBREC, 1, 0x97, reasonProps("full")), wire(0x50, u16(1), raw(0x97), props(prop(31, str("full"))))},
		{"[MQTT-3.6.1-1]", "PUBREL", mqttproto.AppendAck(nil, old, mqttproto.PUBREL, 1, 0, nil), raw(0x62, 2, 0, 1)},
		{"[MQTT3-3.3.5-2]", "no failure in 3.1.1", mqttproto.AppendAck(nil, old, mqttproto.PUBACK, 1, 0x87, nil), nil},
		{"", "PUBCOMP of 3.1.1", mqttproto.AppendAck(nil, old, mqttproto.PUBCOMP, 1, 0x92, nil), raw(0x70, 2, 0, 1)},
		{"[MQTT-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.8.4-7]", "SUBACK", mqttproto.AppendSuback(nil, now, 5, codes, nil), raw(0x90, 5, 0, 5, 0, 1, 0x87)},
		{"", "SUBACK of 3.1.1", mqttproto.AppendSuback(nil, old, 5, codes, nil), raw(0x90, 4, 0, 5, 1, 0x80)},
		{"[MQTT-3.10.4-5]", "UNSUBACK", mqttproto.AppendUnsuback(nil, now, 5, []mqttproto.ReasonCode{0x11}, nil), raw(0xb0, 4, 0, 5, 0, 0x11)},
		{"", "UNSUBACK of 3.1.1", mqttproto.AppendUnsuback(nil, old, 5, []mqttproto.ReasonCode{0x11}, nil), raw(0xb0, 2, 0, 5)},
		{"[MQTT-3.12.4-1]", "PINGRESP", mqttproto.AppendPingresp(nil), raw(0xd0, 0)},
		{"[MQTT-3.14.4-1]", "DISCONNECT", mqttproto.AppendDisconnect(nil, now, mqttproto.ReasonSessionTakenOver, nil), raw(0xe0, 2, 0x8e, 0)},
		{"", "no DISCONNECT in 3.1.1", mqttproto.AppendDisconnect(nil, old, mqttproto.ReasonSessionTakenOver, nil), nil},
		{"[MQTT-4.12.0-5]", "AUTH", mqttproto.AppendAuth(nil, now, 0x18, &method), wire(0xf0, raw(0x18), props(prop(21, str("m"))))},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s %s\ngot  %x\nwant %x", c.tags, c.name, c.got, c.want)
		}
	}
}

func TestAppendPublish(t *testing.T) {
	m := mqttproto.Publish{Topic: []byte("a/b"), Payload: []byte("xy"), ID: 258, QoS: 1, Dup: true, Retain: true, Alias: 3}
	m.Properties.AddUserString("b", "1")
	m.Properties.AddUserString("a", "2")
	m.Properties.AddUint(mqttproto.PropSubscriptionID, 300)
	list := [][]byte{prop(38, str("b"), str("1")), prop(38, str("a"), str("2")), prop(11, raw(0xac, 2)), prop(35, u16(3))}
	want := wire(0x3b, str("a/b"), u16(258), props(list...), tail("xy")) // [MQTT-3.3.2-17] [MQTT-3.3.2-18]
	if got, ok := mqttproto.AppendPublish(nil, now, &m); !ok || !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if got, ok := mqttproto.AppendPublish(nil, old, &m); !ok || !bytes.Equal(got, wire(0x3b, str("a/b"), u16(258), tail("xy"))) {
		t.Errorf("3.1.1: %x", got)
	}
	// QoS 0 has neither identifier nor DUP. [MQTT-2.2.1-2] [MQTT-3.3.1-2] [MQTT-4.3.1-1]
	zero := mqttproto.Publish{Topic: []byte("a"), ID: 1, Dup: true}
	if got, ok := mqttproto.AppendPublish(nil, now, &zero); !ok || !bytes.Equal(got, wire(0x30, str("a"), raw(0))) {
		t.Errorf("QoS 0: %x", got)
	}
	// Too large for the client, by one byte. [MQTT-3.1.2-24] [MQTT-3.1.2-25]
	small := mqttproto.Peer{Version: v5, MaxPacket: uint32(len(want))}
	if _, ok := mqttproto.AppendPublish(nil, small, &m); !ok {
		t.Error("refused at the limit")
	}
	small.MaxPacket--
	if got, ok := mqttproto.AppendPublish([]byte("x"), small, &m); ok || string(got) != "x" {
		t.Errorf("over the limit: %v %x", ok, got)
	}
	// What a publisher sent goes on unaltered. [MQTT-3.3.2-4] [MQTT-3.3.2-15]
	// [MQTT-3.3.2-16] [MQTT-3.3.2-20]
	in := wire(0x30, str("a"), props(prop(1, raw(1)), prop(8, str("r")), prop(9, str("\x00")), prop(3, str("c"))), tail("p"))
	from, err := mqttproto.DecodePublish(cut(t, in, v5), v5, 0)
	if got, _ := mqttproto.AppendPublish(nil, now, &from); err != nil || !bytes.Equal(got, in) {
		t.Errorf("%v\ngot  %x\nwant %x", err, got, in)
	}
}

// What is for people to read is left out for a client that does not want it, and where it
// would make the packet too large; what is for the program stays. [MQTT-3.1.2-29]
// [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
// [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2]
// [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2]
// [MQTT-3.15.2-3]
func TestAppend_LeavesOutWhatIsOptional(t *testing.T) {
	var p mqttproto.Properties
	p.AddString(mqttproto.PropReasonString, "why")
	p.AddUint(mqttproto.PropServerKeepAlive, 60)
	p.AddUserString("k", "v")
	keep := props(prop(19, u16(60)))
	codes := []mqttproto.ReasonCode{0}
	packets := map[string]func(to mqttproto.Peer) []byte{
		"PUBACK":     func(to mqttproto.Peer) []byte { return mqttproto.AppendAck(nil, to, mqttproto.PUBACK, 1, 0x10, &p) },
		"PUBREC":     func(to mqttproto.Peer) []byte { return mqttproto.AppendAck(nil, to, mqttproto.PUBREC, 1, 0x10, &p) },
		"PUBREL":     func(to mqttproto.Peer) []byte { return mqttproto.AppendAck(nil, to, mqttproto.PUBREL, 1, 0x92, &p) },
		"PUBCOMP":    func(to mqttproto.Peer) []byte { return mqttproto.AppendAck(nil, to, mqttproto.PUBCOMP, 1, 0x92, &p) },
		"SUBACK":     func(to mqttproto.Peer) []byte { return mqttproto.AppendSuback(nil, to, 1, codes, &p) },
		"UNSUBACK":   func(to mqttproto.Peer) []byte { return mqttproto.AppendUnsuback(nil, to, 1, codes, &p) },
		"CONNACK":    func(to mqttproto.Peer) []byte { return mqttproto.AppendConnack(nil, to, false, 0, &p) },
		"DISCONNECT": func(to mqttproto.Peer) []byte { return mqttproto.AppendDisconnect(nil, to, 0x8b, &p) },
		"AUTH":       func(to mqttproto.Peer) []byte { return mqttproto.AppendAuth(nil, to, 0x18, &p) },
	}
	for name, packet := range packets {
		full := packet(now)
		if !bytes.Contains(full, []byte("why")) {
			t.Errorf("%s: %x, want the reason in it", name, full)
		}
		fits := packet(mqttproto.Peer{Version: v5, MaxPacket: uint32(len(full))})
		if !bytes.Equal(fits, full) {
			t.Errorf("%s at the limit: %x, want %x", name, fits, full)
		}
		small := packet(mqttproto.Peer{Version: v5, MaxPacket: uint32(len(full) - 1)})
		if bytes.Contains(small, []byte("why")) || !bytes.Contains(small, keep) {
			t.Errorf("%s over the limit: %x, want %x and no more in it", name, small, keep)
		}
		if tiny := packet(mqttproto.Peer{Version: v5, MaxPacket: uint32(len(small) - 1)}); len(tiny) != 0 { // [MQTT-3.1.2-24]
			t.Errorf("%s that cannot be made small enough: %x", name, tiny)
		}
		terse := packet(mqttproto.Peer{Version: v5, Terse: true})
		if always := name == "CONNACK" || name == "DISCONNECT"; always != bytes.Equal(terse, full) || !always && !bytes.Equal(terse, small) {
			t.Errorf("%s without problem information: %x", name, terse)
		}
	}
}

// A text that is too long is cut at the end of a character.
func TestProperties_LongText(t *testing.T) {
	var p mqttproto.Properties
	p.AddString(mqttproto.PropReasonString, strings.Repeat("é", 40_000))
	if got := p.Bytes(mqttproto.PropReasonString); len(got) != 65_534 || !mqttproto.ValidText(got) {
		t.Errorf("%d bytes, valid %v", len(got), mqttproto.ValidText(got))
	}
	p.Reset(nil)
	p.AddUser([]byte("k"), bytes.Repeat([]byte("x"), 70_000))
	if got := show(&p); len(got) != 1 || len(got[0]) != len("38=0,k,")+65_535 {
		t.Errorf("%d properties", len(got))
	}
}

// Every reason code has a name of its own, and a packet that carries it. [MQTT-3.2.2-8]
func TestReasonCode(t *testing.T) {
	var names []string
	for r := range 256 {
		r := mqttproto.ReasonCode(r)
		used := false
		for typ := mqttproto.CONNECT; typ <= mqttproto.AUTH; typ++ {
			used = used || r.AllowedIn(typ)
		}
		if known := r.String() != "reserved"; known != used {
			t.Errorf("%#x %v: carried by a packet: %v", byte(r), r, used)
		} else if known {
			names = append(names, r.String())
		}
	}
	if slices.Sort(names); len(names) != 43 || len(slices.Compact(names)) != 43 {
		t.Errorf("%d codes: %q", len(names), names)
	}
}

// A packet of any size has its length in the shortest form, is read back whole, and is
// refused by a limit one byte below it, on either side. [MQTT-1.5.5-1]
func TestAppendPublish_Sizes(t *testing.T) {
	for _, remaining := range []int{3, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152} {
		m := mqttproto.Publish{Topic: []byte("a"), Payload: make([]byte, remaining-3)}
		out, ok := mqttproto.AppendPublish(nil, old, &m)
		head := append([]byte{0x30}, length(remaining)...)
		if !ok || len(out) != len(head)+remaining || !bytes.HasPrefix(out, head) {
			t.Fatalf("%d: %d bytes that begin with %x, want %x", remaining, len(out), out[:5], head)
		}
		p, n, _, err := mqttproto.Next(out, v5, len(out))
		if n != len(out) || err != nil || len(p.Body) != remaining {
			t.Errorf("%d: %d bytes, %v", remaining, n, err)
		}
		if _, _, _, err := mqttproto.Next(out, v5, len(out)-1); !errors.Is(err, mqttproto.ErrTooLarge) {
			t.Errorf("%d over the limit: %v", remaining, err)
		}
		if _, ok := mqttproto.AppendPublish(nil, mqttproto.Peer{Version: v4, MaxPacket: uint32(len(out) - 1)}, &m); ok {
			t.Errorf("%d: more is sent than the client takes", remaining)
		}
		if _, ok := mqttproto.AppendPublish(nil, mqttproto.Peer{Version: v4, MaxPacket: uint32(len(out))}, &m); !ok {
			t.Errorf("%d: less is sent than the client takes", remaining)
		}
	}
}

func TestType_String(t *testing.T) {
	for typ, want := range map[mqttproto.Type]string{0: "reserved", mqttproto.CONNECT: "CONNECT", mqttproto.AUTH: "AUTH", 16: "reserved"} {
		if got := typ.String(); got != want {
			t.Errorf("%d: %s", typ, got)
		}
	}
}
