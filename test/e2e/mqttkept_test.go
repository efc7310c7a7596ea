package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"edgeloop/internal/testkit"
)

// left sends a command, which is kept until its device confirms it.
func (n *node) left(device, name string) {
	n.t.Helper()
	status, answer := n.api("POST", "/v1/devices/default/"+device+"/commands", map[string]any{"name": name, "ttl": "10m"})
	if status != 202 || answer["state"] != "left" {
		n.t.Fatalf("the command %s: %d %v", name, status, answer)
	}
}

// waiting is how many commands the API says wait for a device.
func (n *node) waiting(device string) int {
	n.t.Helper()
	_, answer := n.api("GET", "/v1/devices/default/"+device+"/commands", nil)
	commands, _ := answer["commands"].([]any)
	return len(commands)
}

// MQTT.js holds back its PUBACK of one command while the node is killed. It gets that again, as
// the same packet, marked, without having subscribed again, and those that it confirmed never.
func TestMQTT_CommandsThroughKills(t *testing.T) {
	t.Parallel()
	lib := mqttLibraries["MQTT.js"]
	need(t, lib.name, lib.there())
	for _, version := range []string{"4", "5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n, addr := mqttNode(t, "--auth=none")
			ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "node/mqttkept.js", "mqtt://"+addr, version, "d")
			lines := startLines(t, cmd)
			next := func(want string) {
				t.Helper()
				if !lines.Scan() || lines.Text() != want {
					t.Fatalf("the device says %q, want %q", lines.Text(), want)
				}
			}
			next("granted 1")
			n.left("d", "first")
			next("first 2 0")
			testkit.Eventually(t, patience, "what is confirmed not to wait", func() bool { return n.waiting("d") == 0 })
			n.left("d", "hold")
			next("hold 3 0")
			n.left("d", "end")
			n.kill()
			n.boot()
			next("present")
			next("hold 3 1")
			next("end 4 1")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			testkit.Eventually(t, patience, "nothing to wait", func() bool { return n.waiting("d") == 0 })
		})
	}
}

// mosquitto_sub gets commands with QoS 1 in a session that is kept: those of while it was
// away come when it is there again, each once, since it has confirmed them. It goes when the node
// has heard so: what waits in its socket (Nagle) is lost when it closes with a SUBACK unread.
func TestMQTT_MosquittoSubKept(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		session := []string{"-V", version, "-c", "-i", version, "-q", "1", "-t", "$edgeloop/command/#", "-F", "%t %q"}
		if version == "mqttv5" {
			session = append(session, "-x", "600")
		}
		for round := range 3 {
			names := []string{fmt.Sprint("a", round), fmt.Sprint("b", round)}
			for _, name := range names {
				n.left(version, name)
			}
			sub := mosquitto(t, "mosquitto_sub", addr, session...)
			lines := startLines(t, sub)
			for _, name := range names {
				if !lines.Scan() || !strings.HasSuffix(lines.Text(), "/"+name+" 1") {
					t.Fatalf("%s, round %d: %q, want %s", version, round, lines.Text(), name)
				}
			}
			testkit.Eventually(t, patience, "what is confirmed not to wait", func() bool { return n.waiting(version) == 0 })
			_ = sub.Process.Signal(syscall.SIGTERM)
			if lines.Scan() {
				t.Errorf("%s, round %d: %s as well", version, round, lines.Text())
			}
			_ = sub.Wait()
		}
	}
}
