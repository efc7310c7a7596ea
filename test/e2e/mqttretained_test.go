package e2e_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// What mosquitto_pub retains, mosquitto_sub gets at once, by 3.1.1 and by 5: the last of each topic,
// through kill -9 right behind the PUBACK, until one without a payload takes it out. A Will is
// retained too. Nobody retains on a topic that the token does not allow, or for another tenant.
func TestMQTTRetained_Mosquitto(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t)
	tokens := map[string]string{}
	for _, tenant := range []string{"acme", "globex"} {
		tokens[tenant] = strings.TrimSpace(n.tool("token", "--admin", "reader-"+tenant, "--scope", "read", "--tenant", tenant))
	}
	n.reload("")
	meter := n.token("meter", "--tenant", "acme", "--topic", "plant/#", "--topic", "state")
	retain := func(version string, args ...string) {
		t.Helper()
		pub := mosquitto(t, "mosquitto_pub", addr, append([]string{"-V", version, "-i", "meter", "-u", "any", "-P", meter, "-q", "1", "-r"}, args...)...)
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	kept := func(tenant, version string) string {
		t.Helper()
		sub := mosquitto(t, "mosquitto_sub", addr, "-V", version, "-u", tenant, "-P", tokens[tenant], "-t", "#", "-F", "%r %t %p", "-W", "2", "--retained-only")
		out, err := sub.Output()
		if err != nil && sub.ProcessState.ExitCode() != 27 { // the time is over
			t.Fatalf("%v: %s", err, out)
		}
		all := strings.Split(strings.TrimSpace(string(out)), "\n")
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	retain("mqttv311", "-t", "plant/1", "-m", "old")
	retain("mqttv5", "-t", "plant/1", "-m", "new")
	retain("mqttv311", "-t", "plant/2", "-m", "gone")
	retain("mqttv5", "-t", "plant/2", "-n")
	forbidden := mosquitto(t, "mosquitto_pub", addr, "-V", "mqttv5", "-i", "meter", "-u", "any", "-P", meter, "-q", "1", "-r", "-t", "other/1", "-n")
	if out, _ := forbidden.CombinedOutput(); !strings.Contains(strings.ToLower(string(out)), "not authorized") {
		t.Errorf("a topic that the token does not allow: %s", out)
	}
	will := mosquitto(t, "mosquitto_pub", addr, "-V", "mqttv5", "-i", "meter", "-u", "any", "-P", meter, "-d", "-t", "plant/x", "-l",
		"--will-topic", "state", "--will-payload", "off", "--will-qos", "1", "--will-retain")
	cmd := exec.CommandContext(t.Context(), "stdbuf", append([]string{"-oL"}, will.Args...)...)
	if _, err := cmd.StdinPipe(); err != nil { // for lines that never come
		t.Fatal(err)
	}
	awaitLine(t, linesOf(t, cmd), "Client meter received CONNACK")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	testkit.Eventually(t, patience, "the Will", func() bool { return n.metric("edgeloop_mqttapi_retained_messages", "") == 2 })
	retain("mqttv5", "-t", "plant/3", "-m", "last")
	n.kill()
	n.boot()
	for _, version := range []string{"mqttv311", "mqttv5"} {
		if got, want := kept("acme", version), "1 plant/1 new, 1 plant/3 last, 1 state off"; got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
	if got := kept("globex", "mqttv5"); got != "" {
		t.Errorf("another tenant gets %s", got)
	}
}

// A node that has no more room says so with a reason code, and has not stored it. One that retains
// nothing says so in CONNACK, which mosquitto_pub heeds: it publishes without RETAIN.
func TestMQTTRetained_Refused(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]string{0: "", 2: "quota exceeded"} {
		n, addr := mqttNode(t, "--auth=none", fmt.Sprintf("--mqtt-retained-max=%d", most))
		said := ""
		for i := range 2 {
			pub := mosquitto(t, "mosquitto_pub", addr, "-V", "mqttv5", "-i", "meter", "-q", "1", "-r", "-t", fmt.Sprint("t", i), "-m", "x")
			out, _ := pub.CombinedOutput()
			said += strings.ToLower(string(out))
		}
		if !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("with room for %d mosquitto_pub says %q, want %q", most, said, want)
		}
		if got, want := len(n.tail()), 2-most/2; got != want {
			t.Errorf("with room for %d the log has %d records, want %d", most, got, want)
		}
	}
}
