package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// When its token expires a device is told 4401, and the old token does not let
// it in again.
func TestToken_Expires(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		token := n.token("d1", "--ttl", "15s")
		d, _ := c.connectAs(n, token)
		d.send(message{"type": "telemetry", "seq": 1, "data": 0})
		d.wantAck(1)
		d.wantClosed(4401)
		e := c.dial(order{URL: n.url(""), Headers: map[string]string{"Authorization": "Bearer " + token}}).want("refused")
		if e.Status != http.StatusUnauthorized {
			t.Errorf("the expired token got %+v", e)
		}
		n.stop()
	})
}

// A newer token, sent in time, keeps the connection; a wrong one does not help.
func TestToken_Refresh(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		longer, another := n.token("d1", "--ttl", "1h"), n.token("another-device")
		began := time.Now()
		d, _ := c.connectAs(n, n.token("d1", "--ttl", "15s"))
		d.send(message{"type": "token", "token": longer})
		d.send(message{"type": "telemetry", "seq": 1, "data": 0})
		d.wantAck(1)
		testkit.Eventually(t, patience, "the first token's time to pass", func() bool { return time.Since(began) > 18*time.Second })
		d.send(message{"type": "telemetry", "seq": 2, "data": 0})
		d.wantAck(2)
		d.close()

		d, _ = c.connectAs(n, n.token("d1", "--ttl", "15s"))
		d.send(message{"type": "token", "token": another})
		d.wantMessage("error")
		d.wantClosed(4401)
		n.stop()
	})
}

// The three places of a token. A subprotocol "bearer.TOKEN" is for browsers and
// is never the one selected.
func TestToken_Places(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		token := n.token("d1")
		for name, o := range map[string]order{
			"header":      {URL: n.url(""), Protocols: []string{"edgeloop.v1.json"}, Headers: map[string]string{"Authorization": "Bearer " + token}},
			"query":       {URL: n.url("?token=" + token), Protocols: []string{"edgeloop.v1.json"}},
			"subprotocol": {URL: n.url(""), Protocols: []string{"edgeloop.v1.json", "bearer." + token}},
			"token first": {URL: n.url(""), Protocols: []string{"bearer." + token, "edgeloop.v1.json"}},
		} {
			d := c.dial(o)
			if e := d.want("open"); e.Protocol != "edgeloop.v1.json" {
				t.Errorf("%s: subprotocol %q", name, e.Protocol)
			}
			d.wantMessage("welcome")
			d.close()
		}
		n.stop()
	})
}

// With --auth=none, and only then, the query names the device.
func TestToken_AuthNone(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t, "--auth=none")
		c := startClient(t, lib)
		d := c.dial(order{URL: n.url("?device=d1&tenant=red"), Protocols: []string{"edgeloop.v1.json"}})
		d.want("open")
		d.wantMessage("welcome")
		d.send(message{"type": "telemetry", "seq": 1, "data": 0})
		d.wantAck(1)
		if log := n.tail(); len(log) != 1 || log[0].Tenant != "red" || log[0].Device != "d1" {
			t.Errorf("the log has %+v", log)
		}
		if e := c.dial(order{URL: n.url("")}).want("refused"); e.Status/100 != 4 {
			t.Errorf("without a name: %+v", e)
		}
		n.stop()
	})
}

// A token may restrict the topics; what is sent elsewhere is refused and not logged.
func TestToken_Topics(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		d, _ := startClient(t, lib).connectAs(n, n.token("d1", "--topic", "room/+/temp"))
		d.send(message{"type": "telemetry", "topic": "room/1/humidity", "data": "no"})
		d.wantMessage("error")
		d.send(message{"type": "telemetry", "seq": 1, "topic": "room/1/temp", "data": "yes"})
		d.wantAck(1)
		if log := n.tail(); len(log) != 1 || string(log[0].Data) != `"yes"` {
			t.Errorf("the log has %+v", log)
		}
		n.stop()
	})
}

// A token may restrict the groups that a device joins and the commands that it gets: who asks
// for more, on either side, is told.
func TestToken_WhatADeviceMayDo(t *testing.T) {
	t.Parallel()
	n := start(t)
	c := startClient(t, "python")
	d, _ := c.connectAs(n, n.token("d1", "--group", "pumps/+", "--command", "get/+"))
	d.send(message{"type": "join", "group": "pumps/north"})
	d.send(message{"type": "join", "group": "doors"})
	if m := d.wantMessage("error"); m.str("code") != "not_allowed" {
		t.Errorf("a group that the token does not allow is answered %v", m)
	}
	post := func(path, name string, group any) (status int, devices float64) {
		status, body := n.api(http.MethodPost, path, map[string]any{"tenant": "default", "group": group, "name": name})
		devices, _ = body["devices"].(float64)
		return status, devices
	}
	for group, want := range map[string]float64{"pumps/north": 1, "doors": 0} {
		if status, devices := post("/v1/broadcast", "get/state", group); status/100 != 2 || devices != want {
			t.Errorf("a broadcast to %s was answered %d, and reached %v; want %v", group, status, devices, want)
		}
	}
	if m := d.wantMessage("command"); m.str("name") != "get/state" {
		t.Errorf("the device got %v", m)
	}
	path := "/v1/devices/default/d1/commands"
	refused, _ := n.api(http.MethodPost, path, map[string]any{"name": "set/power"})
	taken, _ := n.api(http.MethodPost, path, map[string]any{"name": "get/power"})
	if refused != http.StatusUnprocessableEntity || taken/100 != 2 {
		t.Errorf("the API answered %d to a command that the token does not allow, %d to one that it does", refused, taken)
	}
	if m := d.wantMessage("command"); m.str("name") != "get/power" {
		t.Errorf("the device got %v", m)
	}
	for reason, want := range map[string]float64{"not_allowed": 1, "command_not_allowed": 1} {
		n.wantMetric("edgeloop_gateway_drops_total", `reason="`+reason+`"`, want)
	}
	n.stop()
}
