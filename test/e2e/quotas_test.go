package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// hold opens a connection for a device of a tenant that names itself, and says how it was
// answered. It stays until the test ends, or closed is called.
func (n *node) hold(tenant, device string) (status int, header http.Header, closed func() error) {
	n.t.Helper()
	c := dialTCP(n.t, n.listen)
	c.say("GET /v1/device?device=" + device + "&tenant=" + tenant + " HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	res.Body.Close() // it is empty, or says what the status does; frames follow
	return res.StatusCode, res.Header, c.Close
}

// TestQuotas_FromOutside: what the configuration gives a tenant holds, is shown, and changes
// while the node runs, by a reload and by hand. What was changed by hand is there after a kill.
func TestQuotas_FromOutside(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "edgeloop.yaml")
	configure := func(commands int) {
		text := fmt.Sprintf("tenants:\n  \"*\": {max-connections: 1}\n  acme: {max-connections: 2, stored-commands: %d}\n", commands)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure(1)
	n := start(t, "--auth=none", "--config", file)
	for _, device := range []string{"a", "b"} {
		if status, _, _ := n.hold("acme", device); status != http.StatusSwitchingProtocols {
			t.Fatalf("device %s of acme was answered %d", device, status)
		}
	}
	if status, header, _ := n.hold("acme", "c"); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("a third connection of acme was answered %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	if status, _, _ := n.hold("other", "a"); status != http.StatusSwitchingProtocols {
		t.Errorf("a device of another tenant was answered %d", status)
	}
	if status, _, _ := n.hold("other", "b"); status != http.StatusTooManyRequests {
		t.Errorf("a second one was answered %d", status)
	}
	for tenant, want := range map[string]float64{"acme": 1, "*": 1} {
		n.wantMetric("edgeloop_quota_over_total", `quota="connections",tenant="`+tenant+`"`, want)
	}

	command := func(tenant, device string) int {
		status, _ := n.api(http.MethodPost, "/v1/devices/"+tenant+"/"+device+"/commands", map[string]any{"name": "x", "ttl": "1h"})
		return status
	}
	if got := []int{command("acme", "x"), command("acme", "y"), command("other", "x")}; got[0] != 202 || got[1] != 429 || got[2] != 202 {
		t.Errorf("commands were answered %v, want 202, 429 for a second of acme, 202 for another tenant", got)
	}
	configure(2)
	n.reload("tenants")
	if got := command("acme", "y"); got != 202 {
		t.Errorf("a second command was answered %d after the quota was raised", got)
	}

	if out := n.tool("tenant", "acme", "max_connections=3"); !strings.Contains(out, "2 connections") || !strings.Contains(out, "changed, was 2") {
		t.Errorf("the tool printed %q", out)
	}
	status, _, leave := n.hold("acme", "c")
	if status != http.StatusSwitchingProtocols {
		t.Errorf("a third connection was answered %d after the quota was raised", status)
	}
	_ = leave()
	n.kill()
	n.boot()
	if out := n.tool("tenant", "acme"); !strings.Contains(out, "changed, was 2") {
		t.Errorf("after a restart the tool printed %q", out)
	}
	if status, answer := n.api(http.MethodPatch, "/v1/tenants/acme/limits", map[string]any{"max_connections": nil}); status != 200 {
		t.Errorf("taking it back was answered %d %v", status, answer)
	}
	if out := n.tool("tenant", "acme"); strings.Contains(out, "changed, was") {
		t.Errorf("after that the tool printed %q", out)
	}
}

// TestQuotas_StoredBytes: a tenant fills its part of the log. It is refused then, and what was
// acknowledged is there; another tenant goes on. After a kill the node knows it at once, and a
// larger quota lets it go on.
func TestQuotas_StoredBytes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "edgeloop.yaml")
	if err := os.WriteFile(file, []byte("tenants:\n  acme: {stored-bytes: 64KiB}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, "--auth=none", "--config", file)
	c := startClient(t, "python")
	connect := func(tenant string) *conn {
		d := c.dial(order{URL: n.url("?device=d&tenant=" + tenant), Protocols: []string{"edgeloop.v1.json"}})
		d.want("open")
		d.wantMessage("welcome")
		return d
	}
	data := strings.Repeat("x", 8<<10)
	send := func(d *conn, seq int) message {
		d.send(message{"type": "telemetry", "seq": seq, "data": data})
		var answer message
		if err := json.Unmarshal([]byte(d.want("text").Data), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	acme, taken := connect("acme"), 0
	for answer := send(acme, 1); answer.str("type") == "ack"; answer = send(acme, taken+1) {
		if taken++; taken > 20 {
			t.Fatal("the quota does not hold")
		}
	}
	if taken < 6 || taken > 9 {
		t.Errorf("%d messages of 8 KiB were taken with a quota of 64 KiB", taken)
	}
	if answer := send(connect("other"), 1); answer.str("type") != "ack" {
		t.Errorf("another tenant was answered %v", answer)
	}
	n.kill()
	n.boot()
	acme = connect("acme")
	if answer := send(acme, taken+2); answer.str("code") != "quota" {
		t.Errorf("after a kill it was answered %v", answer)
	}
	testkit.Eventually(t, patience, "the refusal to be counted", func() bool {
		return n.metric("edgeloop_quota_over_total", `quota="stored_bytes",tenant="acme"`) >= 1
	})
	n.tool("tenant", "acme", "stored_bytes=1048576")
	if answer := send(acme, taken+2); answer.str("type") != "ack" {
		t.Errorf("with a larger quota it was answered %v", answer)
	}
	of := 0
	for _, r := range n.tail() {
		if r.Tenant == "acme" {
			of++
		}
	}
	if of != taken+1 {
		t.Errorf("the log has %d messages of the tenant, want %d", of, taken+1)
	}
	n.stop()
}
