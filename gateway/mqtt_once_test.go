package gateway_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// keptDevice is a client that wants its session kept, for an hour in 5.0.
func (n *node) keptDevice(name string, v5, clean bool) (c *client, present bool) {
	n.Helper()
	c = n.mqtt(v5)
	c.send(c.keptConnect(name, clean))
	ack := c.read()
	if ack[0] != 0x20 || ack[3] != 0 {
		n.Fatalf("CONNECT was answered % x", ack)
	}
	return c, ack[2] == 1
}

func (c *client) keptConnect(name string, clean bool) []byte {
	flags := byte(0)
	if clean {
		flags = 2
	}
	if c.v5 {
		return connectOf(5, flags, 60, "\x11\x00\x00\x0e\x10", name)
	}
	return connectOf(4, flags, 60, "", name)
}

// twice is a PUBLISH of QoS 2.
func (c *client) twice(id uint16, payload string, again bool) []byte {
	p := c.publishOf(id, "t", payload)
	if p[0] = 0x34; again {
		p[0] |= 8
	}
	return p
}

// release is a PUBREL.
func release(id uint16) []byte { return []byte{0x62, 2, byte(id >> 8), byte(id)} }

// TestMQTTOnce_AfterTheLog: PUBREC comes when the log has the message, PUBCOMP when it has
// that it was released. To a message that is sent again on a newer connection, too: it is
// not acknowledged before the first is in the log. [MQTT-4.3.3-8] [MQTT-4.3.3-11]
func TestMQTTOnce_AfterTheLog(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		stuck := make(chan struct{})
		log := &memLog{synced: stuck}
		n := startNode(t, log, gateway.Config{})
		c, _ := n.keptDevice("d", v5, false)
		ping := []byte{0xc0, 0}
		c.send(c.twice(7, `1`, false), ping)
		c.want("no PUBREC before", 0xd0, 0)
		c, present := n.keptDevice("d", v5, false)
		if !present {
			t.Fatal("the session is gone")
		}
		c.send(c.twice(7, `1`, true), ping)
		c.want("PINGRESP", 0xd0, 0)
		n.until("the second is known to be one", func() bool { return n.gateway.Stats().Drops[gateway.DropDuplicate] == 1 })
		c.send(ping)
		c.want("nor a PUBREC to the second", 0xd0, 0)
		close(stuck)
		c.want("PUBREC", 0x50, 2, 0, 7)
		c.send(c.twice(7, `1`, true))
		c.want("PUBREC again", 0x50, 2, 0, 7)
		c.send(release(7))
		c.want("PUBCOMP", 0x70, 2, 0, 7)
		c.send(c.twice(7, `2`, false), release(7))
		c.want("PUBREC of another", 0x50, 2, 0, 7)
		c.want("PUBCOMP of another", 0x70, 2, 0, 7)
		if got := log.of("d"); len(got) != 2 || got[0].data != "1" || got[1].data != "2" {
			t.Errorf("the log has %v", got)
		}
		if last, _ := log.Last(t.Context(), "", "d"); last.Session == "" {
			t.Error("the last record keeps no session")
		}
	})
}

// TestMQTTOnce_Anything: a client as the specification has it sends messages of QoS 2, with
// few packet identifiers, while connections are cut and taken over and nodes are killed
// between any two records. The log has each message once, in order, and the session is
// there each time.
func TestMQTTOnce_Anything(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) { // whose nodes end with it
				s := &onceStory{T: t, random: rand.New(rand.NewPCG(seed, 2)), v5: v5, log: &memLog{}} //nolint:gosec // for a story
				s.run(30)
			})
		}
	})
}

// onceStory is a client and the nodes that it meets.
type onceStory struct {
	*testing.T

	random *rand.Rand
	v5     bool
	log    *memLog
	node   *node
	conn   *client
	flight []flying // in the order in which they were sent
	sent   int
	lives  int
}

// flying is a message that is not released for good.
type flying struct {
	id       uint16
	payload  string
	released bool // PUBREC has come
}

func (s *onceStory) run(messages int) {
	s.Helper()
	s.kill()
	for s.sent < messages || len(s.flight) > 0 {
		s.life(messages)
		if s.lives++; s.lives > 40*messages {
			s.Fatalf("no progress: %v", s.flight)
		}
	}
	var got []string
	for _, r := range s.log.of("d") {
		got = append(got, r.data)
	}
	for i := range messages {
		if i >= len(got) || got[i] != strconv.Itoa(i+1) {
			s.Fatalf("the log has %v", got)
		}
	}
	if len(got) != messages {
		s.Errorf("%d messages, the log has %d", messages, len(got))
	}
}

// kill has a new node go on with the log, which dies in some records.
func (s *onceStory) kill() {
	s.log = s.log.heir(s.random.IntN(25))
	s.node = startNode(s.T, s.log, gateway.Config{})
}

// life is one connection, until it is cut or left for another one.
func (s *onceStory) life(messages int) {
	s.Helper()
	if s.log.isDead() && s.random.IntN(3) > 0 { // else it is asked once more before it is gone
		s.kill()
	}
	c := s.node.mqtt(s.v5)
	if s.conn != nil && s.random.IntN(2) == 0 {
		_ = s.conn.conn.Close() // else it is taken over
	}
	s.conn = c
	c.send(c.keptConnect("d", false))
	ack := s.next()
	if ack == nil {
		return
	}
	if ack[2] != 1 && s.sent > 0 && len(s.log.of("d")) > 0 {
		s.Fatalf("the session is gone: % x", ack)
	}
	for i := range s.flight { // [MQTT-4.4.0-1]
		f := &s.flight[i]
		if f.released {
			c.write(release(f.id))
		} else {
			c.write(c.twice(f.id, f.payload, true))
		}
	}
	for range s.random.IntN(30) {
		if len(s.flight) < 3 && s.sent < messages {
			s.publish()
		}
		if len(s.flight) == 0 || !s.hear() {
			return
		}
	}
}

// publish sends a message more, under an identifier that is free.
func (s *onceStory) publish() {
	f := flying{id: 1, payload: strconv.Itoa(s.sent + 1)}
	for slices.ContainsFunc(s.flight, func(o flying) bool { return o.id == f.id }) {
		f.id++
	}
	s.sent++
	s.flight = append(s.flight, f)
	s.conn.write(s.conn.twice(f.id, f.payload, false))
}

// hear takes one answer in; false at the end.
func (s *onceStory) hear() bool {
	p := s.next()
	if p == nil {
		return false
	}
	id := binary.BigEndian.Uint16(p[2:])
	at := slices.IndexFunc(s.flight, func(f flying) bool { return f.id == id })
	switch {
	case at < 0: // the second answer to what was sent twice
	case p[0] == 0x50:
		s.flight[at].released = true
		s.conn.write(release(id))
	case p[0] == 0x70 && s.flight[at].released:
		s.flight = slices.Delete(s.flight, at, at+1)
	default:
		s.Fatalf("% x while %v", p, s.flight)
	}
	return true
}

// next is the next packet, nil where none will come.
func (s *onceStory) next() []byte {
	for {
		head := make([]byte, 1)
		_ = s.conn.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := s.conn.conn.Read(head); errors.Is(err, os.ErrDeadlineExceeded) {
			if s.log.isDead() {
				return nil
			}
			continue
		} else if err != nil {
			return nil
		}
		_ = s.conn.conn.SetReadDeadline(time.Now().Add(patience))
		rest := make([]byte, 1)
		if _, err := s.conn.conn.Read(rest); err != nil {
			return nil
		}
		body := make([]byte, rest[0]&0x7f)
		for n := 0; n < len(body); {
			m, err := s.conn.conn.Read(body[n:])
			if n += m; err != nil {
				return nil
			}
		}
		return append(append(head, rest...), body...)
	}
}

// write is send for a connection that may be at its end.
func (c *client) write(p []byte) { _, _ = c.conn.Write(p) }

// TestMQTTOnce_TooMany: what is open is bounded, and who opens more is told so.
func TestMQTTOnce_TooMany(t *testing.T) {
	n := startNode(t, &memLog{}, gateway.Config{Window: 1000})
	c, _ := n.keptDevice("d", true, true)
	for id := uint16(1); id <= 2*64; id += 2 {
		c.send(c.twice(id, "1", false))
		c.want("PUBREC", 0x50, 2, 0, byte(id))
	}
	c.send(c.twice(1001, "1", false))
	c.wantEnd(0x93) // [MQTT-3.3.4-7]
	n.until("it to be counted", func() bool { return n.gateway.Stats().Drops[gateway.DropOpenPackets] == 1 })
}

// TestMQTTSession: a session is there, truthfully, for as long as it is kept: over
// connections and starts of the node, until it is given up, not asked for, expired, or reset.
func TestMQTTSession(t *testing.T) {
	restart := func(n *node) *node { return startNode(n.T, n.log, gateway.Config{}) }
	open := func(c *client) {
		c.send(c.twice(5, "1", false))
		c.want("PUBREC", 0x50, 2, 0, 5)
	}
	for name, story := range map[string]struct {
		v5, there bool
		end       func(n *node, c *client) *node
		clean     bool
	}{
		"cut":                {there: true, end: func(n *node, c *client) *node { _ = c.conn.Close(); return n }},
		"restart":            {there: true, end: func(n *node, _ *client) *node { return restart(n) }},
		"restart, 5.0":       {v5: true, there: true, end: func(n *node, _ *client) *node { return restart(n) }},
		"a clean start":      {clean: true, end: func(n *node, _ *client) *node { return n }},
		"a clean start, 5.0": {v5: true, clean: true, end: func(n *node, _ *client) *node { return restart(n) }},
		"DISCONNECT that gives up": {v5: true, end: func(n *node, c *client) *node {
			c.send(packet(0xe0, []byte{0, 5, 0x11, 0, 0, 0, 0}))
			c.next()
			n.untilKept(" ") // nothing: its lane is through with it
			return restart(n)
		}},
		"DISCONNECT that keeps":    {v5: true, there: true, end: func(n *node, c *client) *node { c.send([]byte{0xe0, 0}); c.next(); return n }},
		"a clean one between":      {end: func(n *node, _ *client) *node { n.mqttDevice("d", false); return restart(n) }},
		"another protocol between": {end: func(n *node, _ *client) *node { n.connect("d"); return n }},
		"a reset":                  {end: func(n *node, _ *client) *node { n.resetDevice("d"); return n }},
		"only for a second, 5.0": {v5: true, end: func(n *node, c *client) *node {
			c.send(packet(0xe0, []byte{0, 5, 0x11, 0, 0, 0, 1}))
			c.next()
			n.untilKept("e1 ")
			return n.after(1100 * time.Millisecond)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, &memLog{}, gateway.Config{})
			c, present := n.keptDevice("d", story.v5, false)
			if present {
				t.Error("a session is there at the first time")
			}
			open(c)
			n = story.end(n, c)
			c, present = n.keptDevice("d", story.v5, story.clean)
			if present != story.there {
				t.Fatalf("session present: %t", present)
			}
			c.send(c.twice(5, "1", true))
			c.want("PUBREC", 0x50, 2, 0, 5)
			want := 2
			if story.there {
				want = 1
			}
			if got := n.log.of("d"); len(got) != want && name != "a reset" {
				t.Errorf("the log has %v", got)
			}
		})
	}
}

// resetDevice has the sequences of a device begin again.
func (n *node) resetDevice(name string) {
	n.Helper()
	if _, err := n.gateway.Reset(n.Context(), devicemgr.Key{Tenant: "default", Device: name}); err != nil {
		n.Fatal(err)
	}
}

// untilKept waits until the last record of d keeps what begins so.
func (n *node) untilKept(text string) {
	n.Helper()
	n.until("the log keeps "+text, func() bool {
		last, _ := n.log.Last(n.Context(), "default", "d")
		return strings.HasPrefix(last.Session+" ", text)
	})
}

// after waits for a time to pass.
func (n *node) after(d time.Duration) *node {
	due := time.Now().Add(d)
	n.until(fmt.Sprint(d), func() bool { return time.Now().After(due) })
	return n
}

// TestMQTTSession_Subscription: who asked for commands in a session that is kept has them
// after a start of the node, without asking again, and those that waited with it.
func TestMQTTSession_Subscription(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		log := &memLog{}
		n := startNode(t, log, gateway.Config{})
		c, _ := n.keptDevice("d", v5, false)
		subscribe := func(first byte, more ...byte) {
			head := []byte{0, 9}
			if v5 {
				head = append(head, 0)
			}
			c.send(packet(first, head, text("$edgeloop/command/#"), more))
			c.read()
		}
		subscribe(0x82, 0)
		n = startNode(t, log, gateway.Config{})
		_, _, _, _ = n.gateway.Command(t.Context(), devicemgr.Key{Tenant: "default", Device: "d"}, gateway.Command{Name: "go", TTL: time.Minute})
		c, present := n.keptDevice("d", v5, false)
		if p := c.read(); !present || p[0] != 0x30 || !strings.Contains(string(p), "/go") {
			t.Fatalf("session present %t, then % x", present, p)
		}
		subscribe(0xa2)
		n = startNode(t, log, gateway.Config{})
		_, _ = n.keptDevice("d", v5, false)
		if _, _, err := n.gateway.Broadcast("", "", "all", nil); err != nil {
			t.Fatal(err)
		}
		if got := n.gateway.Stats().CommandsSent; got != 0 {
			t.Errorf("%d commands were sent to who has unsubscribed", got)
		}
	})
}
