package mqttapi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/internal/testkit"
)

// What is retained while a subscription is written down is not lost: whoever reads for the client has
// passed it by then, so it comes as what is retained. And nothing comes of the other subscriptions'
// that is not theirs.
func TestRetained_WhileItIsSubscribed(t *testing.T) {
	t.Parallel()
	for qos := range byte(2) {
		slow := new(badLog)
		n, _ := startRetainingWith(t, t.TempDir(), 100, func(l mqttapi.Log) mqttapi.Log { slow.Log = l; return slow })
		c, _ := n.enter(hello{id: "app", token: tokenAcme, expiry: 3600})
		c.subscribe(0, "marker")
		until := make(chan struct{})
		slow.holds.Store(&until)
		release := func() {
			if slow.holds.Swap(nil) != nil {
				close(until)
			}
		}
		t.Cleanup(release) // before that of the node
		c.send(packet(0x82, []byte{0, 99, 0}, text("plant/#"), []byte{qos}))
		testkit.Eventually(t, patience, "the subscription to be written down", slow.held.Load)
		n.retain("acme", "plant/1", "new")
		n.add("acme", "meter", "marker", "1")
		c.want("marker", "1") // so plant/1 was passed
		release()
		if p := c.next(); p == nil || p[0] != 0x90 {
			t.Fatalf("got % x, want a SUBACK", p)
		}
		n.add("acme", "meter", "marker", "2")
		if m := c.want("plant/1", "new"); !m.retain || m.qos != qos {
			t.Errorf("%+v", m)
		}
		c.want("marker", "2")
	}
}

// A client that lags gets what is retained anew where it subscribes anew, and nothing that is older
// behind what is newer: what it has still to get comes as it came.
func TestRetained_AgainToOneThatLags(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 1})
	c.subscribe(1, "t/#")
	n.retain("acme", "t/0", "x")
	first := c.want("t/0", "x")
	n.retain("acme", "t/1", "old")
	n.retain("acme", "t/1", "new")
	c.subscribe(1, "t/#")
	c.ack(first)
	var got []string
	for !slices.Contains(got, "t/0 x true") || !slices.Contains(got, "t/1 new false") {
		m := c.message()
		c.ack(m)
		got = append(got, fmt.Sprint(m.topic, " ", m.payload, " ", m.retain))
	}
	if slices.Contains(got, "t/1 new true") {
		t.Errorf("got %q: what comes as it came came as retained, too", got)
	}
}

// With QoS 0 a session does not get what came while its client was away, so what was retained then
// comes as that.
func TestRetained_AgainWithoutAcknowledgement(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	enter := func() *client {
		c, _ := n.enter(hello{id: "app", token: tokenAcme, expiry: 3600, receive: 1})
		return c
	}
	c := enter()
	c.subscribe(1, "live")
	c.subscribe(0, "t")
	n.add("acme", "meter", "live", "1")
	c.want("live", "1")
	_ = c.conn.Close()
	n.gone()
	n.add("acme", "meter", "live", "2")
	n.retain("acme", "t", "x")
	c = enter()
	open := c.want("live", "1") // and the reading waits at 2
	c.send(packet(0x82, binary.BigEndian.AppendUint16(nil, 99), []byte{0}, text("t"), []byte{0}))
	if p := c.next(); p == nil || p[0] != 0x90 {
		t.Fatalf("got % x, want a SUBACK", p)
	}
	if m := c.want("t", "x"); !m.retain {
		t.Errorf("%+v", m)
	}
	c.ack(open)
	c.ack(c.want("live", "2"))
}

// A filter that is subscribed to anew has to get all anew, also over a lost connection.
func TestRetained_AgainAndCutOff(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	n.retain("acme", "t", "x")
	enter := func() *client {
		c, _ := n.enter(hello{id: "app", token: tokenAcme, expiry: 3600})
		return c
	}
	c := enter()
	c.subscribe(1, "t")
	c.ack(c.want("t", "x"))
	c.subscribe(1, "t")
	c.want("t", "x")
	_ = c.conn.Close()
	n.gone()
	enter().want("t", "x")
}

// What a filter has still to get comes as its subscription asks for it by now, although it asks for
// nothing that is retained. Where what was to come live does so no more, all of it comes again.
// [MQTT-3.3.4-3] [MQTT-3.8.4-8]
func TestRetained_AskedForOtherwise(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		n, _ := startRetaining(t, t.TempDir(), 100)
		n.retain("acme", "t/0", "x")
		n.retain("acme", "t/1", "old")
		enter := func() *client {
			c, _ := n.enter(hello{id: "app", token: tokenAcme, expiry: 3600, receive: 1})
			return c
		}
		c := enter()
		c.subscribe(1, "t/+")
		open, want := c.want("t/0", "x"), []string{"t/1 old"}
		if taken {
			_ = c.conn.Close()
			n.gone()
			n.add("acme", "meter", "t/2", "y") // where the reading waits
			n.retain("acme", "t/1", "new")     // which would come live, with QoS 1
			c = enter()
			open, want = c.want("t/0", "x"), []string{"t/0 x", "t/1 new"}
		}
		const never = 2 << 4
		c.send(packet(0x82, []byte{0, 99, 2, 11, 8}, text("t/+"), []byte{never}))
		if p := c.next(); p == nil || p[0] != 0x90 {
			t.Fatalf("got % x, want a SUBACK", p)
		}
		c.ack(open)
		for _, want := range want {
			if m := c.message(); m.topic+" "+m.payload != want || !m.retain || m.qos != 0 || !bytes.HasPrefix(m.props, []byte{11, 8}) {
				t.Errorf("got %+v, want %s", m, want)
			}
		}
	}
}

// What was retained while the client of a session was away, and whose record retention has taken, comes
// as retained: it does not come live.
func TestRetained_RecordIsGone(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	n.retain("acme", "t", "old")
	enter := func() *client {
		c, _ := n.enter(hello{id: "app", token: tokenAcme, expiry: 3600})
		return c
	}
	c := enter()
	c.subscribe(1, "t", "live")
	c.want("t", "old")
	_ = c.conn.Close()
	n.gone()
	n.retain("acme", "t", "new")
	for i := range 2 {
		n.add("acme", "meter", "other", fmt.Sprint(i))
	}
	end, _ := n.log.Durable()
	if _, err := n.log.Trim(t.Context(), backbone.Trim{To: end - 1, PastReaders: true, ForgetDevices: true}); err != nil {
		t.Fatal(err)
	}
	c = enter()
	n.add("acme", "meter", "live", "1")
	c.want("t", "new")
	c.want("live", "1")
}
