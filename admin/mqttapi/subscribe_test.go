package mqttapi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// What is not offered is refused with the reason code for it; QoS 2 is granted as 1; and there
// are not more filters than there may be. [MQTT-3.9.3-1] [MQTT-3.8.4-7]
func TestSubscribe_Codes(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	if got := c.subscribe(2, "a", "$share/g/a", "$SYS/#", "$edgeloop/command/#"); !bytes.Equal(got, []byte{1, 1, 0x87, 0x87}) {
		t.Errorf("SUBACK % x", got)
	}
	for i := range 62 {
		if got := c.subscribe(0, fmt.Sprint("f", i)); got[0] != 0 {
			t.Fatalf("filter %d: %#x", i, got[0])
		}
	}
	if got := c.subscribe(0, "more", "f0"); !bytes.Equal(got, []byte{0x97, 0}) {
		t.Errorf("one too many, and one again: % x", got)
	}
	c.send(packet(0xa2, []byte{0, 9, 0}, text("f0"), text("none")))
	if p := c.next(); !bytes.Equal(p, []byte{0xb0, 5, 0, 9, 0, 0, 0x11}) { // [MQTT-3.11.3-1]
		t.Errorf("UNSUBACK % x", p)
	}
	if got := c.subscribe(0, "more"); got[0] != 0 {
		t.Errorf("there is room again: %#x", got[0])
	}
	old, _ := n.enter(hello{id: "old", token: tokenAcme, v311: true, clean: true})
	if got := old.subscribe(1, "a", "$share/g/a"); !bytes.Equal(got, []byte{1, 1}) {
		t.Errorf("SUBACK of 3.1.1 % x", got)
	}
}

// An application does not publish: nothing that it sends becomes a record.
func TestPublish_IsRefused(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	c, _ := n.enter(hello{id: "app", token: tokenAll, clean: true})
	for _, answer := range []byte{0x40, 0x50} {
		c.publish("t", "x", answer>>4-3)
		if code := c.ackOf(answer); code != 0x87 {
			t.Errorf("answered %#x", code)
		}
	}
	old, _ := n.enter(hello{id: "old", token: tokenAll, v311: true, clean: true})
	old.publish("t", "x", 0)
	old.wantEnd(0)
	if end, _ := n.log.Durable(); end != 0 {
		t.Errorf("the log has %d records", end)
	}
}

// A message has the topic that its device gave, QoS no higher than it came with, and in 5.0
// says whose it is and where it lies. Of overlapping filters it comes once, with the highest
// QoS and the identifiers of all. [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.8.4-8]
func TestMessage(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	for i, f := range []string{"a/+", "a/b", "none"} {
		body := append(binary.BigEndian.AppendUint16(nil, uint16(100+i)), 2, 11, byte(i+1)) // subscription identifier
		c.send(packet(0x82, body, text(f), []byte{byte(i)}))
		if p := c.next(); p == nil || p[0] != 0x90 {
			t.Fatalf("SUBACK % x", p)
		}
	}
	n.add("acme", "meter", "a/b", "x")
	m := c.want("a/b", "x")
	if m.qos != 1 || !bytes.Contains(m.props, []byte{11, 1}) || !bytes.Contains(m.props, []byte{11, 2}) || bytes.Contains(m.props, []byte{11, 3}) {
		t.Errorf("QoS %d, properties % x", m.qos, m.props)
	}
	for _, pair := range []string{"device\x00\x05meter", "position\x00"} {
		if !strings.Contains(string(m.props), pair) {
			t.Errorf("properties %q lack %q", m.props, pair)
		}
	}
	backbonetest.Append(t, n.log, []backbone.Record{{Tenant: "acme", Device: "meter", Epoch: 1, Type: "telemetry", Topic: []byte("a/b"), Received: 5, Data: []byte("0"), MQTT: 1}})
	if m := c.want("a/b", "0"); m.qos != 0 {
		t.Errorf("QoS %d of what came with 0", m.qos)
	}
	c.subscribe(1, "devices/#")
	backbonetest.Append(t, n.log, []backbone.Record{{Tenant: "acme", Device: "ws", Epoch: 1, Type: "status", Received: 5, Data: []byte(`{"on":true}`)}})
	if m := c.want("devices/ws/status", `{"on":true}`); m.qos != 1 || !strings.Contains(string(m.props), "application/json") {
		t.Errorf("QoS %d, properties %q", m.qos, m.props)
	}
}

// A client that does not read costs the others nothing, and gets all that it asked for once it
// does.
func TestSlow_CostsItself(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	slow, _ := n.enter(hello{id: "slow", token: tokenAcme, clean: true})
	quick, _ := n.enter(hello{id: "quick", token: tokenAcme, clean: true})
	slow.subscribe(0, "#")
	quick.subscribe(0, "#")
	const many, size = 24, 64 << 10
	payload := strings.Repeat("x", size)
	for i := range many { // more than its sockets hold
		n.add("acme", "d", fmt.Sprint(i), payload)
		quick.want(fmt.Sprint(i), payload)
	}
	for i := range many {
		slow.want(fmt.Sprint(i), payload)
	}
}
