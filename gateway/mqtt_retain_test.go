package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"edgeloop/gateway"
)

// memRetainer notes what it is told.
type memRetainer struct {
	mu sync.Mutex
	// Guarded by mu.
	asked        []string
	full         bool
	begun, ended int
}

func (r *memRetainer) Room(tenant, device string, topic []byte, payload, _ int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, fmt.Sprintf("%s/%s %s %d", tenant, device, topic, payload))
	return !r.full
}

func (r *memRetainer) Begun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
}

func (r *memRetainer) Ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
}

// want compares how many records were to be retained, all of which are durable.
func (r *memRetainer) want(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun != n || r.ended != n {
		t.Errorf("%d records begun and %d ended, want %d", r.begun, r.ended, n)
	}
}

// retained is a PUBLISH with RETAIN and an empty payload where that is "".
func (c *client) retained(id uint16, payload string) []byte {
	p := c.publishOf(id, "t", payload)
	p[0] |= 1
	return p
}

// What is published to be retained is a record that says so, and whoever retains hears of it before
// it is acknowledged. CONNACK does not say that retaining is not offered. [MQTT-3.3.1-5] [MQTT-3.2.2-14]
func TestMQTTRetain(t *testing.T) {
	t.Parallel()
	r := &memRetainer{}
	n := startNode(t, &memLog{}, gateway.Config{Retainer: r})
	raw := n.mqtt(true)
	raw.send(connectOf(5, 2, 60, "", "raw"))
	if ack := raw.read(); bytes.Contains(ack, []byte("\x25\x00")) {
		t.Errorf("CONNACK % x says that nothing is retained", ack)
	}
	for i, v5 := range []bool{false, true} {
		c := n.mqttDevice("d", v5)
		c.send(c.retained(1, "x"), c.publishOf(2, "t", "plain"), c.retained(3, ""))
		for id := range byte(3) {
			c.want("PUBACK", 0x40, 2, 0, id+1)
		}
		r.want(t, 2*(i+1))
		c.leave()
	}
	var got []string
	for _, s := range n.log.of("d") {
		got = append(got, fmt.Sprint(s.data, s.retain))
	}
	if want := "[xtrue plainfalse true xtrue plainfalse true]"; fmt.Sprint(got) != want {
		t.Errorf("the log has %v, want %s", got, want)
	}
	if want := "[default/d t 1 default/d t 0 default/d t 1 default/d t 0]"; fmt.Sprint(r.asked) != want {
		t.Errorf("asked %v, want %s", r.asked, want)
	}
}

// Where there is no room a client of 5.0 hears 0x97, and its message is not stored. Whoever cannot
// be told has it stored: QoS 0, 3.1.1, a Will.
func TestMQTTRetain_Full(t *testing.T) {
	t.Parallel()
	r := &memRetainer{full: true}
	n := startNode(t, &memLog{}, gateway.Config{Retainer: r})
	c := n.mqttDevice("five", true)
	twice := c.retained(2, "qos2")
	twice[0] = 0x35
	c.send(c.retained(1, "qos1"), twice, c.retained(0, "qos0"), c.publishOf(3, "t", "plain"))
	c.want("PUBACK", 0x40, 4, 0, 1, 0x97, 0)
	c.want("PUBREC", 0x50, 4, 0, 2, 0x97, 0)
	c.want("PUBACK", 0x40, 2, 0, 3)
	if got := n.dataOf("five"); fmt.Sprint(got) != "[qos0 plain]" {
		t.Errorf("the log has %v", got)
	}
	old := n.mqttDevice("three", false)
	old.send(old.retained(1, "qos1"))
	old.want("PUBACK", 0x40, 2, 0, 1)
	r.want(t, 2)
	for _, delay := range []uint32{0, 1} {
		name := fmt.Sprint("will", delay)
		w := n.mqtt(true)
		head := append(text("MQTT"), 5, 4|1<<3|2|1<<5, 0, 60) // a Will of QoS 1, retained
		head = append(binary.BigEndian.AppendUint32(append(head, 5, 17), hour), text(name)...)
		head = binary.BigEndian.AppendUint32(append(head, 5, 24), delay)
		w.send(packet(0x10, head, text("state"), text(`"gone"`)))
		if ack := w.read(); ack[3] != 0 {
			t.Fatalf("CONNECT was answered % x", ack)
		}
		_ = w.conn.Close()
		n.until("the Will", func() bool { all := n.log.of(name); return len(all) == 1 && all[0].retain })
	}
	if got := n.gateway.Stats().Drops[gateway.DropRetainFull]; got != 6 {
		t.Errorf("%d are counted, want 6", got)
	}
}

// A node that retains nothing says so, and stores what 3.1.1 wants retained as it does others.
// [MQTT-3.2.2-13] [MQTT-3.2.2-14]
func TestMQTTRetain_NotOffered(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	old := n.mqttDevice("d", false)
	old.send(old.retained(1, "x"))
	old.want("PUBACK", 0x40, 2, 0, 1)
	if got := n.log.of("d"); len(got) != 1 || got[0].retain {
		t.Errorf("the log has %+v", got)
	}
	c := n.mqttDevice("e", true)
	c.send(c.retained(1, "x"))
	c.wantEnd(0x9a)
}
