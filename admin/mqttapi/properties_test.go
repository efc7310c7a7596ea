package mqttapi_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/internal/testkit"
)

// user is a user property.
func user(name, value string) string { return "\x26" + string(text(name)) + string(text(value)) }

// addWith appends a message of a device by MQTT 5, with QoS 1.
func (n *node) addWith(payload, properties string) {
	n.Helper()
	n.seq++
	backbonetest.Append(n, n.log, []backbone.Record{{
		Tenant: "acme", Device: "meter", Epoch: 1, Seq: n.seq, Type: "telemetry", Topic: []byte("t/x"), Received: 5,
		Data: []byte(payload), Base64: true, MQTT: 2, Properties: []byte(properties),
	}})
}

// What a device sent beside its payload reaches a subscriber of 5.0, in a group or not, as it was:
// also what is empty, what repeats, and in its order. The node speaks for itself, once, whatever a
// device calls its own; of who sent nothing there is nothing. [MQTT-3.3.2-4] [MQTT-3.3.2-15]
// [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
func TestMessage_Properties(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	app, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	app.subscribe(1, "t/#")
	old, _ := n.enter(hello{id: "old", token: tokenAcme, clean: true, v311: true})
	old.subscribe(1, "t/#")
	member := n.member(hello{id: "member", clean: true}, 1, true)
	for i, one := range []struct{ kept, want string }{
		{"", ""},
		{`{"payload_format":0}`, "\x01\x00"},
		{
			`{"payload_format":1,"content_type":"text/plain","response_topic":"r/1","correlation_data":"AP8=","user":[["b","2"],["a","1"],["","ü\u0001"],["b","2"]]}`,
			"\x01\x01\x03" + string(text("text/plain")) + "\x08" + string(text("r/1")) + "\x09" + string(text("\x00\xff")) + user("b", "2") + user("a", "1") + user("", "ü\x01") + user("b", "2"),
		},
		{`{"content_type":"","correlation_data":""}`, "\x03\x00\x00\x09\x00\x00"},
		{
			`{"user":[["device","other"],["Device","mine"],["position","x-1"],["missed","9"],["type","alert"],["seq","1000"]]}`,
			user("Device", "mine"),
		},
	} {
		n.addWith("1", one.kept)
		old.ack(old.want("t/x", "1"))
		direct := app.want("t/x", "1")
		app.ack(direct)
		shared := testkit.Receive(t, patience, "the message of the group", member.heard)
		for _, m := range []message{direct, shared} {
			begin := user("device", "meter") + user("type", "telemetry") + user("seq", string(rune('1'+i))) + "\x26" + string(text("position"))
			rest, ok := bytes.CutPrefix(m.props, []byte(begin))
			position := min(2+int(binary.BigEndian.Uint16(append(rest, 0, 0))), len(rest))
			if !ok || string(rest[position:]) != one.want {
				t.Errorf("of %s there is\n%q, want\n%q, a position, %q", one.kept, m.props, begin, one.want)
			}
		}
	}
}

// A message that is too large for a subscriber, with what the device sent beside it, is as if it
// had been delivered; nothing of it is left out to make it fit. [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func TestMessage_PropertiesTooLarge(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	const largest = 256
	app, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, largest: largest, receive: 1})
	app.subscribe(1, "t/#")
	large := `{"user":[["k","` + strings.Repeat("x", largest) + `"]]}`
	n.addWith("large", large)
	n.addWith("small", `{"user":[["k","v"]]}`)
	if m := app.want("t/x", "small"); !bytes.HasSuffix(m.props, []byte(user("k", "v"))) {
		t.Errorf("properties %q", m.props)
	}
	if got := n.apps.Stats().TooLarge; got != 1 {
		t.Errorf("%d are counted as too large", got)
	}
}
