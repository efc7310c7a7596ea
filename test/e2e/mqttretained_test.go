package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	meter, globex := n.token("meter", "--tenant", "acme", "--topic", "plant/#", "--topic", "state"), n.token("meter", "--tenant", "globex")
	retain := func(token, version string, args ...string) {
		t.Helper()
		pub := mosquitto(t, "mosquitto_pub", addr, append([]string{"-V", version, "-i", "meter", "-u", "any", "-P", token, "-q", "1", "-r"}, args...)...)
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// kept are so many of a tenant, in the order of topics; one that should not be there is among the first.
	kept := func(tenant, version string, count int) string {
		t.Helper()
		sub := mosquitto(t, "mosquitto_sub", addr, "-V", version, "-u", tenant, "-P", tokens[tenant], "-t", "#", "-F", "%r %t %p", "-C", strconv.Itoa(count), "-W", "20", "--retained-only")
		out, err := sub.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.Join(strings.Split(strings.TrimSpace(string(out)), "\n"), ", ")
	}
	retain(globex, "mqttv5", "-t", "zoo", "-m", "theirs")
	retain(meter, "mqttv311", "-t", "plant/1", "-m", "old")
	retain(meter, "mqttv5", "-t", "plant/1", "-m", "new")
	retain(meter, "mqttv311", "-t", "plant/2", "-m", "gone")
	retain(meter, "mqttv5", "-t", "plant/2", "-n")
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
	testkit.Eventually(t, patience, "the Will", func() bool { return n.metric("edgeloop_mqttapi_retained_messages", "") == 3 })
	retain(meter, "mqttv5", "-t", "plant/3", "-m", "last")
	for _, ends := range []func(){n.kill, n.stop, n.kill} { // nothing, all, and all is in the store
		ends()
		n.boot()
		for _, version := range []string{"mqttv311", "mqttv5"} {
			if got, want := kept("acme", version, 3), "1 plant/1 new, 1 plant/3 last, 1 state off"; got != want {
				t.Errorf("%s: got %s, want %s", version, got, want)
			}
			if got, want := kept("globex", version, 1), "1 zoo theirs"; got != want {
				t.Errorf("%s: another tenant got %s, want %s", version, got, want)
			}
		}
	}
}

// A device that may publish anywhere speaks for no other one: what it retains below the name of another
// lies below its own, as it comes live, and neither replaces nor takes out what the other has there;
// also when it is found in the log after kill -9, and in the store.
func TestMQTTRetained_NobodySpeaksForAnother(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t)
	evil, victim := n.token("evil"), n.token("victim")
	reader := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	cmd := mosquitto(t, "mosquitto_sub", addr, "-u", "default", "-P", reader, "-F", "%r %t %p", "-d", "-t", "devices/#")
	live := linesOf(t, exec.CommandContext(t.Context(), "stdbuf", append([]string{"-oL"}, cmd.Args...)...))
	awaitLine(t, live, "Subscribed")
	for i, m := range []struct{ device, token, topic, payload string }{
		{"victim", victim, "devices/victim/temp", "21"},
		{"victim", victim, "devices/victim/state", "on"},
		{"evil", evil, "devices/victim/temp", "99"},
		{"evil", evil, "devices/victim/state", ""},
		{"evil", evil, "devices/victim/new", "x"},
	} {
		version, payload := []string{"mqttv311", "mqttv5"}[i%2], []string{"-m", m.payload}
		if m.payload == "" {
			payload = []string{"-n"}
		}
		pub := mosquitto(t, "mosquitto_pub", addr, append([]string{"-V", version, "-i", m.device, "-u", "any", "-P", m.token, "-q", "1", "-r", "-t", m.topic}, payload...)...)
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	awaitLine(t, live, "0 devices/victim/temp 21")
	awaitLine(t, live, "0 devices/evil/devices/victim/temp 99")
	kept := func(filter, want string) {
		t.Helper()
		cmd := mosquitto(t, "mosquitto_sub", addr, "-u", "default", "-P", reader, "-F", "%r %t %p", "-t", filter,
			"-C", strconv.Itoa(1+strings.Count(want, ",")), "-W", "20", "--retained-only")
		out, err := cmd.Output()
		if got := strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", ", "); err != nil || got != want {
			t.Errorf("%s: got %s, want %s: %v", filter, got, want, err)
		}
	}
	for _, ends := range []func(){n.kill, n.stop, n.kill} { // nothing, all, and all is in the store
		ends()
		n.boot()
		for filter, want := range map[string]string{
			"devices/victim/#": "1 devices/victim/state on, 1 devices/victim/temp 21",
			"devices/evil/#":   "1 devices/evil/devices/victim/new x, 1 devices/evil/devices/victim/temp 99",
			"devices/#":        "1 devices/evil/devices/victim/new x, 1 devices/evil/devices/victim/temp 99, 1 devices/victim/state on, 1 devices/victim/temp 21",
		} {
			kept(filter, want)
		}
		if got := n.metric("edgeloop_mqttapi_retained_messages", ""); got != 4 {
			t.Errorf("%v are retained, want 4", got)
		}
	}
	// Names are made otherwise now: what lies below devices/ is nobody's own, and the last one there is.
	n.flags = append(n.flags, "--mqtt-topics=own/{device}/{topic}")
	for _, ends := range []func(){n.stop, n.kill, n.stop} {
		ends()
		n.boot()
		kept("#", "1 devices/victim/new x, 1 devices/victim/state on, 1 devices/victim/temp 99")
	}
}

// Whatever had its PUBACK is retained, wherever kill -9 comes between the log, the answer and the
// store. Of what had none nobody knows.
func TestMQTTRetained_ThroughKills(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	may := map[string][]string{} // payloads by topic: "" or the last that was acknowledged, and what came behind
	for i := range 10 {
		may[fmt.Sprint("k/", i)] = []string{""}
	}
	for round := range 4 {
		process := n.cmd.Process
		for i := 0; ; i++ {
			if i == 1 { // something is retained
				time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() { _ = process.Kill() })
			}
			topic, payload := fmt.Sprint("k/", i%10), fmt.Sprint(round, ".", i)
			err := mosquitto(t, "mosquitto_pub", addr, "-V", "mqttv5", "-i", "meter", "-q", "1", "-r", "-t", topic, "-m", payload).Run()
			if err != nil && i == 0 {
				t.Fatalf("nobody killed the node, and it takes nothing: %v", err)
			}
			if err != nil {
				may[topic] = append(may[topic], payload)
				break
			}
			may[topic] = []string{payload}
		}
		n.wait()
		n.boot()
	}
	token := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	count := int(n.metric("edgeloop_mqttapi_retained_messages", ""))
	out, err := mosquitto(t, "mosquitto_sub", addr, "-P", token, "-u", "default", "-t", "#", "-F", "%t %p", "-C", strconv.Itoa(count), "-W", "20", "--retained-only").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	is := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		topic, payload, _ := strings.Cut(line, " ")
		is[topic] = payload
	}
	for topic, payloads := range may {
		if !slices.Contains(payloads, is[topic]) {
			t.Errorf("%s has %q, want one of %q", topic, is[topic], payloads)
		}
	}
}

// Switched off and on again, what was retained is there; what a client of 3.1.1 wanted retained
// meanwhile is a record like others.
func TestMQTTRetained_OffAndOn(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	pub := func(topic, payload string) {
		t.Helper()
		cmd := mosquitto(t, "mosquitto_pub", addr, "-V", "mqttv311", "-i", "meter", "-q", "1", "-r", "-t", topic, "-m", payload)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	pub("t/1", "kept")
	pub("t/2", "stale")
	n.kill()
	flags := n.flags
	for _, off := range []string{"--mqtt-retained-max=0", "--mqtt-apps=off"} {
		n.flags = append(slices.Clone(flags), off)
		n.boot()
		pub("t/2", "new")
		n.kill()
	}
	n.flags = flags
	n.boot()
	if got := n.metric("edgeloop_mqttapi_retained_messages", ""); got != 2 {
		t.Errorf("%v are retained, want 2", got)
	}
	pub("t/3", "more")
	token := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	out, err := mosquitto(t, "mosquitto_sub", addr, "-P", token, "-u", "default", "-t", "t/#", "-F", "%r %t %p", "-C", "3", "-W", "20", "--retained-only").Output()
	if got, want := string(out), "1 t/1 kept\n1 t/2 stale\n1 t/3 more\n"; err != nil || got != want {
		t.Errorf("got %q, want %q: %v", got, want, err)
	}
}

// A node whose store of what is retained cannot be written starts all the same, says so, and offers
// nothing to be retained.
func TestMQTTRetained_Unwritable(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none", "--mqtt-retained-max=0")
	n.stop()
	streams, err := filepath.Glob(filepath.Join(n.dir, "nats", "jetstream", "*", "streams"))
	if err != nil || len(streams) != 1 {
		t.Fatal(streams, err)
	}
	inTheWay := filepath.Join(streams[0], "EDGELOOP_RETAINED", "meta.sum", "x")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	n.flags = n.flags[:len(n.flags)-1]
	n.boot()
	n.logged("nothing is retained in this run")
	out, err := mosquitto(t, "mosquitto_pub", addr, "-V", "mqttv5", "-i", "meter", "-q", "1", "-r", "-t", "t", "-m", "x", "-d").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PUBACK") || len(n.tail()) != 1 {
		t.Errorf("%v: %s", err, out)
	}
}

// What has expired is not given any more, and does not take the room of others. The record stays.
func TestMQTTRetained_Expiry(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	for _, args := range [][]string{{"-t", "t/1", "-D", "publish", "message-expiry-interval", "2"}, {"-t", "t/2", "-D", "publish", "message-expiry-interval", "3600"}} {
		pub := mosquitto(t, "mosquitto_pub", addr, append([]string{"-V", "mqttv5", "-i", "meter", "-q", "1", "-r", "-m", "x"}, args...)...)
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	token := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	first := func() string {
		t.Helper()
		out, err := mosquitto(t, "mosquitto_sub", addr, "-V", "mqttv5", "-P", token, "-u", "default", "-t", "t/#", "-F", "%t %E", "-C", "1", "-W", "20", "--retained-only").Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	var said string
	testkit.Eventually(t, patience, "t/1 to expire", func() bool {
		said = first()
		return strings.HasPrefix(said, "t/2 ")
	})
	if left, err := strconv.Atoi(strings.TrimPrefix(said, "t/2 ")); err != nil || left > 3599 || left < 3600-2*int(patience.Seconds()) {
		t.Errorf("it lasts as in %q: %v", said, err)
	}
	testkit.Eventually(t, patience, "its room to be free", func() bool { return n.metric("edgeloop_mqttapi_retained_messages", "") == 1 })
	if all := n.tail(); len(all) != 2 {
		t.Errorf("the log has %d records, want 2", len(all))
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
