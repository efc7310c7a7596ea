package mqttapi_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"edgeloop/admin/mqttapi"
	"edgeloop/internal/testkit"
)

// A session of QoS 1 goes on where its client has acknowledged: over lost connections, a
// restart of the node, and whatever else its filters did not want. What was sent and not
// acknowledged comes again, with the packet identifier that it had, marked. [MQTT-4.4.0-1]
// [MQTT-3.3.1-1] [MQTT-3.2.2-3]
func TestSession_GoesOn(t *testing.T) {
	t.Parallel()
	for _, v311 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v311=%v", v311), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := hello{id: "app", token: tokenAcme, v311: v311, expiry: 60}
			var third message
			t.Run("before", func(t *testing.T) {
				n := start(t, dir, mqttapi.Config{})
				n.add("acme", "d", "t/0", "old")
				c, present := n.enter(h)
				if present {
					t.Error("a session before the first connection")
				}
				c.subscribe(1, "t/#")
				n.add("acme", "d", "t/1", "one")
				n.add("acme", "d", "other", "no")
				n.add("acme", "d", "t/2", "two")
				n.add("acme", "d", "t/3", "three")
				first, second := c.want("t/1", "one"), c.want("t/2", "two")
				if third = c.want("t/3", "three"); first.dup || first.qos != 1 || third.dup {
					t.Errorf("%+v, %+v", first, third)
				}
				c.ack(second) // out of order
				c.ack(first)
				_ = c.conn.Close()
				n.gone()
				n.add("acme", "d", "t/4", "four")
				c, present = n.enter(h)
				if again := c.want("t/3", "three"); !present || !again.dup || again.id != third.id {
					t.Errorf("present %v, again %+v, want id %d and dup", present, again, third.id)
				}
				if m := c.want("t/4", "four"); m.dup {
					t.Error("it is new, and marked as sent before")
				}
			})
			t.Run("after", func(t *testing.T) {
				n := start(t, dir, mqttapi.Config{})
				n.seq = 1000
				n.add("acme", "d", "t/5", "five")
				c, present := n.enter(h)
				if again := c.want("t/3", "three"); !present || !again.dup || again.id != third.id {
					t.Errorf("present %v, again %+v, want id %d and dup", present, again, third.id)
				}
				c.want("t/4", "four")
				c.want("t/5", "five")
				c.leave()
				h.clean = true // [MQTT-3.1.2-4]
				c, present = n.enter(h)
				if present {
					t.Error("a clean start has a session")
				}
				c.subscribe(1, "t/#")
				n.add("acme", "d", "t/6", "six")
				c.want("t/6", "six")
			})
		})
	}
}

// The place does not move over what is open, whatever is acknowledged behind it.
func TestSession_PlaceWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{KeepEvery: time.Millisecond})
	h := hello{id: "app", token: tokenAcme, expiry: 60}
	c, _ := n.enter(h)
	c.subscribe(1, "#")
	var sent []message
	for i := range 20 {
		n.add("acme", "d", "t", fmt.Sprint(i))
		sent = append(sent, c.want("t", fmt.Sprint(i)))
	}
	for _, m := range sent[1:] {
		c.ack(m)
	}
	c.leave()
	n.gone()
	c, _ = n.enter(h)
	c.want("t", "0")
}

// A session is over when its client says so, or its time has passed.
func TestSession_Expires(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{SweepEvery: 20 * time.Millisecond})
	c, _ := n.enter(hello{id: "a", token: tokenAcme, expiry: 3600})
	c.subscribe(1, "#")
	c.send([]byte{0xe0, 7, 0, 5, 17, 0, 0, 0, 0}) // DISCONNECT: the session expires now
	for c.next() != nil {
	}
	n.gone()
	if _, present := n.enter(hello{id: "a", token: tokenAcme, expiry: 60}); present {
		t.Error("the session is there that its client has ended")
	}
	kept := func() bool {
		_, known, err := n.log.ReaderPlace(t.Context(), mqttapi.PlaceOf("acme", "b"))
		return known && err == nil
	}
	c, _ = n.enter(hello{id: "b", token: tokenAcme, expiry: 3})
	c.subscribe(1, "#")
	testkit.Eventually(t, patience, "the session to be kept", kept) // who is connected keeps it
	c.leave()
	testkit.Eventually(t, patience, "the session to be forgotten", func() bool { return !kept() })
}

// Who connects with the client identifier of another ends that: the session is its own now.
// In another tenant it is another session. [MQTT-3.1.4-3]
func TestSession_Takeover(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	h := hello{id: "app", token: tokenAll, user: "acme", expiry: 60}
	first, _ := n.enter(h)
	first.subscribe(1, "#")
	n.add("acme", "d", "t", "1")
	first.want("t", "1")
	other, present := n.enter(hello{id: "app", token: tokenAll, user: "globex", expiry: 60})
	if present {
		t.Error("a session of another tenant")
	}
	second, present := n.enter(h)
	first.wantEnd(0x8e)
	if m := second.want("t", "1"); !present || !m.dup {
		t.Errorf("present %v, %+v", present, m)
	}
	other.subscribe(0, "#")
	n.add("globex", "d", "t", "2")
	other.want("t", "2")
}

// A client has no more messages open than its Receive Maximum, and gets the next when it
// acknowledges. [MQTT-3.3.4-9]
func TestWindow_ReceiveMaximum(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 2})
	c.subscribe(1, "#")
	for i := range 4 {
		n.add("acme", "d", "t", fmt.Sprint(i))
	}
	m := c.want("t", "0")
	c.want("t", "1")
	c.send([]byte{0xc0, 0}) // the answer to a ping would be behind what is too much
	if p := c.next(); !bytes.Equal(p, []byte{0xd0, 0}) {
		t.Errorf("got % x, want a PINGRESP", p)
	}
	c.ack(m)
	c.want("t", "2")
}
