package mqttapi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/retained"
)

// startRetaining is a node with a table of what is retained. stop has that written.
func startRetaining(t *testing.T, dir string, most int) (n *node, stop func()) {
	t.Helper()
	return startRetainingWith(t, dir, most, func(l mqttapi.Log) mqttapi.Log { return l })
}

// startRetainingWith is startRetaining with a log of which wrap makes another.
func startRetainingWith(t *testing.T, dir string, most int, wrap func(mqttapi.Log) mqttapi.Log) (n *node, stop func()) {
	t.Helper()
	n = startAs(t, dir, func(n *node) mqttapi.Config {
		topics, err := mqttapi.ParseTopics(mqttapi.DefaultTopics)
		if err != nil {
			t.Fatal(err)
		}
		n.table = retained.New(retained.Config{
			Log: n.log, Store: n.log.Retained(), Most: most,
			Topic: func(device, topic string) string { return topics.OfMQTT(device, "telemetry", topic) },
		})
		if err := n.table.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n.table.Run(ctx)
		}()
		stop = func() {
			cancel()
			<-ended
		}
		return mqttapi.Config{Log: wrap(logOf{n.log}), Retained: n.table}
	})
	t.Cleanup(stop)
	return n, stop
}

// placing tells the table of a record, as the gateway does.
type placing struct {
	table         *retained.Table
	tenant, topic string
	reserved      bool
}

func (p *placing) Placed(position uint64, line []byte) {
	p.table.Retain(p.tenant, p.topic, p.reserved, position, line)
}
func (p *placing) Durable(uint64, int)   {}
func (p *placing) Overtaken(uint64, int) {}
func (p *placing) Wanted() bool          { return true }

// retain appends a message that is to be retained.
func (n *node) retain(tenant, topic, payload string) {
	n.Helper()
	p := &placing{table: n.table, tenant: tenant, topic: n.table.Topic("meter", topic)}
	if payload != "" {
		if p.reserved = n.table.Reserve(tenant, p.topic, len(payload)+400); !p.reserved {
			n.Fatal("no room for ", topic)
		}
	}
	backbonetest.Append(n, n.log, []backbone.Record{{
		Tenant: tenant, Device: "meter", Epoch: 1, Type: "telemetry", Topic: []byte(topic), Received: 5,
		Data: []byte(payload), Base64: true, MQTT: 2, Retain: true, Done: p,
	}})
}

// retained subscribes with options, and gives what comes before a message that is published behind:
// topic, payload, QoS and whether it is retained, in the order of topics.
func (n *node) retained(c *client, options byte, filters ...string) string {
	n.Helper()
	c.subscribe(0, "marker")
	c.subscribe(options, filters...)
	n.add("acme", "meter", "marker", "m")
	var all []string
	for m := c.message(); m.topic != "marker"; m = c.message() {
		if m.qos > 0 {
			c.ack(m)
		}
		all = append(all, fmt.Sprintf("%s=%s/%d/%v", m.topic, m.payload, m.qos, m.retain))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// unsubscribe takes a filter back, and waits for UNSUBACK.
func (c *client) unsubscribe(filter string) {
	c.Helper()
	c.id++
	body := binary.BigEndian.AppendUint16(nil, c.id)
	if c.v5 {
		body = append(body, 0)
	}
	c.send(packet(0xa2, append(body, text(filter)...)))
	if p := c.next(); p == nil || p[0] != 0xb0 {
		c.Fatalf("got % x, want an UNSUBACK", p)
	}
}

// A new subscription gets the last message of each topic that was published to be retained, of its
// tenant, marked as such, and before what comes later. One without a payload takes it out; one that
// is not to be retained changes nothing. [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8]
func TestRetained_NewSubscription(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	n.retain("acme", "a/1", "old")
	n.retain("acme", "a/1", "new")
	n.retain("acme", "a/2", "gone")
	n.retain("acme", "a/2", "")
	n.retain("acme", "b", "elsewhere")
	n.retain("other", "a/3", "secret")
	n.add("acme", "meter", "a/1", "passing")
	n.add("acme", "meter", "a/4", "passing")
	for _, v311 := range []bool{false, true} {
		c, _ := n.enter(hello{id: fmt.Sprint("c", v311), token: tokenAcme, clean: true, v311: v311})
		if got, want := n.retained(c, 1, "a/+"), "a/1=new/1/true"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := n.retained(c, 0, "#"), "a/1=new/0/true b=elsewhere/0/true"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := n.retained(c, 1, "$share/g/a/+"); got != "" {
			t.Errorf("a shared subscription got %s", got)
		}
	}
	other, _ := n.enter(hello{id: "other", user: "other", token: tokenAll, clean: true})
	other.subscribe(1, "#")
	other.want("a/3", "secret")
}

// Retain Handling says whether a subscription gets what is retained: each, only a new one, or none.
// [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
func TestRetained_Handling(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	n.retain("acme", "a", "x")
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	const it = "a=x/0/true"
	for i, of := range []struct {
		options byte
		want    string
	}{{2 << 4, ""}, {1 << 4, ""}, {0, it}, {0, it}} {
		if got := n.retained(c, of.options, "a"); got != of.want {
			t.Errorf("%d: options %#x: got %q, want %q", i, of.options, got, of.want)
		}
	}
	fresh, _ := n.enter(hello{id: "fresh", token: tokenAcme, clean: true})
	for i, want := range []string{it, ""} {
		if got := n.retained(fresh, 1<<4, "a"); got != want {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
	}
}

// A subscription that there is already hears of Retain as it asks for. [MQTT-3.3.1-12] [MQTT-3.3.1-13]
func TestRetained_AsPublished(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	for options, want := range map[byte]bool{0: false, 8: true} {
		for _, filter := range []string{"a", "$share/g" + fmt.Sprint(options) + "/a"} {
			c, _ := n.enter(hello{id: fmt.Sprint(filter, options), token: tokenAcme, clean: true})
			c.subscribe(options|2<<4, filter)
			n.retain("acme", "a", "x")
			if m := c.want("a", "x"); m.retain != want {
				t.Errorf("%s with options %#x: retain %v", filter, options, m.retain)
			}
			n.add("acme", "meter", "a", "plain")
			if m := c.want("a", "plain"); m.retain {
				t.Errorf("%s with options %#x: retain of one that is not", filter, options)
			}
			c.leave()
		}
	}
}

// What is retained outlives the node, also what was in the log and not written when it was killed,
// and what was taken out stays so.
func TestRetained_Restart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		n, stop := startRetaining(t, dir, 100)
		n.retain("acme", "kept", "1")
		n.retain("acme", "out", "1")
		n.retain("acme", "changes", "1")
		stop()
		n.retain("acme", "out", "")
		n.retain("acme", "changes", "2")
		n.retain("acme", "late", "1")
	})
	for range 2 {
		t.Run("after", func(t *testing.T) {
			n, _ := startRetaining(t, dir, 100)
			c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
			if got, want := n.retained(c, 0, "#"), "changes=2/0/true kept=1/0/true late=1/0/true"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// A client that acknowledges nothing is answered all the same while it gets what is retained, and
// gets what comes live behind that.
func TestRetained_SlowClientIsAnswered(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	for i := range 3 {
		n.retain("acme", fmt.Sprint("t/", i), "x")
	}
	quick, _ := n.enter(hello{id: "quick", token: tokenAcme, clean: true})
	quick.subscribe(0, "live")
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 1})
	c.subscribe(0, "live")
	c.subscribe(1, "t/+")
	first := c.message()
	n.add("acme", "meter", "live", "x")
	quick.want("live", "x")
	c.subscribe(2<<4, "other") // is answered
	c.ack(first)
	for i := range 2 {
		c.ack(c.want(fmt.Sprint("t/", i+1), "x"))
	}
	c.want("live", "x")
}

// What is retained behind the SUBSCRIBE comes once, as what it is: live. What is not subscribed to
// any more does not come. [MQTT-3.10.4-2]
func TestRetained_ChangesMeanwhile(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	for i := range 4 {
		n.retain("acme", fmt.Sprint("t/", i), "old")
	}
	n.retain("acme", "u", "old")
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 1})
	c.subscribe(1, "t/+")
	first := c.want("t/0", "old")
	c.subscribe(1, "u")
	n.retain("acme", "t/1", "new")
	n.retain("acme", "t/2", "")
	c.unsubscribe("u")
	c.ack(first)
	for _, want := range []string{"t/3 old true", "t/1 new false", "t/2  false"} {
		m := c.message()
		if c.ack(m); fmt.Sprint(m.topic, " ", m.payload, " ", m.retain) != want {
			t.Errorf("got %s %q, retain %v, want %s", m.topic, m.payload, m.retain, want)
		}
	}
}

// However many there are, all come, each once, as many at a time as the client takes.
func TestRetained_Many(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 10_000)
	const many = 2500
	for i := range many {
		topic := fmt.Sprintf("t/%04d", i)
		n.table.Reserve("acme", topic, 200)
		line := fmt.Sprintf(`{"tenant":"acme","device":"meter","type":"telemetry","topic":%q,"received":5,"qos":1,"retain":true,"data":%d}`, topic, i)
		n.table.Retain("acme", topic, true, 0, []byte(line))
	}
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 3})
	c.subscribe(1, "t/+")
	var open []message
	for i := range many {
		m := c.want(fmt.Sprintf("t/%04d", i), fmt.Sprint(i))
		if open = append(open, m); i < 2 { // those of no position do not wait for each other
			continue
		}
		c.ack(open[0])
		if open = open[1:]; m.qos != 1 || bytes.Contains(m.props, []byte("position")) {
			t.Errorf("QoS %d, properties %q: it is of no position of this log", m.qos, m.props)
		}
	}
}

// What a client costs does not grow with how often it subscribes: one goroutine gives it what is
// retained, and each filter waits once. It is not parallel: it counts goroutines.
func TestRetained_ManySubscriptions(t *testing.T) { //nolint:paralleltest // it counts goroutines
	n, _ := startRetaining(t, t.TempDir(), 100)
	for i := range 10 {
		n.retain("acme", fmt.Sprint("t/", i), "x")
	}
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, receive: 1})
	var filters []string
	for i := range 9 {
		filters = append(filters, fmt.Sprint("t/", i), "+/"+fmt.Sprint(i))
	}
	c.subscribe(1, "t/9")
	first := c.want("t/9", "x")
	for range 50 {
		c.subscribe(1, filters...)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if got := bytes.Count(stacks, []byte("mqttapi.(*client).giveRetained(")); got != 1 {
		t.Errorf("%d goroutines give one client what is retained", got)
	}
	c.ack(first)
	for _, f := range filters {
		c.ack(c.want("t/"+f[len(f)-1:], "x"))
	}
	n.add("acme", "meter", "t/0", "live")
	c.want("t/0", "live")
}

// A message that is larger than a client takes is left out, and those behind it come. [MQTT-3.1.2-25]
func TestRetained_TooLarge(t *testing.T) {
	t.Parallel()
	n, _ := startRetaining(t, t.TempDir(), 100)
	n.retain("acme", "t/1", strings.Repeat("x", 300))
	n.retain("acme", "t/2", "small")
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true, largest: 256, receive: 1})
	c.subscribe(1, "t/#")
	c.want("t/2", "small")
	if got := n.apps.Stats().TooLarge; got != 1 {
		t.Errorf("%d are counted as too large", got)
	}
}

// What a session had still to get, or to acknowledge, when its connection ended comes again with the
// next one, and then no more.
func TestRetained_Resumed(t *testing.T) {
	t.Parallel()
	for _, v311 := range []bool{false, true} {
		n, _ := startRetaining(t, t.TempDir(), 100)
		const topics = 3
		for i := range topics {
			n.retain("acme", fmt.Sprint("t/", i), "x")
		}
		enter := func() *client {
			c, _ := n.enter(hello{id: "app", token: tokenAcme, v311: v311, expiry: 1000, receive: 50})
			return c
		}
		all := func(c *client, ack int) {
			t.Helper()
			for i := range topics {
				if m := c.want(fmt.Sprint("t/", i), "x"); !m.retain || m.qos != 1 {
					t.Errorf("%+v", m)
				} else if i < ack {
					c.ack(m)
				}
			}
		}
		c := enter()
		c.subscribe(1, "t/+", "live")
		all(c, 0) // and is cut off
		for _, ack := range []int{topics - 1, topics} {
			_ = c.conn.Close()
			n.gone()
			c = enter()
			all(c, ack)
		}
		for range 2 {
			n.add("acme", "meter", "live", "1")
			c.ack(c.want("live", "1"))
			c.leave()
			n.gone()
			c = enter()
		}
		n.add("acme", "meter", "live", "2")
		c.want("live", "2")
	}
}
