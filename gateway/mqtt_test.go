package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
	"edgeloop/internal/testkit"
)

// versions runs a story with 3.1.1 and with 5.0.
func versions(t *testing.T, story func(t *testing.T, v5 bool)) {
	for name, v5 := range map[string]bool{"3.1.1": false, "5.0": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, v5)
		})
	}
}

// TestMQTT_AckAfterTheLog: PUBACK comes when the log has the message and not before, in
// the order of the messages, however they were cut into reads. [MQTT-4.6.0-2]
func TestMQTT_AckAfterTheLog(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		stuck := make(chan struct{})
		log := &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}
		n := startNode(t, log, gateway.Config{})
		c := n.mqttDevice("d", v5)
		c.send(c.publishOf(7, "t", `1`), c.publishOf(0, "t", `2`), c.publishOf(9, "t", `3`))
		c.send([]byte{0xc0, 0})
		c.want("PINGREQ is answered while the log stands", 0xd0, 0)
		c.send(c.publishOf(8, "t", `4`), []byte{0xc0, 0})
		c.want("and no PUBACK before", 0xd0, 0)
		close(stuck)
		for _, id := range []byte{7, 9, 8} {
			c.want("PUBACK", 0x40, 2, 0, id)
		}
		var got []string
		for _, r := range log.of("d") {
			got = append(got, r.data)
		}
		if strings.Join(got, "") != "1234" {
			t.Errorf("the log has %q", got)
		}
	})
}

// TestMQTT_AnyCut: what arrives byte by byte, CONNECT included, and what arrives at
// once, is the same.
func TestMQTT_AnyCut(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		log := &memLog{}
		n := startNode(t, log, gateway.Config{})
		c := n.mqtt(v5)
		version := byte(4)
		if v5 {
			version = 5
		}
		long := `"` + strings.Repeat("x", 40_000) + `"`
		for _, b := range bytes.Join([][]byte{connectOf(version, 2, 60, "", "d"), c.publishOf(1, "topic", `"slow"`), c.publishOf(2, "t", `2`)}, nil) {
			c.send([]byte{b})
		}
		if ack := c.read(); ack[0] != 0x20 || ack[3] != 0 {
			t.Fatalf("CONNECT was answered % x", ack)
		}
		c.want("first", 0x40, 2, 0, 1)
		c.want("second", 0x40, 2, 0, 2)
		p := c.publishOf(3, "t", long)
		for len(p) > 0 {
			piece := min(1500, len(p))
			c.send(p[:piece])
			p = p[piece:]
		}
		c.want("long", 0x40, 2, 0, 3)
		c.send(c.publishOf(4, "t", `4`), c.publishOf(5, "t", long), c.publishOf(6, "t", `6`)[:3])
		c.want("fourth", 0x40, 2, 0, 4)
		c.want("fifth", 0x40, 2, 0, 5)
		c.send(c.publishOf(6, "t", `6`)[3:])
		c.want("sixth", 0x40, 2, 0, 6)
		want := []string{`"slow"`, `2`, long, `4`, long, `6`}
		for i, r := range log.of("d") {
			if r.data != want[i] {
				t.Errorf("record %d is %.20q", i, r.data)
			}
		}
		n.until("nothing is held any more", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
	})
}

// TestMQTT_Window: who sends without waiting for PUBACK is held back and loses nothing.
func TestMQTT_Window(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		const many = 2000
		stuck := make(chan struct{})
		log := &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}
		n := startNode(t, log, gateway.Config{Window: 8})
		c := n.mqttDevice("d", v5)
		go func() {
			for i := range uint16(many) {
				if _, err := c.conn.Write(c.publishOf(i+1, "t", fmt.Sprint(i))); err != nil {
					return
				}
			}
		}()
		n.until("reading is paused", func() bool { return n.server.Stats().Paused == 1 })
		close(stuck)
		for i := range many {
			c.want("PUBACK", 0x40, 2, byte((i+1)>>8), byte(i+1))
		}
		for i, r := range log.of("d") {
			if r.data != fmt.Sprint(i) {
				t.Fatalf("record %d is %s", i, r.data)
			}
		}
		n.until("nothing is held any more", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
	})
}

// TestMQTT_GoneMeanwhile: a client that vanishes while the log stands leaves nothing
// behind, and what it sent is stored.
func TestMQTT_GoneMeanwhile(t *testing.T) {
	stuck := make(chan struct{})
	log := &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}
	n := startNode(t, log, gateway.Config{})
	c := n.mqttDevice("d", true)
	for i := range uint16(20) {
		c.send(c.publishOf(i+1, "t", fmt.Sprint(i)))
	}
	n.until("all of it was read", func() bool { return n.server.Stats().MessagesIn >= 20 })
	_ = c.conn.Close()
	n.until("it has left", func() bool { return n.server.Stats().Open == 0 })
	close(stuck)
	n.until("all is stored", func() bool { return len(log.of("d")) == 20 })
	n.until("nothing is held any more", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
}

// TestMQTT_KeepAlive: a client that says nothing for one and a half times its keep alive
// is ended, and one that pings is not. [MQTT-3.1.2-22]
func TestMQTT_KeepAlive(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		n := startNode(t, &memLog{}, gateway.Config{})
		version := byte(4)
		if v5 {
			version = 5
		}
		evicted := uint64(0)
		testkit.Eventually(t, patience, "a client that is quick enough to ping", func() bool {
			evicted++
			c := n.mqtt(v5)
			defer c.conn.Close()
			c.send(connectOf(version, 2, 2, "", "d"))
			c.read()
			began := time.Now()
			last := began
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for range 4 {
				<-tick.C
				now := time.Now()
				_, _ = c.conn.Write([]byte{0xc0, 0}) // whether it was ended says the answer
				got := make([]byte, 2)
				if n, _ := io.ReadFull(c.conn, got); n < 2 || got[0] != 0xd0 {
					if silent := time.Since(last); silent < 2500*time.Millisecond {
						t.Fatalf("got % x, %s after it pinged", got[:n], silent)
					}
					return false // this machine stood still, and it was silent
				}
				last = now
			}
			c.wantEnd(0x8d)
			if lived := time.Since(began); lived < 4800*time.Millisecond {
				t.Errorf("it was ended after %s, with its last PINGREQ after 2 s", lived)
			}
			return true
		})
		n.until("that to be counted", func() bool { return n.gateway.Stats().Evicted == evicted })
	})
}

// TestMQTT_Takeover: the newer connection of a client identifier ends the older one, and
// says so. [MQTT-3.1.4-3]
func TestMQTT_Takeover(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		log := &memLog{}
		n := startNode(t, log, gateway.Config{})
		older := n.mqttDevice("d", v5)
		newer := n.mqttDevice("d", v5)
		older.wantEnd(0x8e)
		newer.send(newer.publishOf(1, "t", `1`))
		newer.want("PUBACK", 0x40, 2, 0, 1)
	})
}

// TestMQTT_Will: a Will becomes a record when its client goes without DISCONNECT, behind
// what it sent before, and does not when it goes with one. [MQTT-3.1.2-8] [MQTT-3.1.2-10]
func TestMQTT_Will(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		log := &memLog{}
		n := startNode(t, log, gateway.Config{})
		for name, leave := range map[string]func(c *client){
			"vanishes": func(c *client) { _ = c.conn.Close() },
			"leaves":   func(c *client) { c.send([]byte{0xe0, 0}); c.next() },
		} {
			c := n.mqtt(v5)
			version := byte(4)
			if v5 {
				version = 5
			}
			c.send(connectOf(version, 2|4, 60, "", name, "state", `"gone"`))
			c.read()
			c.send(c.publishOf(1, "t", `1`))
			c.want("PUBACK", 0x40, 2, 0, 1)
			leave(c)
		}
		n.until("both have left", func() bool { return n.server.Stats().Open == 0 })
		n.until("the Will is stored", func() bool { return len(log.of("vanishes")) == 2 })
		if r := log.of("vanishes"); r[1].data != `"gone"` {
			t.Errorf("the Will is %s", r[1].data)
		}
		if r := log.of("leaves"); len(r) != 1 {
			t.Errorf("of one that left there are %v", r)
		}
	})
}

// TestMQTT_WillOfOneThatLeftUnheard: a DISCONNECT that waited behind a pause counts, also when
// the connection ends before it is read. [MQTT-3.1.2-10]
func TestMQTT_WillOfOneThatLeftUnheard(t *testing.T) {
	for name, end := range map[string]func(n *node, c *client) error{
		"kicked": func(n *node, _ *client) error {
			return n.gateway.Kick(devicemgr.Key{Tenant: "default", Device: "d"}, 1008, "away")
		},
		"reset": func(_ *node, c *client) error {
			_ = c.conn.(*net.TCPConn).SetLinger(0) // or the end is read behind all else
			return c.conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stuck := make(chan struct{})
			log := &memLog{before: func([]backbone.Record) error { <-stuck; return nil }}
			n := startNode(t, log, gateway.Config{Window: 4})
			c := n.mqtt(true)
			c.send(connectOf(5, 2|4, 60, "", "d", "state", `"gone"`))
			c.read()
			var all [][]byte
			for i := range uint16(40) {
				all = append(all, c.publishOf(i+1, "t", fmt.Sprint(i)))
			}
			c.send(append(all, []byte{0xe0, 0})...)
			n.until("reading is paused", func() bool { return n.server.Stats().Paused == 1 })
			if err := end(n, c); err != nil {
				t.Fatal(err)
			}
			n.until("it is gone", func() bool { return n.server.Stats().Open == 0 })
			close(stuck)
			n.until("what it sent is stored", func() bool { return len(log.of("d")) >= 40 })
			n.until("nothing is held any more", func() bool { return n.gateway.Stats().InFlightBytes == 0 })
			if r := log.of("d"); len(r) != 40 {
				t.Errorf("there are %d records, the last is %s", len(r), r[len(r)-1].data)
			}
		})
	}
}

// TestMQTT_LargeWill: a Will is kept for as long as its connection, and may be larger than
// --max-message, so it has a bound of its own.
func TestMQTT_LargeWill(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		n := startNode(t, &memLog{}, gateway.Config{})
		version := byte(4)
		if v5 {
			version = 5
		}
		fits, large := n.mqtt(v5), n.mqtt(v5)
		fits.send(connectOf(version, 2|4, 60, "", "fits", "state", strings.Repeat("x", 2000)))
		if ack := fits.read(); ack[3] != 0 {
			t.Errorf("a Will of 2,000 bytes: % x", ack)
		}
		large.send(connectOf(version, 2|4, 60, "", "large", "state", strings.Repeat("x", 2100)))
		if ack := large.next(); v5 && (len(ack) < 4 || ack[3] != 0x80) || !v5 && ack != nil {
			t.Errorf("a Will of 2,100 bytes: % x", ack)
		}
	})
}

// TestMQTT_Commands: a command reaches a client from when it has subscribed, those that
// waited included, and its reply comes back.
func TestMQTT_Commands(t *testing.T) {
	versions(t, func(t *testing.T, v5 bool) {
		n := startNode(t, &memLog{}, gateway.Config{})
		c := n.mqttDevice("d", v5)
		key := devicemgr.Key{Tenant: "default", Device: "d"}
		left, out, _, err := n.gateway.Command(context.Background(), key, gateway.Command{Name: "a/b", TTL: time.Minute})
		if err != nil || out != gateway.OutcomeLeft {
			t.Fatalf("before it subscribed: %v, %v", out, err)
		}
		props := []byte{}
		if v5 {
			props = []byte{0}
		}
		c.send(packet(0x82, []byte{0, 5}, props, text("$edgeloop/command/#"), []byte{0}, text("others/#"), []byte{0}))
		refused := byte(0x80)
		if v5 {
			refused = 0x87
		}
		c.want("SUBACK", packet(0x90, []byte{0, 5}, props, []byte{0, refused})...)
		c.want("the command that waited", packet(0x30, text("$edgeloop/command/"+left+"/a%2Fb"), props)...)
		replied := make(chan gateway.Reply, 1)
		go func() {
			_, _, r, _ := n.gateway.Command(context.Background(), key, gateway.Command{Name: "reboot", Data: []byte(`{"in":5}`), Wait: patience})
			replied <- r
		}()
		p := c.read()
		if !bytes.HasSuffix(p, []byte(`{"in":5}`)) {
			t.Fatalf("the command is %q", p)
		}
		id := p[bytes.Index(p, []byte("command/"))+8:][:26]
		c.send(c.publishOf(1, "$edgeloop/reply/"+string(id), `{"done":true}`))
		c.want("PUBACK", 0x40, 2, 0, 1)
		if r := <-replied; !r.OK || string(r.Data) != `{"done":true}` {
			t.Errorf("the reply is %+v", r)
		}
	})
}

// TestMQTT_Refused: what is wrong, and what is not offered, is answered with the reason
// that the specification has for it.
func TestMQTT_Refused(t *testing.T) {
	publish2 := packet(0x34, text("t"), []byte{0, 1, 0})
	for _, tc := range []struct {
		name      string
		v5        bool
		connect   []byte // nil: it is let in
		send      []byte
		answer    []byte // the front of it
		reason    byte   // of the DISCONNECT
		staysOpen bool
	}{
		{name: "version 3", connect: connectOf(3, 2, 60, "", "d"), answer: []byte{0x20, 2, 0, 1}},
		{name: "no name and no clean session", connect: connectOf(4, 0, 60, "", ""), answer: []byte{0x20, 2, 0, 2}},
		{name: "a name that is none", connect: connectOf(4, 2, 60, "", "a b"), answer: []byte{0x20, 2, 0, 2}},
		{name: "authentication method", v5: true, connect: connectOf(5, 2, 60, "\x15\x00\x01x", "d"), answer: []byte{0x20}},
		{name: "no MQTT", connect: []byte("GET / HTTP/1.1\r\n\r\n")},
		{name: "PUBLISH first", connect: publish2},
		{name: "reserved flag", connect: connectOf(4, 3, 60, "", "d")},
		{name: "retain", v5: true, send: packet(0x31, text("t"), []byte{0}), reason: 0x9a},
		{name: "a second CONNECT", v5: true, send: connectOf(5, 2, 60, "", "d"), reason: 0x82},
		{name: "too long", v5: true, send: []byte{0x30, 0xff, 0xff, 0x7f}, reason: 0x95},
		{name: "malformed", v5: true, send: packet(0x30, text("a/+"), []byte{0}), reason: 0x81},
		{name: "AUTH", v5: true, send: packet(0xf0, []byte{0x18, 4, 0x15, 0, 1, 'x'}), reason: 0x8c},
		{name: "topic alias above the maximum", v5: true, send: packet(0x30, text("t"), []byte{3, 0x23, 0, 9}), reason: 0x94},
		{name: "topic alias of nothing", v5: true, send: packet(0x30, text(""), []byte{3, 0x23, 0, 1}), reason: 0x82},
		{name: "seq that is none", v5: true, send: sequenced(1, "x", "1"), answer: []byte{0x40, 4, 0, 1, 0x83}, staysOpen: true},
		{name: "a topic of the node's own", v5: true, send: packet(0x32, text("$x"), []byte{0, 1, 0}), answer: []byte{0x40, 4, 0, 1, 0x90}, staysOpen: true},
		{name: "PUBREL of nothing", v5: true, send: packet(0x62, []byte{0, 9}), answer: []byte{0x70, 4, 0, 9, 0x92}, staysOpen: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log := &memLog{}
			n := startNode(t, log, gateway.Config{})
			c := n.mqtt(tc.v5)
			if tc.connect != nil {
				c.send(tc.connect)
			} else {
				c = n.mqttDevice("d", tc.v5)
				c.send(tc.send)
			}
			if tc.answer != nil {
				if p := c.read(); !bytes.HasPrefix(p, tc.answer) {
					t.Fatalf("answered % x, want % x", p, tc.answer)
				}
			}
			switch {
			case tc.staysOpen:
				c.send([]byte{0xc0, 0})
				c.want("PINGRESP", 0xd0, 0)
			case tc.connect == nil:
				c.wantEnd(tc.reason)
			default:
				if rest, err := io.ReadAll(c.conn); err != nil || len(rest) > 0 {
					t.Errorf("behind it come % x, %v", rest, err)
				}
			}
			if r := log.of("d"); len(r) > 0 {
				t.Errorf("it is stored: %v", r)
			}
		})
	}
}
