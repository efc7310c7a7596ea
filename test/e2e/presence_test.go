package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

func containsAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// online asks the API whether the node thinks that a device is connected.
func (n *node) online(device string) bool {
	n.t.Helper()
	status, body := n.api(http.MethodGet, "/v1/devices/default/"+device, nil)
	return status == http.StatusOK && body["online"] == true
}

// A device whose old socket is half open connects again. The newer connection
// wins, the old one is told 4409, and its end does not erase the newer session.
func TestPresence_TheNewerConnectionTakesOver(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		old, first := c.connect(n, "d1")
		old.send(message{"type": "telemetry", "seq": 1, "data": 1})
		old.wantAck(1)
		young, second := c.connect(n, "d1")
		old.wantClosed(4409)
		if second.num("epoch") <= first.num("epoch") || second.num("upto") != 1 {
			t.Errorf("first welcome %v, second %v", first, second)
		}
		if !n.online("d1") {
			t.Error("after the takeover the device is not online")
		}
		young.send(message{"type": "telemetry", "seq": 2, "data": 2})
		young.wantAck(2)
		if log := n.tail(); len(log) != 2 || log[0].Epoch != first.num("epoch") || log[1].Epoch != second.num("epoch") {
			t.Errorf("the log has %+v", log)
		}
		young.close()
		testkit.Eventually(t, patience, "the device to be offline", func() bool { return !n.online("d1") })
	})
}

// The operator lists who is here and closes a connection.
func TestPresence_ListAndKick(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		conns := map[string]*conn{}
		for _, name := range []string{"lamp-1", "lamp-2", "lamp-3"} {
			conns[name], _ = c.connect(n, name)
		}
		if out := n.tool("devices"); !containsAll(out, "lamp-1", "lamp-2", "lamp-3") {
			t.Errorf("edgeloop devices printed %q", out)
		}
		n.tool("kick", "--device", "lamp-2")
		conns["lamp-2"].wantClosed(1008)
		testkit.Eventually(t, patience, "lamp-2 to be offline", func() bool { return !n.online("lamp-2") })
		if !n.online("lamp-1") || !n.online("lamp-3") {
			t.Error("the kick hit a neighbour")
		}
		again, _ := c.connect(n, "lamp-2") // a kick is not a ban
		again.close()
	})
}

// A ban closes the connection with 4403 and refuses the next handshake, also
// after a restart; an unban lets the device in again.
func TestPresence_Ban(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		token := n.token("d1")
		d, _ := c.connectAs(n, token)
		if status, body := n.api(http.MethodPut, "/v1/bans/default/d1", map[string]any{"reason": "stolen"}); status/100 != 2 {
			t.Fatalf("the API answered %d %v", status, body)
		}
		d.wantClosed(4403)
		dial := order{URL: n.url(""), Headers: map[string]string{"Authorization": "Bearer " + token}}
		if e := c.dial(dial).want("refused"); e.Status != http.StatusForbidden {
			t.Errorf("the banned device got %+v", e)
		}
		n.stop()
		n.boot()
		if e := c.dial(dial).want("refused"); e.Status != http.StatusForbidden {
			t.Errorf("after a restart the banned device got %+v", e)
		}
		if status, body := n.api(http.MethodDelete, "/v1/bans/default/d1", nil); status/100 != 2 {
			t.Fatalf("the API answered %d %v", status, body)
		}
		d, _ = c.connectAs(n, token)
		d.close()
	})
}

// Groups: what is broadcast to one reaches its members and nobody else.
func TestPresence_GroupBroadcast(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		var members []*conn
		for i := range 3 {
			d, _ := c.connect(n, fmt.Sprint("in", i))
			d.send(message{"type": "join", "group": "lamps"})
			d.send(message{"type": "telemetry", "seq": 1, "data": 0})
			d.wantAck(1) // the join before it has been handled
			members = append(members, d)
		}
		outsider, _ := c.connect(n, "out")
		members[2].send(message{"type": "leave", "group": "lamps"})
		members[2].send(message{"type": "telemetry", "seq": 2, "data": 0})
		members[2].wantAck(2)

		status, body := n.api(http.MethodPost, "/v1/broadcast", map[string]any{"tenant": "default", "group": "lamps", "name": "off"})
		if status/100 != 2 {
			t.Fatalf("the API answered %d %v", status, body)
		}
		for _, d := range members[:2] {
			if m := d.wantMessage("command"); m.str("name") != "off" {
				t.Errorf("a member got %v", m)
			}
		}
		for _, d := range []*conn{members[2], outsider} {
			d.send(message{"type": "telemetry", "seq": 3, "data": 0})
			d.wantAck(3) // and no command before it
		}
	})
}
