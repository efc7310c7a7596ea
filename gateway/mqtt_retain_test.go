package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// memRetainer notes what it is told.
type memRetainer struct {
	heard func(device, topic string) string // nil: as published

	mu sync.Mutex
	// Guarded by mu.
	asked    []string
	full     bool
	reserved map[string]int // by tenant and topic
	placed   []string       // what Retain was told
}

func (r *memRetainer) Topic(device, topic string) string {
	if r.heard == nil {
		return topic
	}
	return r.heard(device, topic)
}

func (r *memRetainer) Reserve(tenant, topic string, size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, tenant+" "+topic)
	if r.full || size < 1 {
		return false
	}
	if r.reserved == nil {
		r.reserved = map[string]int{}
	}
	r.reserved[tenant+" "+topic]++
	return true
}

func (r *memRetainer) GiveBack(tenant, topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved[tenant+" "+topic]--
}

func (r *memRetainer) Retain(tenant, topic string, reserved bool, position uint64, _ []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reserved {
		r.reserved[tenant+" "+topic]--
	}
	r.placed = append(r.placed, fmt.Sprint(tenant, " ", topic, " ", reserved, "@", position))
}

// settled compares what it was told of records, and that nothing is reserved any more.
func (r *memRetainer) settled(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := fmt.Sprint(r.placed); got != fmt.Sprint(want) {
		t.Errorf("it was told %s, want %s", got, want)
	}
	for of, n := range r.reserved {
		if n != 0 {
			t.Errorf("%d are reserved for %s", n, of)
		}
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
	var want []string
	for i, v5 := range []bool{false, true} {
		c := n.mqttDevice("d", v5)
		c.send(c.retained(1, "x"), c.publishOf(2, "t", "plain"), c.retained(3, ""))
		for id := range byte(3) {
			c.want("PUBACK", 0x40, 2, 0, id+1)
		}
		want = append(want, fmt.Sprint("default t true@", 1+3*i), fmt.Sprint("default t false@", 3+3*i))
		r.settled(t, want...)
		c.leave()
	}
	var got []string
	for _, s := range n.log.of("d") {
		got = append(got, fmt.Sprint(s.data, s.retain))
	}
	if want := "[xtrue plainfalse true xtrue plainfalse true]"; fmt.Sprint(got) != want {
		t.Errorf("the log has %v, want %s", got, want)
	}
	if want := "[default t default t]"; fmt.Sprint(r.asked) != want {
		t.Errorf("asked %v, want %s: nothing that has no payload", r.asked, want)
	}
}

// leaveWill has a device leave a Will of QoS 1 with a delay in seconds, and waits for its record.
func (n *node) leaveWill(device string, delay int, retain bool) {
	n.Helper()
	flags := byte(4 | 1<<3 | 2)
	if retain {
		flags |= 1 << 5
	}
	c := n.mqtt(true)
	head := append(text("MQTT"), 5, flags, 0, 60)
	head = append(binary.BigEndian.AppendUint32(append(head, 5, 17), hour), text(device)...)
	head = binary.BigEndian.AppendUint32(append(head, 5, 24), uint32(delay)) //nolint:gosec // a few
	c.send(packet(0x10, head, text("state"), text(`"gone"`)))
	if ack := c.read(); ack[3] != 0 {
		n.Fatalf("CONNECT was answered % x", ack)
	}
	_ = c.conn.Close()
	n.until("the Will", func() bool { all := n.log.of(device); return len(all) == 1 && all[0].retain == retain })
}

// A message is retained under the topic at which subscribers find it, so that no device takes the
// place of another's: by a PUBLISH and by a Will, also where its room is given back.
func TestMQTTRetain_Topic(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	r := &memRetainer{heard: func(device, topic string) string { return device + ":" + topic }}
	n := startNode(t, &memLog{before: func([]backbone.Record) error {
		if fails.Load() {
			return backbone.ErrClosed
		}
		return nil
	}}, gateway.Config{Retainer: r})
	for _, v5 := range []bool{false, true} {
		for _, device := range []string{"evil", "victim"} {
			c := n.mqttDevice(device, v5)
			c.send(c.retained(1, "x"), c.retained(2, ""))
			c.want("PUBACK", 0x40, 2, 0, 1)
			c.want("PUBACK", 0x40, 2, 0, 2)
			c.leave()
		}
	}
	for delay := range 2 {
		n.leaveWill(fmt.Sprint("will", delay), delay, true)
	}
	fails.Store(true)
	c := n.mqttDevice("late", true)
	c.send(c.retained(1, "x"))
	_, _ = io.Copy(io.Discard, c.conn) // until it ends
	n.until("nothing to be reserved", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n, asked := r.reserved["default late:t"]
		return asked && n == 0
	})
	r.settled(t, "default evil:t true@1", "default evil:t false@2", "default victim:t true@3", "default victim:t false@4",
		"default evil:t true@5", "default evil:t false@6", "default victim:t true@7", "default victim:t false@8", "default will0:state true@9", "default will1:state true@10")
}

// Where there is no room a client of 5.0 hears 0x97, and its message is not stored. Whoever cannot
// be told has it stored: QoS 0, 3.1.1, a Will that is to be retained. [MQTT-3.1.2-14] [MQTT-3.1.2-15]
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
	r.settled(t, "default t false@1", "default t false@3")
	for delay, retain := range []bool{true, true, false} {
		n.leaveWill(fmt.Sprint("will", delay), delay, retain)
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

// Room that was kept for what does not come to the log is given back: where the token does not
// allow the topic none is kept, nor where the log has the message already; where a worker panics
// and where the log is closed it is given back.
func TestMQTTRetain_GivenBack(t *testing.T) {
	t.Parallel()
	for what, fails := range map[string]func() error{
		"panic":  func() error { panic("injected") },
		"closed": func() error { return backbone.ErrClosed },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := &memRetainer{}
			var tries atomic.Int32
			n := startNode(t, &memLog{before: func([]backbone.Record) error {
				if tries.Add(1) <= 2 { // with its neighbours, then alone
					return fails()
				}
				return nil
			}}, gateway.Config{Retainer: r})
			for tries.Load() < 2 {
				c := n.mqttDevice("d", true)
				c.send(c.retained(1, "x"), c.retained(2, "y"))
				_, _ = io.Copy(io.Discard, c.conn) // until it ends
			}
			n.until("nothing to be reserved", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.reserved["default t"] == 0 && len(r.asked) >= 2
			})
			r.settled(t)
			c := n.mqttDevice("d", true)
			c.send(c.retained(3, "z"))
			c.want("PUBACK", 0x40, 2, 0, 3)
			r.settled(t, "default t true@1")
		})
	}
}

// numbered is a PUBLISH of 5.0 to be retained, of QoS 1 and with a sequence.
func numbered(id byte, seq string) []byte {
	props := append([]byte{38}, append(text("seq"), text(seq)...)...)
	return packet(0x33, text("t"), []byte{0, id}, append([]byte{byte(len(props))}, props...), []byte(seq))
}

// plain is it without RETAIN.
func plain(p []byte) []byte {
	p[0] &^= 1
	return p
}

// After a sequence that was refused because there is no room to retain it no higher one is taken until
// that comes again: else it would be a duplicate then, acknowledged and nowhere. Where it is so far
// off that it cannot be remembered the connection ends. Each is counted once.
func TestMQTTRetain_FullOfSequences(t *testing.T) {
	t.Parallel()
	r := &memRetainer{}
	n := startNode(t, &memLog{}, gateway.Config{Retainer: r})
	full := func(yes bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.full = yes
	}
	c := n.mqttDevice("d", true)
	c.send(numbered(1, "4"))
	c.want("PUBACK", 0x40, 2, 0, 1)
	full(true)
	c.send(numbered(2, "6"), numbered(3, "5"), plain(numbered(4, "6")), numbered(5, "7"))
	for id := range byte(4) {
		c.want("PUBACK", 0x40, 4, 0, id+2, 0x97, 0)
	}
	full(false)
	c.send(plain(numbered(6, "6")), numbered(7, "5"), plain(numbered(8, "6")), numbered(9, "5"))
	c.want("PUBACK", 0x40, 4, 0, 6, 0x97, 0)
	for id := range byte(3) {
		c.want("PUBACK", 0x40, 2, 0, id+7)
	}
	full(true)
	c.send(numbered(10, "262"))
	c.wantEnd(0x97)
	d := n.mqttDevice("d", true)
	d.send(numbered(1, "261"), plain(numbered(2, "262")), plain(numbered(3, "7")), plain(numbered(4, "262")))
	for id, code := range []byte{0x97, 0x97, 0, 0} {
		if code == 0 {
			d.want("PUBACK", 0x40, 2, 0, byte(id)+1)
		} else {
			d.want("PUBACK", 0x40, 4, 0, byte(id)+1, code, 0)
		}
	}
	if got := n.dataOf("d"); fmt.Sprint(got) != "[4 5 6 7 262]" {
		t.Errorf("the log has %v", got)
	}
	drops := n.gateway.Stats().Drops
	if got, want := [...]uint64{drops[gateway.DropRetainFull], drops[gateway.DropQuotaStored], drops[gateway.DropDuplicate]}, [...]uint64{5, 3, 1}; got != want {
		t.Errorf("%d are counted, want %d", got, want)
	}
}

// A message with a sequence that the log has already is acknowledged, also where there is no room,
// and no room is kept for it; nor for one that is refused for another reason.
func TestMQTTRetain_Again(t *testing.T) {
	t.Parallel()
	r := &memRetainer{}
	n := startNode(t, &memLog{}, gateway.Config{Retainer: r})
	c := n.mqttDevice("d", true)
	c.send(numbered(1, "1"), numbered(9, "9000000000000000"))
	c.want("PUBACK", 0x40, 2, 0, 1)
	if p := c.read(); p[0] != 0x40 || p[4] < 0x80 {
		t.Errorf("a sequence that is far off is answered % x", p)
	}
	r.mu.Lock()
	r.full = true
	r.mu.Unlock()
	c.send(numbered(2, "1"))
	c.want("PUBACK", 0x40, 2, 0, 2)
	r.settled(t, "default t true@1")
	if len(r.asked) != 2 {
		t.Errorf("asked %v", r.asked)
	}
}
