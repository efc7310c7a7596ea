package mqttapi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/internal/testkit"
)

// addExpiring appends a message that came some time ago and expires.
func (n *node) addExpiring(payload string, ago time.Duration, seconds uint32) {
	n.Helper()
	n.seq++
	backbonetest.Append(n, n.log, []backbone.Record{{
		Tenant: "acme", Device: "meter", Epoch: 1, Seq: n.seq, Type: "telemetry", Topic: []byte("t/x"),
		Received: time.Now().Add(-ago).UnixMilli(), Data: []byte(payload), MQTT: 2, Properties: fmt.Appendf(nil, `{"message_expiry":%d}`, seconds),
	}})
}

// expiryIn is the Message Expiry Interval among properties.
func expiryIn(props []byte) (seconds uint32) {
	if _, rest, ok := bytes.Cut(props, []byte{2, 0, 0}); ok && len(rest) >= 2 {
		return uint32(binary.BigEndian.Uint16(rest))
	}
	return 0
}

// A message that has expired is given to nobody, live or in a group. Of another one a client of 5.0
// hears for how much longer it lasts. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func TestMessage_Expiry(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	app, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	app.subscribe(1, "t/#")
	old, _ := n.enter(hello{id: "old", token: tokenAcme, clean: true, v311: true})
	old.subscribe(1, "t/#")
	member := n.member(hello{id: "member", clean: true}, 1, true)
	for i, over := range []bool{true, false, true, false} {
		payload := fmt.Sprint(i)
		if over {
			n.addExpiring(payload, time.Minute, uint32(i)*20) //nolint:gosec // small
			continue
		}
		n.addExpiring(payload, time.Minute, 10_000)
		old.ack(old.want("t/x", payload))
		m := app.want("t/x", payload)
		app.ack(m)
		for _, m := range []message{m, testkit.Receive(t, patience, "the message of the group", member.heard)} {
			if got := expiryIn(m.props); m.payload != payload || got > 9_940 || got < 9_940-uint32(patience/time.Second) {
				t.Errorf("%q lasts for %d s, properties %q", m.payload, got, m.props)
			}
		}
	}
}

// A message that waits for its subscriber expires all the same, and one that does not lasts as long as
// it does when its turn has come. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func TestMessage_ExpiresWhileItWaits(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	app, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 1})
	app.subscribe(1, "t/#")
	later := func(since time.Time) {
		testkit.Eventually(t, patience, "a second to pass", func() bool { return time.Since(since) >= time.Second })
	}
	n.addExpiring("1", 0, 10_000)
	open := app.want("t/x", "1")
	n.addExpiring("2", 0, 10_000)
	later(time.Now())
	app.ack(open)
	open = app.want("t/x", "2")
	if got := expiryIn(open.props); got > 9_999 || got < 9_999-uint32(patience/time.Second) {
		t.Errorf("it lasts for %d s", got)
	}
	n.addExpiring("3", 0, 1)
	n.addExpiring("4", 0, 10_000)
	later(time.Now())
	app.ack(open)
	app.want("t/x", "4")
}

// What is retained and has expired is given to nobody. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func TestRetained_Expiry(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	for topic, seconds := range map[string]int{"t/1": 59, "t/2": 10_000, "t/3": 0} {
		line := fmt.Sprintf(`{"tenant":"acme","device":"meter","type":"telemetry","topic":%q,"received":%d,"qos":1,"retain":true,"properties":{"message_expiry":%d},"data":1}`,
			topic, time.Now().Add(-time.Minute).UnixMilli(), seconds)
		n.table.Reserve("acme", topic, len(line))
		n.table.Retain("acme", topic, true, 0, []byte(line))
	}
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	if got, want := n.retained(c, 0, "t/#"), "t/2=1/0/true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
