package e2e_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/internal/testkit"
)

// A device was replaced and counts from 1 again, below what the node has of it. The
// operator resets its sequence: it is sent away, told 0 on its next connection, and what it
// sends is taken in. The log keeps what it has, and a restart changes nothing.
func TestReset_AReplacedDevice(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"own log": false, "log elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := []string{"--auth=none", "--retry-after=1s"}
			if elsewhere {
				flags = append(flags, "--nats-url", startNATS(t).url())
			}
			n := start(t, flags...)
			d := upgradeRaw(t, n, "?device=d1", "")
			d.say(frame(fin|opText, `{"type":"telemetry","seq":41,"data":"old"}`))
			d.wantText("ack")
			out := n.tool("reset", "--device=d1")
			if !strings.Contains(out, "highest was 41") {
				t.Errorf("the tool says %q", out)
			}
			d.wantClose(1001)
			fresh, welcome := n.welcomed("d1")
			if welcome.Upto != 0 {
				t.Errorf("after the reset: %+v", welcome)
			}
			fresh(`{"type":"telemetry","seq":1,"data":"new"}`)
			testkit.Eventually(t, patience, "the first message to be in the log", func() bool { return len(n.tail("--device", "d1")) == 3 })
			n.kill()
			n.boot()
			if _, welcome := n.welcomed("d1"); welcome.Upto != 1 {
				t.Errorf("after a restart: %+v", welcome)
			}
			log := n.tail("--device", "d1")
			if len(log) != 3 || log[0].Seq != 41 || log[1].Type != "reset" || log[1].Seq != 0 || log[2].Seq != 1 ||
				log[1].Epoch <= log[0].Epoch || log[2].Epoch <= log[1].Epoch {
				t.Errorf("the log has %+v", log)
			}
			if status, _ := n.api("POST", "/v1/devices/default/nobody/reset", nil); status != 404 {
				t.Errorf("a device that was never seen: %d", status)
			}
			n.stop()
		})
	}
}

// The device is at another node than the one that is asked: that one lets go of it.
func TestReset_AtAnotherNode(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	east := start(t, "--nats-url", nats.url(), "--node=east", "--auth=none", "--retry-after=1s")
	west := start(t, "--nats-url", nats.url(), "--node=west", "--auth=none", "--retry-after=1s")
	d := upgradeRaw(t, west, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":41,"data":"old"}`))
	d.wantText("ack")
	east.tool("reset", "--device=d1")
	d.wantClose(4409)
	if _, welcome := west.welcomed("d1"); welcome.Upto != 0 {
		t.Errorf("where it was: %+v", welcome)
	}
	east.stop()
	west.stop()
}

type welcome struct{ Epoch, Upto uint64 }

// welcomed connects a device as soon as it may, and returns how it sends and what it was
// told. It is gone with the test.
func (n *node) welcomed(device string) (send func(string), w welcome) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.t.Cleanup(cancel)
	var c *websocket.Conn
	testkit.Eventually(n.t, patience, device+" to be let in", func() (ok bool) {
		var err error
		c, _, err = websocket.Dial(ctx, n.url("?device="+device), &websocket.DialOptions{Subprotocols: []string{"edgeloop.v1.json"}})
		return err == nil
	})
	n.t.Cleanup(func() { _ = c.CloseNow() })
	_, text, err := c.Read(ctx)
	if err == nil {
		err = json.Unmarshal(text, &w)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return func(text string) {
		n.t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			n.t.Fatal(err)
		}
	}, w
}
