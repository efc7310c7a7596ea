package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// mqttLibraries are devices that nobody here wrote: the command that runs one, and whether
// it is there.
var mqttLibraries = map[string]struct {
	name    string
	command []string
	there   func() bool
}{
	"MQTT.js": {"node with the mqtt package", []string{"node", "node/mqtt.js"}, func() bool {
		return exec.Command("node", "-e", "require('./node/node_modules/mqtt')").Run() == nil
	}},
	"Paho": {"python3-paho-mqtt", []string{python, "py/mqttdevice.py"}, func() bool {
		return exec.Command(python, "-c", "import paho.mqtt.client").Run() == nil
	}},
}

// Each library, with each version, over each transport: what it publishes is in the log once
// and in order when it was told so, and a command of the API gets its reply.
func TestMQTT_Libraries(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	wss, mqtts := freeAddr(t), freeAddr(t)
	n, tcp := mqttNode(t, "--tls-listen", wss, "--mqtt-tls-listen", mqtts, "--tls-cert", cert, "--tls-key", key)
	const many = 50
	ws := n.listen
	for _, c := range []struct {
		library, version, url string
		qos                   int
	}{
		{"MQTT.js", "4", "mqtt://" + tcp, 2},
		{"MQTT.js", "5", "ws://" + ws + "/mqtt", 1},
		{"MQTT.js", "4", "ws://" + ws + "/v1/device", 0},
		{"MQTT.js", "5", "wss://" + wss + "/mqtt", 2},
		{"Paho", "4", "ws://" + ws + "/mqtt", 2},
		{"Paho", "5", "ws://" + ws + "/v1/device", 1},
		{"Paho", "5", "mqtt://" + tcp, 2},
		{"Paho", "4", "wss://" + wss + "/mqtt", 1},
		{"Paho", "5", "mqtts://" + mqtts, 0},
	} {
		scheme, _, _ := strings.Cut(c.url, ":")
		name := fmt.Sprintf("%s %s %s QoS %d", c.library, c.version, scheme, c.qos)
		t.Run(name, func(t *testing.T) {
			lib := mqttLibraries[c.library]
			need(t, lib.name, lib.there())
			device := strings.ToLower(strings.NewReplacer(" ", "-", ".", "").Replace(name))
			n.actAs(t, append(lib.command, c.url, c.version, device, n.token(device), fmt.Sprint(c.qos), fmt.Sprint(many), ca.File), device)
			var got []string
			testkit.Eventually(t, patience, "the messages to be in the log", func() bool { // of QoS 0 nothing says so
				got = nil
				for _, r := range n.tail("--device", device) {
					got = append(got, string(r.Data))
				}
				return len(got) >= many
			})
			for i := range many {
				if i >= len(got) || got[i] != fmt.Sprint(i) {
					t.Fatalf("the log has %d of %d: %v", len(got), many, got)
				}
			}
			if len(got) != many {
				t.Errorf("the log has %d of %d", len(got), many)
			}
		})
	}
}

// actAs runs a device to its end, with one command.
func (n *node) actAs(t *testing.T, command []string, device string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var wrong strings.Builder
	cmd.Stderr = &wrong
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []string
	var answers <-chan answer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all = append(all, lines.Text())
		var event struct{ Event string }
		_ = json.Unmarshal(lines.Bytes(), &event)
		if event.Event == "acked" {
			answers = n.command("/v1/devices/default/"+device+"/commands?wait=1m", map[string]any{"name": "ping", "data": 1})
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || answers == nil {
		t.Fatalf("%v: %q, %s", err, all, wrong.String())
	}
	if got := testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusOK {
		t.Errorf("the API answered %+v", got)
	}
}

// The node is killed twice while MQTT.js sends with QoS 2, in a session that is kept. It sends
// again what it has to, by itself: each message is stored once, in order, and the session is
// there after each kill.
func TestMQTT_OnceThroughKills(t *testing.T) {
	t.Parallel()
	lib := mqttLibraries["MQTT.js"]
	need(t, lib.name, lib.there())
	for _, version := range []string{"4", "5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n, addr := mqttNode(t, "--auth=none")
			const many = 2000
			ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "node/mqttonce.js", "mqtt://"+addr, version, "d", fmt.Sprint(many))
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			last := ""
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if last = lines.Text(); last == "through 300" || last == "through 900" {
					n.kill()
					n.boot()
				}
			}
			if err := cmd.Wait(); err != nil || last != "present 0 1 1" {
				t.Fatalf("%v, session %s", err, last)
			}
			records := n.tail()
			for i, r := range records {
				if string(r.Data) != fmt.Sprint(i) {
					t.Fatalf("record %d of %d is %s, epoch %d", i, len(records), r.Data, r.Epoch)
				}
			}
			if len(records) != many {
				t.Errorf("%d messages, %d records", many, len(records))
			}
		})
	}
}
