package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// answer is what the API said to a command.
type answer struct {
	status int
	body   map[string]any
}

// command posts a command without waiting for the answer.
func (n *node) command(path string, body map[string]any) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		status, b := n.api(http.MethodPost, path, body)
		c <- answer{status, b}
	}()
	return c
}

// An operator asks a connected device and gets its own words back.
func TestCommand_Reply(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		d, _ := startClient(t, lib).connect(n, "d1")

		answers := n.command("/v1/devices/default/d1/commands?wait=1m", map[string]any{"name": "set-interval", "data": map[string]any{"s": 5}})
		m := d.wantMessage("command")
		data, _ := m["data"].(map[string]any)
		if m.str("name") != "set-interval" || fmt.Sprint(data) != "map[s:5]" || m.str("id") == "" {
			t.Errorf("the device got %v", m)
		}
		d.send(message{"type": "reply", "id": m["id"], "ok": true, "data": message{"was": 1}})
		got := testkit.Receive(t, patience, "the API's answer", answers)
		if got.status != http.StatusOK || got.body["id"] != m["id"] || got.body["ok"] != true || fmt.Sprint(got.body["data"]) != "map[was:1]" {
			t.Errorf("the API answered %+v", got)
		}

		answers = n.command("/v1/devices/default/d1/commands?wait=1m", map[string]any{"name": "self-test"})
		m = d.wantMessage("command")
		d.send(message{"type": "reply", "id": m["id"], "ok": false, "data": "no such command"})
		if got = testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusOK || got.body["ok"] != false {
			t.Errorf("the API answered %+v to a device that said no", got)
		}
	})
}

// The same by the command-line tool.
func TestCommand_Send(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		d, _ := startClient(t, lib).connect(n, "d1")
		printed := make(chan string, 1)
		go func() { printed <- n.tool("send", "--device", "d1", "--wait", "1m", "ping") }()
		m := d.wantMessage("command")
		if m.str("name") != "ping" {
			t.Errorf("the device got %v", m)
		}
		d.send(message{"type": "reply", "id": m["id"], "ok": true, "data": "pong-from-device"})
		if out := testkit.Receive(t, patience, "edgeloop send", printed); !containsAll(out, "pong-from-device") {
			t.Errorf("edgeloop send printed %q", out)
		}
	})
}

func TestCommand_NoReply(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		d, _ := startClient(t, lib).connect(n, "d1")
		path := "/v1/devices/default/d1/commands"

		t.Run("a device that does not answer in time is 504", func(t *testing.T) {
			answers := n.command(path+"?wait=300ms", map[string]any{"name": "x"})
			d.wantMessage("command")
			if got := testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusGatewayTimeout {
				t.Errorf("the API answered %+v", got)
			}
		})
		t.Run("a command nobody waits for is 202", func(t *testing.T) {
			answers := n.command(path, map[string]any{"name": "y"})
			if got := testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusAccepted || got.body["id"] == "" {
				t.Errorf("the API answered %+v", got)
			}
			if m := d.wantMessage("command"); m.str("name") != "y" {
				t.Errorf("the device got %v", m)
			}
		})
		t.Run("a device never seen is 404", func(t *testing.T) {
			if status, body := n.api(http.MethodPost, "/v1/devices/default/nobody/commands?wait=1s", map[string]any{"name": "x"}); status != http.StatusNotFound {
				t.Errorf("the API answered %d %v", status, body)
			}
		})
		t.Run("a body that is no command is 400", func(t *testing.T) {
			if status, body := n.api(http.MethodPost, path, map[string]any{"nam": "x"}); status != http.StatusBadRequest {
				t.Errorf("the API answered %d %v", status, body)
			}
		})
	})
}

// A command for a device that is away waits for it, is delivered once, and is
// forgotten when its time to live has passed. It survives the node.
func TestCommand_Offline(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		path := "/v1/devices/default/sleeper/commands"
		status, body := n.api(http.MethodPost, path, map[string]any{"name": "stale", "ttl": "1s"})
		if status != http.StatusAccepted {
			t.Fatalf("the API answered %d %v", status, body)
		}
		staleAt := time.Now().Add(1500 * time.Millisecond)
		if status, body = n.api(http.MethodPost, path, map[string]any{"name": "first", "ttl": "1h"}); status != http.StatusAccepted {
			t.Fatalf("the API answered %d %v", status, body)
		}
		if status, body = n.api(http.MethodPost, path, map[string]any{"name": "second", "data": 2, "ttl": "1h"}); status != http.StatusAccepted {
			t.Fatalf("the API answered %d %v", status, body)
		}
		n.stop()
		n.boot()
		testkit.Eventually(t, patience, "the stale command's time to pass", func() bool { return time.Now().After(staleAt) })

		d, _ := c.connect(n, "sleeper")
		for _, want := range []string{"first", "second"} {
			if m := d.wantMessage("command"); m.str("name") != want {
				t.Fatalf("got %v, want the command %s", m, want)
			}
		}
		d.close()

		d, _ = c.connect(n, "sleeper")
		d.send(message{"type": "telemetry", "seq": 1, "data": 0})
		d.wantAck(1) // and no command before it
	})
}

// What waits for a device is known with its end, listed, and taken back; a command that
// is now or never does not wait, also for a device that is known.
func TestCommand_WaitingIsTakenBack(t *testing.T) {
	t.Parallel()
	n := start(t)
	c := startClient(t, "python")
	d, _ := c.connect(n, "sleeper")
	d.close()
	testkit.Eventually(t, patience, "the device to be offline", func() bool { return !n.online("sleeper") })
	path := "/v1/devices/default/sleeper/commands"
	leave := func(body map[string]any, least, most time.Duration) string {
		t.Helper()
		status, answer := n.api(http.MethodPost, path, body)
		expires, err := time.Parse(time.RFC3339, fmt.Sprint(answer["expires"]))
		if left := time.Until(expires); status != http.StatusAccepted || err != nil || left < least || left > most {
			t.Fatalf("the API answered %d %v", status, answer)
		}
		return answer["id"].(string)
	}
	first := leave(map[string]any{"name": "first"}, 0, time.Minute)
	leave(map[string]any{"name": "second", "ttl": "1h"}, 50*time.Minute, time.Hour)
	leave(map[string]any{"name": "third", "ttl": "9999h"}, 100*time.Hour, 168*time.Hour) // no longer than --command-max-age
	if status, body := n.api(http.MethodPost, path, map[string]any{"name": "now", "ttl": "0s"}); status != http.StatusNotFound || !containsAll(fmt.Sprint(body["type"]), "not-connected") {
		t.Errorf("now or never was answered %d %v", status, body)
	}
	if _, errs, code := n.run("send", "now", "--device=sleeper", "--now", "--data-dir", n.dir); code != 1 || !containsAll(errs, "not connected") {
		t.Errorf("send --now: exit code %d, %s", code, errs)
	}
	if out := n.tool("commands", "--device=sleeper"); !containsAll(out, first, "first", "second", "third") || strings.Contains(out, "now") {
		t.Errorf("edgeloop commands printed %q", out)
	}
	n.tool("cancel", first, "--device=sleeper")
	if _, errs, code := n.run("cancel", first, "--device=sleeper", "--data-dir", n.dir); code != 1 || !containsAll(errs, "no such command") {
		t.Errorf("cancel again: exit code %d, %s", code, errs)
	}
	d, _ = c.connect(n, "sleeper")
	for _, want := range []string{"second", "third"} {
		if m := d.wantMessage("command"); m.str("name") != want {
			t.Errorf("the device got %v, want %s", m, want)
		}
	}
	d.close()
	n.stop()
}
