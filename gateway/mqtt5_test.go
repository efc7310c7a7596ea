package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// TestMQTT_Connack: what the node is told in CONNECT and what it offers is in CONNACK.
func TestMQTT_Connack(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Window: 17})
	c := n.mqtt(true)
	c.send(connectOf(5, 2, 0, "\x11\x00\x00\x0e\x10", "")) // no keep alive, a session of an hour, no name
	p := c.read()
	for what, want := range map[string]string{
		"Topic Alias Maximum":        "\x22\x00\x08",
		"user property upto":         "\x26\x00\x04upto\x00\x010",
		"Receive Maximum":            "\x21\x00\x11",
		"Retain Available":           "\x25\x00",
		"Maximum Packet Size":        "\x27\x00\x01\x00\x00",
		"Server Keep Alive":          "\x13\x00\x14",
		"Assigned Client Identifier": "\x12\x00\x1fmqtt-",
		"Shared Subscriptions":       "\x2a\x00",
		"Subscription Identifiers":   "\x29\x00",
	} {
		if !bytes.Contains(p, []byte(want)) {
			t.Errorf("%s: % x is not in % x", what, want, p)
		}
	}
	for what, not := range map[string]string{"Maximum QoS": "\x24\x01", "Session Expiry, though it is as asked for": "\x11\x00\x00"} {
		if bytes.Contains(p, []byte(not)) {
			t.Errorf("%s is in % x", what, p)
		}
	}
}

// sequenced is a PUBLISH of 5.0 and QoS 1 with the user property seq.
func sequenced(id byte, seq, payload string) []byte {
	props := append(append([]byte{0x26}, text("seq")...), text(seq)...)
	return packet(0x32, text("t"), []byte{0, id, byte(len(props))}, props, []byte(payload))
}

// TestMQTT_Sequence: with the user property seq a message is stored once, however often
// it is sent, and PUBACK of one that was sent again waits for the sync as the first would.
// A device that connects is told how far the log is.
func TestMQTT_Sequence(t *testing.T) {
	t.Parallel()
	log := newSteppedLog()
	n := startNodeOn(t, log, gateway.Config{})
	taken := func() int { all, _, _ := log.state(); return len(all) }
	first := n.mqttDevice("d", true)
	first.send(sequenced(1, "5", "5"), sequenced(2, "6", "6"))
	n.until("the log has both, unsynced", func() bool { return taken() == 2 })
	first.send([]byte{0xc0, 0})
	first.want("no PUBACK before the sync", 0xd0, 0)
	second := n.mqttDevice("d", true)
	second.send(sequenced(7, "6", "6"))
	n.until("it is known", func() bool { return n.gateway.Stats().Drops[gateway.DropDuplicate] == 1 })
	second.send(sequenced(8, "7", "7"))
	n.until("the log has the next", func() bool { return taken() == 3 })
	second.send([]byte{0xc0, 0})
	second.want("no PUBACK before the sync", 0xd0, 0)
	log.commit(1)
	second.send([]byte{0xc0, 0})
	second.want("no PUBACK while the first of two is synced", 0xd0, 0)
	log.commit(1)
	second.want("PUBACK", 0x40, 2, 0, 7)
	log.commit(1)
	second.want("PUBACK", 0x40, 2, 0, 8)
	second.send(sequenced(9, "7", "7"))
	second.want("PUBACK of what is synced", 0x40, 2, 0, 9)
	if taken() != 3 {
		t.Errorf("%d are stored", taken())
	}
	third := n.mqtt(true)
	third.send(connectOf(5, 2, 60, "", "d"))
	if p := third.read(); !bytes.Contains(p, []byte("\x00\x04upto\x00\x017")) {
		t.Errorf("CONNACK is %q", p)
	}
}

// TestMQTT_Alias: a topic alias stands for its topic until it stands for another.
// [MQTT-3.3.2-7]
func TestMQTT_Alias(t *testing.T) {
	t.Parallel()
	topics := make(chan string, 3)
	log := &memLog{before: func(records []backbone.Record) error {
		for i := range records {
			topics <- string(records[i].Topic)
		}
		return nil
	}}
	n := startNode(t, log, gateway.Config{})
	c := n.mqttDevice("d", true)
	alias := []byte{3, 0x23, 0, 8}
	c.send(packet(0x30, text("one"), alias), packet(0x30, text(""), alias), packet(0x30, text("two"), alias), packet(0x30, text(""), alias))
	for _, want := range []string{"one", "one", "two", "two"} {
		if got := <-topics; got != want {
			t.Errorf("topic %q, want %q", got, want)
		}
	}
}

// TestMQTT_SmallPackets: a client is sent nothing above its Maximum Packet Size, and who
// sends the command is told. [MQTT-3.1.2-24]
func TestMQTT_SmallPackets(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	c := n.mqtt(true)
	c.send(connectOf(5, 2, 60, "\x27\x00\x00\x00\x80", "d"))
	c.read()
	c.send(packet(0x82, []byte{0, 5, 0}, text("$edgeloop/command/#"), []byte{0}))
	c.want("SUBACK", packet(0x90, []byte{0, 5, 0, 0})...)
	key := devicemgr.Key{Tenant: "default", Device: "d"}
	n.until("a small command goes", func() bool {
		_, out, _, err := n.gateway.Command(context.Background(), key, gateway.Command{Name: "small"})
		return err == nil && out == gateway.OutcomeSent
	})
	_, _, _, err := n.gateway.Command(context.Background(), key, gateway.Command{Name: "large", Data: []byte(`"` + strings.Repeat("x", 100) + `"`)})
	var refused *gateway.CommandError
	if !errors.As(err, &refused) {
		t.Errorf("a large one: %v", err)
	}
}
