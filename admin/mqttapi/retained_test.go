package mqttapi_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/internal/testkit"
)

// retainer reads what is to be retained of n's log, until the test or the returned call ends it.
func (n *node) retainer(most int) (r *mqttapi.Retained, stop func()) {
	n.Helper()
	topics, err := mqttapi.ParseTopics(mqttapi.DefaultTopics)
	if err != nil {
		n.Fatal(err)
	}
	r = mqttapi.NewRetained(mqttapi.RetainedConfig{Log: logOf{n.log}, Store: n.log.Retained(), Topics: topics, Most: most})
	if err := r.Load(n.Context()); err != nil {
		n.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	n.Cleanup(stop)
	return r, stop
}

// startRetaining is a node with a Retained.
func startRetaining(t *testing.T, dir string, most int) (n *node, r *mqttapi.Retained, stop func()) {
	t.Helper()
	n = startAs(t, dir, func(n *node) mqttapi.Config {
		r, stop = n.retainer(most)
		return mqttapi.Config{Log: logOf{n.log}, Retained: r}
	})
	return n, r, stop
}

// retain appends a message that is to be retained, as the gateway does; false: it is told that there
// is no room.
func (n *node) retain(r *mqttapi.Retained, tenant, topic, payload string) bool {
	n.Helper()
	if !r.Room(tenant, "meter", []byte(topic), len(payload), 0) {
		return false
	}
	r.Begun()
	backbonetest.Append(n, n.log, []backbone.Record{{
		Tenant: tenant, Device: "meter", Epoch: 1, Type: "telemetry", Topic: []byte(topic), Received: 5,
		Data: []byte(payload), Base64: true, MQTT: 2, Retain: true,
	}})
	r.Ended()
	return true
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

// A new subscription gets the last message of each topic that was published to be retained, of its
// tenant, marked as such, and before what comes later. One without a payload takes it out; one that
// is not to be retained changes nothing. [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8]
func TestRetained_NewSubscription(t *testing.T) {
	t.Parallel()
	n, r, _ := startRetaining(t, t.TempDir(), 100)
	n.retain(r, "acme", "a/1", "old")
	n.retain(r, "acme", "a/1", "new")
	n.retain(r, "acme", "a/2", "gone")
	n.retain(r, "acme", "a/2", "")
	n.retain(r, "acme", "b", "elsewhere")
	n.retain(r, "other", "a/3", "secret")
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
	n, r, _ := startRetaining(t, t.TempDir(), 100)
	n.retain(r, "acme", "a", "x")
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
	n, r, _ := startRetaining(t, t.TempDir(), 100)
	for options, want := range map[byte]bool{0: false, 8: true} {
		for _, filter := range []string{"a", "$share/g" + fmt.Sprint(options) + "/a"} {
			c, _ := n.enter(hello{id: fmt.Sprint(filter, options), token: tokenAcme, clean: true})
			c.subscribe(options|2<<4, filter)
			n.retain(r, "acme", "a", "x")
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

// What is retained outlives the node, also what was in the log and not yet read when it was killed,
// and what was taken out stays so.
func TestRetained_Restart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		n, r, stop := startRetaining(t, dir, 100)
		n.retain(r, "acme", "kept", "1")
		n.retain(r, "acme", "out", "1")
		n.retain(r, "acme", "changes", "1")
		c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
		n.retained(c, 0, "#") // they are read
		stop()
		n.retain(r, "acme", "out", "")
		n.retain(r, "acme", "changes", "2")
		n.retain(r, "acme", "late", "1")
	})
	for range 2 {
		t.Run("after", func(t *testing.T) {
			n, _, _ := startRetaining(t, dir, 100)
			c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
			if got, want := n.retained(c, 0, "#"), "changes=2/0/true kept=1/0/true late=1/0/true"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// A tenant that floods has half of the room and no more, also in bytes, and takes nothing from
// others. What is there can be replaced, and taken out, which makes room.
func TestRetained_Bounds(t *testing.T) {
	t.Parallel()
	n, r, _ := startRetaining(t, t.TempDir(), 8)
	flood := func(tenant string, size int) (took int) {
		for i := range 10 {
			if n.retain(r, tenant, fmt.Sprint("t", i), strings.Repeat("x", size)) {
				took++
			}
		}
		return took
	}
	if took := flood("acme", 1); took != 4 {
		t.Errorf("one tenant has %d, want 4", took)
	}
	if !n.retain(r, "acme", "t1", "again") || n.retain(r, "acme", "more", "x") {
		t.Error("a full tenant may replace, and have no more")
	}
	if took := flood("big", 6<<10); took != 1 {
		t.Errorf("of large ones a tenant has %d, want 1", took)
	}
	if took := flood("other", 1); took != 3 {
		t.Errorf("the other has %d, want 3: what the node has left", took)
	}
	n.retain(r, "acme", "t2", "")
	c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
	if got, want := n.retained(c, 0, "#"), "t0=x/0/true t1=again/0/true t3=x/0/true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !n.retain(r, "acme", "more", "x") {
		t.Error("there is room again")
	}
}

// What did not get to the log leaves no room behind that is taken for good.
func TestRetained_RoomOfTheLost(t *testing.T) {
	t.Parallel()
	n, r, _ := startRetaining(t, t.TempDir(), 4)
	for i := range 2 {
		if !r.Room("acme", "meter", []byte(fmt.Sprint("lost", i)), 1, 0) {
			t.Fatal("no room at first")
		}
		r.Begun()
	}
	if r.Room("acme", "meter", []byte("more"), 1, 0) {
		t.Error("there is room for what is on its way, and more")
	}
	r.Ended()
	r.Ended()
	testkit.Eventually(t, patience, "room for more", func() bool { return n.retain(r, "acme", "more", "x") })
}

// A client that acknowledges nothing is answered all the same while it gets what is retained, and
// gets what comes live behind that.
func TestRetained_SlowClientIsAnswered(t *testing.T) {
	t.Parallel()
	n, r, _ := startRetaining(t, t.TempDir(), 100)
	for i := range 3 {
		n.retain(r, "acme", fmt.Sprint("t/", i), "x")
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
