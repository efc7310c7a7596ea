package gateway_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// Commands with QoS 1: they stay in the store until the client has sent PUBACK, and come
// again until then.

// keptNode is a node with a store that outlives it.
func keptNode(t *testing.T, log *memLog, store *memStore) *node {
	t.Helper()
	return startNodeOver(t, log, store, gateway.Config{})
}

// subscribeKept asks for commands with a QoS, and wants 1, or less, granted.
func (c *client) subscribeKept(qos byte) {
	c.Helper()
	props := []byte{}
	if c.v5 {
		props = []byte{0}
	}
	c.send(packet(0x82, []byte{0, 5}, props, text("$edgeloop/command/#"), []byte{qos}))
	c.want("SUBACK", packet(0x90, []byte{0, 5}, props, []byte{min(qos, 1)})...)
}

// order sends a command to d without waiting for a reply.
func (n *node) order(name string, want gateway.Outcome) {
	n.Helper()
	_, out, _, err := n.gateway.Command(n.Context(), devicemgr.Key{Tenant: "default", Device: "d"}, gateway.Command{Name: name, TTL: time.Hour})
	if err != nil || out != want {
		n.Fatalf("command %s: %v, %v", name, out, err)
	}
}

// wantCommand reads a command of QoS 1, whose packet identifier it returns.
func (c *client) wantCommand(name string, again bool) uint16 {
	c.Helper()
	first := byte(0x32)
	if again {
		first |= 8
	}
	p := c.read()
	_, n := binary.Uvarint(p[1:])
	body := p[1+n:]
	topic := 2 + int(binary.BigEndian.Uint16(body))
	if p[0] != first || topic > len(body) || !strings.HasSuffix(string(body[:topic]), "/"+name) {
		c.Fatalf("got % x %q, want the command %s, again: %t", p[0], p, name, again)
	}
	return binary.BigEndian.Uint16(body[topic:])
}

// wantNothing says that the node sends nothing: its answer to a ping is the next.
func (c *client) wantNothing(what string) {
	c.Helper()
	c.send([]byte{0xc0, 0})
	c.want(what, 0xd0, 0)
}

func puback(id uint16) []byte { return []byte{0x40, 2, byte(id >> 8), byte(id)} }

// untilNone waits until nothing is left in the store.
func (n *node) untilNone() {
	n.Helper()
	n.until("what is confirmed to leave the store", func() bool { return !n.store.HasCommands("default", "d") })
}

// A command is in the store until it is confirmed. What is for now, or for many, comes with QoS 0.
// [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-2.2.1-4]
func TestMQTTKept_UntilConfirmed(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		for _, qos := range []byte{1, 2} {
			n := keptNode(t, &memLog{}, &memStore{})
			c := n.mqttDevice("d", v5)
			n.order("waits", gateway.OutcomeLeft)
			c.subscribeKept(qos)
			first := c.wantCommand("waits", false)
			n.order("now", gateway.OutcomeLeft)
			second := c.wantCommand("now", false)
			if first == 0 || second == 0 || first == second {
				t.Errorf("the packet identifiers are %d and %d", first, second)
			}
			if !n.store.HasCommands("default", "d") {
				t.Error("the store forgot what is not confirmed")
			}
			c.send(puback(second), puback(999), puback(first), puback(first))
			n.untilNone()
			n.until("two to be counted as taken", func() bool { return n.gateway.Stats().CommandsTaken == 2 })
			c.wantNothing("nothing comes again")
			key := devicemgr.Key{Tenant: "default", Device: "d"}
			if _, out, _, err := n.gateway.Command(t.Context(), key, gateway.Command{Name: "n", Now: true}); err != nil || out != gateway.OutcomeSent {
				t.Errorf("one for now: %v, %v", out, err)
			}
			if _, _, err := n.gateway.Broadcast("", "", "all", nil); err != nil {
				t.Error(err)
			}
			for range 2 {
				if p := c.read(); p[0] != 0x30 {
					t.Errorf("got % x", p)
				}
			}
			n.untilNone()
		}
	})
}

// What is not confirmed comes again on the next connection of the session, marked, under its
// packet identifier and in order; what is confirmed does not. So after a node began anew.
// [MQTT-4.4.0-1] [MQTT-4.4.0-2] [MQTT-3.3.1-1] [MQTT-3.3.1-3] [MQTT-4.6.0-1]
func TestMQTTKept_Again(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		log, store := &memLog{}, &memStore{}
		n := keptNode(t, log, store)
		c, _ := n.keptDevice("d", v5, false)
		c.subscribeKept(1)
		ids := map[string]uint16{}
		for _, name := range []string{"a", "b", "c", "d"} {
			n.order(name, gateway.OutcomeLeft)
			ids[name] = c.wantCommand(name, false)
		}
		refused := puback(ids["b"])
		if v5 { // a client that refuses one has it all the same
			refused = []byte{0x40, 3, byte(ids["b"] >> 8), byte(ids["b"]), 0x80}
		}
		c.send(refused)
		n.until("b to be gone", func() bool { return n.gateway.Stats().CommandsTaken == 1 })
		again := func(names ...string) *client {
			t.Helper()
			c, present := n.keptDevice("d", v5, false)
			if !present {
				t.Fatal("the session is gone")
			}
			for _, name := range names {
				if id := c.wantCommand(name, true); id != ids[name] {
					t.Errorf("%s comes again as %d, it was %d", name, id, ids[name])
				}
			}
			c.wantNothing("no more")
			c.send(puback(ids[names[0]]))
			n.until("it to be gone", func() bool { return store.left("d") == len(names)-1 })
			return c
		}
		again("a", "c", "d") // the one before is taken over
		n = keptNode(t, log, store)
		c = again("c", "d")
		n.order("e", gateway.OutcomeLeft) // while it is here, and does not say a word
		c.wantCommand("e", false)
		c, _ = n.keptDevice("d", v5, false)
		c.wantCommand("d", true)
		c.wantCommand("e", true)
		n.order("f", gateway.OutcomeLeft)
		c.wantCommand("f", false)
		c, present := n.keptDevice("d", v5, true) // a clean start has no before
		c.subscribeKept(1)
		for _, name := range []string{"d", "e", "f"} {
			c.wantCommand(name, false)
		}
		if present {
			t.Error("a session is there after a clean start")
		}
	})
}

// left is how many commands wait for a device.
func (s *memStore) left(device string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.commands[device] {
		if c != "" {
			n++
		}
	}
	return n
}

// A store that fails once is asked again, for a client that does not say a word meanwhile.
func TestMQTTKept_StoreFails(t *testing.T) {
	t.Parallel()
	store := &memStore{}
	n := keptNode(t, &memLog{}, store)
	c := n.mqttDevice("d", true)
	n.order("waits", gateway.OutcomeLeft)
	store.readFails.Store(1)
	store.removeFails.Store(1)
	c.subscribeKept(1)
	id := c.wantCommand("waits", false)
	c.send(puback(id))
	n.untilNone()
	if store.readFails.Load() >= 0 || store.removeFails.Load() >= 0 {
		t.Error("the store did not fail")
	}
}

// No more are on their way than the client's Receive Maximum, or 16; the others wait in the
// store, and come in order as it confirms. [MQTT-3.3.4-9]
func TestMQTTKept_ReceiveMaximum(t *testing.T) {
	for name, story := range map[string]struct {
		v5    bool
		props string
		most  int
	}{
		"two":           {true, "\x21\x00\x02", 2},
		"the node's, 5": {true, "\x21\x01\x00", 16},
		"the node's, 3": {false, "", 16},
		"one at a time": {true, "\x21\x00\x01", 1},
		"none was said": {true, "", 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := keptNode(t, &memLog{}, &memStore{})
			const many = 40
			for i := range many {
				n.order(fmt.Sprint(i), gateway.OutcomeLeft)
			}
			c := n.mqtt(story.v5)
			version := byte(4)
			if story.v5 {
				version = 5
			}
			c.send(connectOf(version, 2, 60, story.props, "d"))
			c.read()
			c.subscribeKept(1)
			var flying []uint16
			for i := range many {
				if len(flying) == story.most {
					c.wantNothing("the others wait")
					c.send(puback(flying[0]))
					flying = flying[1:]
				}
				flying = append(flying, c.wantCommand(fmt.Sprint(i), false))
			}
			for _, id := range flying {
				c.send(puback(id))
			}
			n.untilNone()
		})
	}
}

// The API waits for the reply of a device that confirms as of any; a command that its packets
// have no room for is refused, or, where it was left, dropped. [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func TestMQTTKept_ReplyAndSize(t *testing.T) {
	n := keptNode(t, &memLog{}, &memStore{})
	key := devicemgr.Key{Tenant: "default", Device: "d"}
	large := gateway.Command{Name: "large", Data: []byte(`"` + strings.Repeat("x", 200) + `"`), TTL: time.Hour}
	if _, _, _, err := n.gateway.Command(t.Context(), key, large); err != nil {
		t.Fatal(err)
	}
	n.order("small", gateway.OutcomeLeft)
	c := n.mqtt(true)
	c.send(connectOf(5, 2, 60, "\x27\x00\x00\x00\x80", "d")) // 128 bytes
	c.read()
	c.subscribeKept(1)
	c.send(puback(c.wantCommand("small", false)))
	n.untilNone()
	if _, _, _, err := n.gateway.Command(t.Context(), key, large); err == nil || !strings.Contains(err.Error(), "the device takes 128") {
		t.Errorf("a large one: %v", err)
	}
	replied := make(chan gateway.Reply, 1)
	go func() {
		_, _, r, _ := n.gateway.Command(context.Background(), key, gateway.Command{Name: "reboot", Wait: patience})
		replied <- r
	}()
	p := c.read()
	id := p[bytes.Index(p, []byte("command/"))+8:][:26]
	c.send(c.publishOf(1, "$edgeloop/reply/"+string(id), `{"done":true}`))
	if r := <-replied; !r.OK || string(r.Data) != `{"done":true}` {
		t.Errorf("the reply is %+v", r)
	}
	if !n.store.HasCommands("default", "d") {
		t.Error("a reply took the place of PUBACK")
	}
}

// A SUBSCRIBE puts another QoS in the place of the one before [MQTT-3.8.4-3]; what was not confirmed
// waits, and comes once.
func TestMQTTKept_AnotherQoS(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		n := keptNode(t, &memLog{}, &memStore{})
		c, _ := n.keptDevice("d", v5, false)
		c.subscribeKept(1)
		c.subscribeKept(0)
		n.order("once", gateway.OutcomeSent)
		if p := c.read(); p[0] != 0x30 {
			t.Errorf("got % x", p)
		}
		c.subscribeKept(1)
		n.order("kept", gateway.OutcomeLeft)
		c.wantCommand("kept", false)
		c, _ = n.keptDevice("d", v5, false)
		c.wantCommand("kept", true)
		n.connect("d") // by another protocol, which takes it, at most once
		n.untilNone()
	})
}

// The largest command that is taken reaches a client with QoS 1, whose packet is larger.
func TestMQTTKept_Largest(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		n := startNode(t, &memLog{}, gateway.Config{MaxCommand: 300})
		key := devicemgr.Key{Tenant: "default", Device: "d"}
		name := strings.Repeat("/", 40) // of which MQTT makes more than all others
		size, err := 300, error(nil)
		for ; size > 0; size-- {
			data := `"` + strings.Repeat("x", size) + `"`
			if _, _, _, err = n.gateway.Command(t.Context(), key, gateway.Command{Name: name, Data: []byte(data), TTL: time.Hour}); err == nil {
				break
			}
		}
		c := n.mqttDevice("d", v5)
		c.subscribeKept(1)
		c.send(puback(c.wantCommand(strings.Repeat("%2F", 40), false)))
		n.untilNone()
		n.until(fmt.Sprintf("the command of %d bytes to be counted as taken (%v)", size, err), func() bool { return n.gateway.Stats().CommandsTaken == 1 })
	})
}
