package e2e_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edgeloop/internal/testkit"
)

// reload sends SIGHUP and waits until the node has said what came of it.
func (n *node) reload(says string) {
	n.t.Helper()
	before := strings.Count(n.log.String(), "read again")
	n.signal(syscall.SIGHUP)
	testkit.Eventually(n.t, patience, "the settings to be read again", func() bool {
		return strings.Count(n.log.String(), "read again") > before
	})
	testkit.Eventually(n.t, patience, "the log to say "+says, func() bool {
		text := n.log.String()
		return strings.Contains(text[strings.LastIndex(text, "read again"):], says)
	})
}

// knock asks the node for a connection and returns the status of its answer.
func (n *node) knock(token string) int {
	n.t.Helper()
	c := dialTCP(n.t, n.listen)
	defer c.Close()
	c.say("GET /v1/device HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Protocol: edgeloop.v1.json\r\nAuthorization: Bearer " + token + "\r\n\r\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// ask calls the admin API with a token and returns the status.
func (n *node) ask(token string) int {
	n.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+n.admin+"/v1/node", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
	return resp.StatusCode
}

// Keys are replaced under a running node, as docs/operations.md has it: at no step
// is anybody locked out who has been given the new token in time, and nobody who
// is connected notices.
func TestReload_KeysAreReplaced(t *testing.T) {
	t.Parallel()
	n := start(t, "--drain-window=100ms")
	d := dialRaw(t, n, "d1")
	secret, admin := filepath.Join(n.dir, "device.secret"), filepath.Join(n.dir, "admin.token")
	adminToken := func() string {
		t.Helper()
		b, err := os.ReadFile(admin)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	old, oldAdmin := n.token("d2"), adminToken()
	for _, path := range []string{secret, admin} {
		if err := os.Rename(path, path+".previous"); err != nil {
			t.Fatal(err)
		}
	}
	n.reload("")
	renewed, renewedAdmin := n.token("d3"), adminToken()
	if renewedAdmin == oldAdmin {
		t.Fatal("the admin token was not made anew")
	}
	want := func(step string, oldDevice, newDevice, oldOperator, newOperator int) {
		t.Helper()
		if o, r := n.knock(old), n.knock(renewed); o != oldDevice || r != newDevice {
			t.Errorf("%s: devices with the old and the new token get %d and %d, want %d and %d", step, o, r, oldDevice, newDevice)
		}
		if o, r := n.ask(oldAdmin), n.ask(renewedAdmin); o != oldOperator || r != newOperator {
			t.Errorf("%s: operators with the old and the new token get %d and %d, want %d and %d", step, o, r, oldOperator, newOperator)
		}
	}
	want("both are there", 101, 101, 200, 200)
	for _, path := range []string{secret, admin} {
		if err := os.Remove(path + ".previous"); err != nil {
			t.Fatal(err)
		}
	}
	n.reload("")
	want("the old ones are gone", 401, 101, 401, 200)
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	d.wantText("ack")
	endsWell(t, n, d)
}

// The settings are read again: what may change does, what may not is named, and
// with a mistake in it nothing changes at all.
func TestReload_Settings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "edgeloop.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("window: 7\nlanes: 8\n")
	n := start(t, "--config", file, "--auth=none")
	want := func(window float64) {
		t.Helper()
		_, status := n.api("GET", "/v1/node", nil)
		if got := status["limits"].(map[string]any)["window"]; got != window {
			t.Errorf("the window is %v, want %v", got, window)
		}
	}
	upgradeRaw(t, n, "?device=d1", "").Close() // not a word of it at info
	write("window: 9\nlog-level: debug\nlanes: 16\n")
	n.reload(`"flags": ["lanes"]`)
	want(9)
	upgradeRaw(t, n, "?device=d2", "").Close()
	testkit.Eventually(t, patience, "a line at debug", func() bool { return strings.Contains(n.log.String(), "DEBUG") })
	for text, says := range map[string]string{
		"window: 0\n":                      "window",
		"windw: 11\n":                      "windw",
		"window: 11\nheartbeat: 20m\n":     "idle-timeout",
		"window: [\n":                      file,
		"window: 11\npool-size: 1000000\n": "pool-size",
	} {
		write(text)
		n.reload(says)
		want(9)
	}
	if err := os.Chmod(filepath.Join(n.dir, "admin.token"), 0o644); err != nil {
		t.Fatal(err)
	}
	write("window: 11\n")
	n.reload("chmod")
	want(9)
	n.stop()
}
