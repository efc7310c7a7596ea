package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/gateway"
)

// TestRights_Groups: a device joins the groups that its token allows, and is told of others.
// With a newer token it is out of those that this one does not allow, and is told.
func TestRights_Groups(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	d := n.connectWith(sign(auth.Claims{Tenant: "acme", Device: "pump", Groups: []string{"pumps", "site/+"}}))
	for _, group := range []string{"pumps", "site/1", "pumps", "doors"} {
		d.send(message{Type: "join", Group: group})
	}
	if m := d.want("error"); m.Code != envelope.CodeNotAllowed || !strings.Contains(m.Message, "doors") {
		t.Errorf("a group that the token does not allow is answered %+v", m)
	}
	reached := func(group string) int {
		_, devices, err := n.gateway.Broadcast("acme", group, "go", nil)
		if err != nil {
			t.Fatal(err)
		}
		return devices
	}
	if in, out := reached("pumps")+reached("site/1"), reached("doors"); in != 2 || out != 0 {
		t.Errorf("its groups reach it %d times, the other %d times; want 2 and 0", in, out)
	}
	d.send(message{Type: "token", Token: sign(auth.Claims{Tenant: "acme", Device: "pump", Groups: []string{"pumps"}})})
	if m := d.want("error"); m.Code != envelope.CodeNotAllowed || !strings.Contains(m.Message, "site/1") {
		t.Errorf("it hears %+v of the group that it is no longer in", m)
	}
	if in, out := reached("pumps"), reached("site/1"); in != 1 || out != 0 {
		t.Errorf("after the newer token its group reaches it %d times, the other %d times; want 1 and 0", in, out)
	}
	if drops := n.gateway.Stats().Drops; drops[gateway.DropNotAllowed] != 2 || drops[gateway.DropBadEnvelope] != 0 {
		t.Errorf("drops are %v", drops)
	}
}

// TestRights_GroupsEndTheConnection: a device that goes on asking for what it may not is closed.
func TestRights_GroupsEndTheConnection(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	d := n.connectWith(sign(auth.Claims{Device: "pump", Groups: []string{}}))
	for range 8 {
		d.send(message{Type: "join", Group: "pumps"})
	}
	d.wantClosed(1008)
}

// commander sends commands to one device.
type commander struct {
	*node
	key devicemgr.Key
}

func (c *commander) wantSent(name string) {
	c.Helper()
	if _, out, _, err := c.gateway.Command(context.Background(), c.key, gateway.Command{Name: name, TTL: time.Minute}); err != nil || out != gateway.OutcomeSent {
		c.Errorf("%s: outcome %v, %v; want it sent", name, out, err)
	}
}

// wantRefused wants the command refused, for the one who waits and for the one who leaves it.
func (c *commander) wantRefused(name string) {
	c.Helper()
	var refused *gateway.CommandError
	_, _, _, err := c.gateway.Command(context.Background(), c.key, gateway.Command{Name: name, TTL: time.Minute})
	_, left := c.gateway.Leave(context.Background(), c.key, gateway.Command{Name: name, TTL: time.Minute})
	if !errors.As(err, &refused) || !errors.As(left, &refused) {
		c.Errorf("%s: got %v and %v; want it refused", name, err, left)
	}
}

func (c *commander) wantBroadcast(name string, devices int) {
	c.Helper()
	if _, n, err := c.gateway.Broadcast(c.key.Tenant, "", name, nil); err != nil || n != devices {
		c.Errorf("a broadcast of %s reaches %d, %v; want %d", name, n, err, devices)
	}
}

// TestRights_Commands: a device gets the commands that its token allows. Others are refused to
// whoever sends them, are no part of a broadcast, and are dropped where they waited. A newer
// token counts at once.
func TestRights_Commands(t *testing.T) {
	t.Parallel()
	store := &memStore{commands: map[string][]string{"pump": {`1 {"name":"set/power"}`, `2 {"name":"get/state"}`}}}
	verifier, sign := tokens(t)
	n := startNodeOver(t, &memLog{}, store, gateway.Config{Verifier: verifier})
	d := n.connectWith(sign(auth.Claims{Tenant: "acme", Device: "pump", Commands: []string{"get/+"}}))
	c := &commander{n, devicemgr.Key{Tenant: "acme", Device: "pump"}}
	next := func(want string) {
		t.Helper()
		if m := d.want("command"); m.Name != want {
			t.Errorf("it gets %s, want %s", m.Name, want)
		}
	}
	next("get/state") // of those that waited
	c.wantRefused("set/power")
	c.wantBroadcast("set/power", 0)
	c.wantBroadcast("get/all", 1)
	next("get/all")
	c.wantSent("get/one")
	next("get/one")
	if drops := n.gateway.Stats().Drops; drops[gateway.DropCommandNotAllowed] != 4 {
		t.Errorf("%d commands were not allowed, want 4", drops[gateway.DropCommandNotAllowed])
	}
	d.send(message{Type: "token", Token: sign(auth.Claims{Tenant: "acme", Device: "pump", Commands: []string{"set/+"}})})
	d.telemetry(1)
	d.wantAck(1)
	c.wantRefused("get/one")
	c.wantSent("set/power")
	next("set/power")
}

// mqttWith is a client of MQTT with that token.
func (n *node) mqttWith(v5 bool, token string) *client {
	n.Helper()
	version := byte(4)
	if v5 {
		version = 5
	}
	c := n.mqtt(v5)
	c.send(connectOf(version, 0xc2, 60, "", "", "any", token))
	if ack := c.read(); ack[0] != 0x20 || ack[3] != 0 {
		n.Fatalf("CONNECT was answered % x", ack)
	}
	return c
}

// subscribeOf is a SUBSCRIBE to the commands.
func (c *client) subscribeOf() []byte {
	head := []byte{0, 9}
	if c.v5 {
		head = append(head, 0)
	}
	return packet(0x82, head, text("$edgeloop/command/#"), []byte{0})
}

// TestRights_CommandsInMQTT: the same in MQTT. A client whose token allows no command at all
// cannot subscribe to them, and hears so.
func TestRights_CommandsInMQTT(t *testing.T) {
	t.Parallel()
	for name, v5 := range map[string]bool{"3.1.1": false, "5.0": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, sign := startTokenNode(t)
			some := n.mqttWith(v5, sign(auth.Claims{Tenant: "acme", Device: "pump", Commands: []string{"get/+"}}))
			some.send(some.subscribeOf())
			if p := some.read(); p[0] != 0x90 || p[len(p)-1] != 0 {
				t.Fatalf("its SUBSCRIBE is answered % x", p)
			}
			c := &commander{n, devicemgr.Key{Tenant: "acme", Device: "pump"}}
			c.wantRefused("set/power")
			c.wantBroadcast("set/power", 0)
			c.wantSent("get/one")
			want := []byte("/get%2Fone")
			if p := some.read(); p[0] != 0x30 || !bytes.Contains(p, want) {
				t.Errorf("it gets %q", p)
			}
			none := n.mqttWith(v5, sign(auth.Claims{Tenant: "acme", Device: "mute", Commands: []string{}}))
			none.send(none.subscribeOf())
			refused := byte(0x80)
			if v5 {
				refused = 0x87
			}
			if p := none.read(); p[0] != 0x90 || p[len(p)-1] != refused {
				t.Errorf("a SUBSCRIBE that the token does not allow is answered % x, want %#x at the end", p, refused)
			}
			c.wantBroadcast("get/all", 1) // the first alone
			if drops := n.gateway.Stats().Drops; drops[gateway.DropNotAllowed] != 1 {
				t.Errorf("%d subscriptions were not allowed, want 1", drops[gateway.DropNotAllowed])
			}
		})
	}
}
