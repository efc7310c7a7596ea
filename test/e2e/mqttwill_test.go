package e2e_test

import (
	"bufio"
	"encoding/base64"
	"os/exec"
	"slices"
	"testing"

	"edgeloop/internal/testkit"
)

// states are what the log has of a device below the topic state.
func (n *node) states(device string) (all []string) {
	n.t.Helper()
	for _, r := range n.tail("--device", device) {
		data := string(r.Data)
		if b, err := base64.StdEncoding.DecodeString(data[1:max(1, len(data)-1)]); r.Encoding == "base64" && err == nil {
			data = string(b)
		}
		if r.Topic == "state" {
			all = append(all, data)
		}
	}
	return all
}

// mosquitto_sub and mosquitto_pub are killed. Their Wills are published when their delay is over,
// without one at once, and not when they leave.
func TestMQTTWill_Mosquitto(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	will := []string{"--will-topic", "state", "--will-payload", "gone", "--will-qos", "1", "-V", "mqttv5", "-c", "-x", "600"}
	delay := []string{"-D", "will", "will-delay-interval", "1"}
	sub := []string{"-q", "1", "-t", "$edgeloop/command/#"}
	for device, tool := range map[string]struct {
		name string
		args []string
	}{
		"sub": {"mosquitto_sub", slices.Concat(will, delay, sub)},
		"now": {"mosquitto_sub", slices.Concat(will, sub)},
		"pub": {"mosquitto_pub", slices.Concat(will, delay, []string{"-t", "t", "-l"})},
	} {
		cmd := mosquitto(t, tool.name, addr, append(tool.args, "-i", device, "-d")...)
		cmd = exec.CommandContext(t.Context(), "stdbuf", append([]string{"-oL"}, cmd.Args...)...)
		if _, err := cmd.StdinPipe(); err != nil { // for lines that never come
			t.Fatal(err)
		}
		awaitLine(t, linesOf(t, cmd), "Client "+device+" received CONNACK") // before that it has no Will
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		testkit.Eventually(t, patience, "the Will of "+device, func() bool { return slices.Equal(n.states(device), []string{"gone"}) })
	}
	n.wantMetric("edgeloop_gateway_wills_waiting", "", 0)
	hour := []string{"-D", "will", "will-delay-interval", "3600"} // it would be seen to wait
	left := mosquitto(t, "mosquitto_pub", addr, append(slices.Concat(will, hour), "-i", "left", "-q", "1", "-t", "state", "-m", "left")...)
	if out, err := left.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	testkit.Eventually(t, patience, "left to have left", func() bool { return !n.online("left") })
	if got := n.states("left"); !slices.Equal(got, []string{"left"}) || n.metric("edgeloop_gateway_wills_waiting", "") != 0 {
		t.Errorf("of one that left: %v", got)
	}
}

// Wills that wait outlive kill -9 and a restart of the node, which ends connections with a Will.
// A device that is back in its session takes its own out; one that begins anew has it published.
func TestMQTTWill_ThroughKills(t *testing.T) {
	t.Parallel()
	lib := mqttLibraries["MQTT.js"]
	need(t, lib.name, lib.there())
	n, addr := mqttNode(t, "--auth=none")
	come := func(device, clean, want string) *exec.Cmd {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "node", "node/mqttwill.js", "mqtt://"+addr, device, clean)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if line := bufio.NewScanner(out); !line.Scan() || line.Text() != want {
			t.Fatalf("%s says %q, want %q", device, line.Text(), want)
		}
		return cmd
	}
	waiting := func(want float64) {
		t.Helper()
		testkit.Eventually(t, patience, "the Wills that wait", func() bool {
			return n.metric("edgeloop_gateway_wills_waiting", "") == want && n.metric("edgeloop_gateway_wills_unsaved", "") == 0
		})
	}
	for _, device := range []string{"same", "anew"} {
		_ = come(device, "true", "new").Process.Kill()
	}
	waiting(2)
	n.kill()
	n.boot()
	waiting(2)
	come("same", "false", "present")
	come("anew", "true", "new")
	waiting(0)
	n.stop()
	n.boot()
	waiting(2)
	for device, want := range map[string][]string{"same": {"here", "here"}, "anew": {"here", "gone", "here"}} {
		if got := n.states(device); !slices.Equal(got, want) {
			t.Errorf("of %s the log has %v, want %v", device, got, want)
		}
	}
}
