package gateway_test

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// willConnect is the CONNECT of a client of 5.0 with a Will, a delay and a session expiry in
// seconds.
func willConnect(name string, clean bool, expiry, delay uint32) []byte {
	flags := byte(4 | 1<<3) // a Will of QoS 1
	if clean {
		flags |= 2
	}
	head := append(text("MQTT"), 5, flags, 0, 60)
	head = append(binary.BigEndian.AppendUint32(append(head, 5, 17), expiry), text(name)...)
	head = binary.BigEndian.AppendUint32(append(head, 5, 24), delay)
	return packet(0x10, head, text("state"), text(`"gone"`))
}

// withWill is a client that was let in; present: it has a session.
func (n *node) withWill(name string, clean bool, expiry, delay uint32) (c *client, present bool) {
	n.Helper()
	c = n.mqtt(true)
	c.send(willConnect(name, clean, expiry, delay))
	ack := c.read()
	if ack[0] != 0x20 || ack[3] != 0 {
		n.Fatalf("CONNECT was answered % x", ack)
	}
	return c, ack[2] == 1
}

// says publishes with QoS 1, and waits for the PUBACK: what was on its lane before is in the
// log by then.
func (c *client) says(payload string) {
	c.Helper()
	c.send(c.publishOf(1, "t", payload))
	c.want("PUBACK", 0x40, 2, 0, 1)
}

// leave ends the connection as a client does that goes.
func (c *client) leave() {
	c.Helper()
	c.send([]byte{0xe0, 0})
	for c.next() != nil {
	}
	_ = c.conn.Close()
}

// waiting waits until so many Wills wait, and the store knows.
func (n *node) waiting(want int) {
	n.Helper()
	n.until("the Wills that wait", func() bool {
		st := n.gateway.Stats()
		return st.WillsWaiting == want && st.WillsUnsaved == 0
	})
}

// dataOf is what the log has of a device.
func (n *node) dataOf(device string) (all []string) {
	for _, r := range n.log.of(device) {
		all = append(all, r.data)
	}
	return all
}

// memWills keeps Wills in memory.
type memWills struct {
	mu sync.Mutex
	// Guarded by mu.
	kept map[devicemgr.Key]backbone.Will
}

func (s *memWills) KeepWills(_ context.Context, put, over []backbone.Will) ([]backbone.Will, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = make(map[devicemgr.Key]backbone.Will)
	}
	for _, w := range put {
		s.kept[devicemgr.Key{Tenant: w.Tenant, Device: w.Device}] = w
	}
	for _, w := range over {
		delete(s.kept, devicemgr.Key{Tenant: w.Tenant, Device: w.Device})
	}
	return nil, nil
}

func (s *memWills) Wills(_ context.Context, fn func(backbone.Will)) error {
	s.mu.Lock()
	all := maps.Clone(s.kept)
	s.mu.Unlock()
	for _, w := range all {
		fn(w)
	}
	return nil
}

func (s *memWills) has(device string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.kept[devicemgr.Key{Tenant: "default", Device: device}]
	return has
}

const hour = 3600

// A Will with a delay is not published when its client is back in its session before, whether the
// first connection has ended by then or not. Where the session ends it is published at once,
// and so it is without a session. [MQTT-3.1.3-9] [MQTT-3.1.2-8]
func TestMQTTWill_Delay(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Wills: &memWills{}})
	comeBack := func(clean bool) func(name string) {
		return func(name string) {
			c, present := n.withWill(name, clean, hour, hour)
			if present == clean {
				t.Errorf("%s: session present %v", name, present)
			}
			c.says(`2`)
			c.leave()
		}
	}
	for name, of := range map[string]struct {
		live bool // the first connection is there yet
		then func(name string)
		want []string
	}{
		"same-session":           {false, comeBack(false), []string{`1`, `2`, `3`}},
		"clean-start":            {false, comeBack(true), []string{`1`, `"gone"`, `2`, `3`}},
		"same-session-took-over": {true, comeBack(false), []string{`1`, `2`, `3`}},
		"clean-start-took-over":  {true, comeBack(true), []string{`1`, `"gone"`, `2`, `3`}},
		"another-protocol": {false, func(name string) {
			d := n.connect(name)
			d.telemetry(2)
			d.wantAck(2)
			_ = d.ws.CloseNow()
		}, []string{`1`, `"gone"`, `2`, `3`}},
	} {
		c, _ := n.withWill(name, true, hour, hour)
		c.says(`1`)
		if !of.live {
			_ = c.conn.Close()
			n.waiting(1)
		}
		of.then(name)
		for of.live && c.next() != nil {
		}
		_ = c.conn.Close()
		n.until("all have gone", func() bool { return n.server.Stats().Open == 0 })
		last := n.mqttDevice(name, true)
		last.says(`3`) // behind all that was to come
		last.leave()
		n.waiting(0)
		got := n.dataOf(name)
		if of.live { // the older one ends when it does
			slices.Sort(got)
			slices.Sort(of.want)
		}
		if !slices.Equal(got, of.want) {
			t.Errorf("%s: the log has %v, want %v", name, got, of.want)
		}
	}
}

// Where the session ends with its connection a Will does not wait, and of a client that leaves
// there is none. [MQTT-3.1.2-8] [MQTT-3.14.4-3]
func TestMQTTWill_DoesNotWait(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	c, _ := n.withWill("no-session", true, 0, hour)
	_ = c.conn.Close()
	n.until("the Will of a session that ends with its connection", func() bool { return len(n.dataOf("no-session")) == 1 })
	left, _ := n.withWill("left", true, hour, hour)
	left.leave()
	n.until("all have gone", func() bool { return n.server.Stats().Open == 0 })
	if got := n.dataOf("left"); len(got) != 0 || n.gateway.Stats().WillsWaiting != 0 {
		t.Errorf("of one that left: %v", got)
	}
}

// A DISCONNECT that asks for the Will, and ends the session, has it published at once.
// [MQTT-3.1.2-8]
func TestMQTTWill_DisconnectEndsSession(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	c, _ := n.withWill("d", true, hour, hour)
	c.send(packet(0xe0, []byte{4, 5, 17, 0, 0, 0, 0})) // with Will, session expiry 0
	n.until("the Will", func() bool { return slices.Equal(n.dataOf("d"), []string{`"gone"`}) })
}

// A node that goes away has its Wills in the store, those of the connections that it ends
// included. At the next one a device that is back takes its own out, and is heard.
func TestMQTTWill_Restart(t *testing.T) {
	t.Parallel()
	store := &memWills{}
	log := &memLog{}
	first := startNode(t, log, gateway.Config{Wills: store})
	gone, _ := first.withWill("gone", true, hour, hour)
	_ = gone.conn.Close()
	first.waiting(1)
	here, _ := first.withWill("here", true, hour, hour)
	go func() { // answers the end
		for here.next() != nil {
		}
		_ = here.conn.Close()
	}()
	if err := first.gateway.Drain(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if len(store.kept) != 2 {
		t.Fatalf("the store has %v", store.kept)
	}

	second := startNode(t, log, gateway.Config{Wills: store})
	if err := second.gateway.TakeUpWills(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, _ := second.withWill("here", false, hour, hour)
	c.says(`1`)
	c, _ = second.withWill("gone", true, hour, hour)
	c.says(`1`)
	second.waiting(0)
	for device, want := range map[string][]string{"here": {`1`}, "gone": {`"gone"`, `1`}} {
		if got := second.dataOf(device); !slices.Equal(got, want) {
			t.Errorf("of %s the log has %v, want %v", device, got, want)
		}
	}
}

// A Will that a clean start has published is in the store until it is durable, so that kill -9
// before that does not lose it.
func TestMQTTWill_KeptUntilDurable(t *testing.T) {
	t.Parallel()
	store, coming, goOn := &memWills{}, make(chan struct{}), make(chan struct{})
	n := startNode(t, &memLog{before: func(records []backbone.Record) error {
		for i := range records {
			if string(records[i].Data) == `"gone"` {
				close(coming)
				<-goOn
			}
		}
		return nil
	}}, gateway.Config{Wills: store})
	marker, _ := n.withWill("marker", true, hour, hour)
	c, _ := n.withWill("d", true, hour, hour)
	_ = c.conn.Close()
	n.waiting(1)
	c, _ = n.withWill("d", true, hour, hour)
	<-coming
	_ = marker.conn.Close()
	n.until("the store to know what is newer", func() bool { return store.has("marker") })
	if !store.has("d") {
		t.Error("the store has forgotten a Will that is not durable")
	}
	close(goOn)
	n.until("the store to forget it", func() bool { return !store.has("d") })
	c.leave()
}

// A device that is at another node by now has no Will here.
func TestMQTTWill_Elsewhere(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	c, _ := n.withWill("d", true, hour, hour)
	_ = c.conn.Close()
	n.waiting(1)
	old := gateway.Presence{Tenant: "default", Device: "d", Epoch: 1, Online: true}
	n.gateway.Heard(old, 1)
	n.waiting(1)
	old.Epoch = 1<<53 - 1
	n.gateway.Heard(old, 1)
	n.waiting(0)
	if got := n.dataOf("d"); len(got) != 0 {
		t.Errorf("the log has %v", got)
	}
}

// A client is back in its session with its CONNACK. Of one whose socket is gone before, or that is
// refused in the place of the connection it had, the Will waits on; the next CONNACK takes it
// out. [MQTT-3.1.3-9]
func TestMQTTWill_WaitsUntilConnack(t *testing.T) {
	t.Parallel()
	for name, live := range map[string]bool{"gone-again": false, "refused": true} {
		looking, goOn := make(chan struct{}), make(chan struct{})
		var looks atomic.Int32
		store := &memStore{ask: func(string) {
			if looks.Add(1) == 4 { // the second time of the second one: it is in the session table
				close(looking)
				<-goOn
			}
		}}
		n := startNodeOver(t, &memLog{}, store, gateway.Config{Wills: &memWills{}})
		first, _ := n.withWill(name, true, hour, hour)
		if !live {
			_ = first.conn.Close()
			n.waiting(1)
		}
		second := n.mqtt(true)
		second.send(willConnect(name, false, hour, hour))
		<-looking
		if live {
			store.ban(name, "for a moment")
		} else {
			_ = second.conn.Close()
			n.until("the socket is gone", func() bool { return n.server.Stats().Open == 0 })
		}
		close(goOn)
		if live {
			for _, c := range []*client{first, second} {
				for c.next() != nil { // it was replaced, or is refused
				}
				_ = c.conn.Close()
			}
		}
		n.until("nobody is there", func() bool { return n.gateway.Stats().Online == 0 && n.server.Stats().Open == 0 })
		n.waiting(1)
		store.ban(name, "")
		third, present := n.withWill(name, false, hour, hour)
		if !present {
			t.Errorf("%s: it is not back in its session", name)
		}
		third.says(`1`)
		third.leave()
		n.waiting(0)
		if got := n.dataOf(name); !slices.Equal(got, []string{`1`}) {
			t.Errorf("%s: the log has %v", name, got)
		}
	}
}
