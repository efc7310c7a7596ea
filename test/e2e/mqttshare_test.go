package e2e_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// linesOf starts a program, and gives what it says line by line until it ends with the test.
func linesOf(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	out := startLines(t, cmd)
	lines, ended := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		for out.Scan() {
			lines <- out.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for more := true; more; {
			select {
			case <-lines: // that nobody reads, so that there is room for the last
			case <-ended:
				more = false
			}
		}
		_ = cmd.Wait()
	})
	return lines
}

// awaitLine reads lines until one has a prefix, and gives that one.
func awaitLine(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	var before []string
	for late := time.After(patience); ; {
		select {
		case line := <-lines:
			if strings.HasPrefix(line, prefix) {
				return line
			}
			before = append(before, line)
		case <-late:
			t.Fatalf("no line %s, behind %q", prefix, before)
		}
	}
}

// mosquitto_sub, of 3.1.1 and of 5, and MQTT.js share a subscription. What MQTT.js has not
// acknowledged when it is killed goes to the others, with all that comes for it.
func TestMQTTApps_Share(t *testing.T) {
	t.Parallel()
	lib := mqttLibraries["MQTT.js"]
	need(t, lib.name, lib.there())
	n, addr := mqttNode(t, "--auth=none")
	var sent []string
	send := func(device, payload string) {
		t.Helper()
		sent = append(sent, payload)
		pub := mosquitto(t, "mosquitto_pub", addr, "-i", device, "-q", "1", "-t", "plant/"+device, "-m", payload)
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	held := exec.CommandContext(t.Context(), "node", "node/mqttshare.js", "mqtt://"+addr, "holds", "default", n.adminToken(), "$share/g/plant/#")
	says := linesOf(t, held)
	awaitLine(t, says, "subscribed")
	send("meter", "first")
	awaitLine(t, says, "held first")
	var subs []<-chan string
	for _, version := range []string{"mqttv311", "mqttv5"} {
		host, port, _ := strings.Cut(addr, ":")
		sub := linesOf(t, exec.CommandContext(t.Context(), "stdbuf", "-oL", "mosquitto_sub", "-h", host, "-p", port, "-V", version, "-i", version, "-u", "default", "-P", n.adminToken(),
			"-t", "$share/g/plant/#", "-q", "1", "-F", "got %p", "-d"))
		awaitLine(t, sub, "Subscribed")
		subs = append(subs, sub)
	}
	for i := range 3 {
		send("meter", fmt.Sprint("more ", i))
		send(fmt.Sprint("valve", i), fmt.Sprint("valve ", i))
	}
	if err := held.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	missing := slices.Clone(sent)
	testkit.Eventually(t, patience, "all messages", func() bool {
		for _, sub := range subs {
			for more := true; more; {
				select {
				case line := <-sub:
					missing = slices.DeleteFunc(missing, func(p string) bool { return line == "got "+p })
				default:
					more = false
				}
			}
		}
		return len(missing) == 0
	})
}
