package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// needMosquitto has Mosquitto and its clients on the path.
func needMosquitto(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	for _, program := range []string{"mosquitto", "mosquitto_pub", "mosquitto_sub"} {
		_, err := exec.LookPath(program)
		need(t, program, err == nil)
	}
}

// startBroker starts a Mosquitto.
func startBroker(t *testing.T) (addr string) {
	t.Helper()
	needMosquitto(t)
	addr = freeAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %s %s\nallow_anonymous true\nmax_queued_messages 0\n", port, host), 0o644); err != nil { //nolint:gosec // Mosquitto reads it as another user
		t.Fatal(err)
	}
	cmd := exec.Command("mosquitto", "-c", conf)
	cmd.Dir = filepath.Dir(conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitListening(t, addr)
	return addr
}

// What devices send is at a broker, in each device's order, and what is published there reaches
// them as commands, also what was published while the node was dead.
func TestBroker_BothWays(t *testing.T) {
	const devices, messages = 5, 100
	broker := startBroker(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "heard"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	sub := mosquitto(t, "mosquitto_sub", broker, "-V", "5", "-q", "1", "-c", "-x", "3600", "-i", "watcher", "-t", "edge/#")
	sub.Stdout = out
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	n := start(t, "--auth=none", withSinks(t, `
  - {name: broker, type: mqtt, url: "mqtt://`+broker+`", topic: "edge/{tenant}/{device}/{topic}", batch: {wait: 20ms}, retry: {least: 10ms, most: 200ms}}
commands:
  - {name: broker, type: mqtt, url: "mqtt://`+broker+`"}
`))
	f := launch(t, n, devices, messages, nil)
	f.waitAcked(patience, devices*messages/2)
	testkit.Eventually(t, patience, "the node to listen for commands", func() bool {
		return n.metric("edgeloop_intake_connected", `source="broker"`) == 1
	})
	n.kill()
	pub := func(name string) {
		if b, err := mosquitto(t, "mosquitto_pub", broker, "-q", "1", "-t", "cmd/default/valve/"+name, "-m", `{"s":5}`).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	pub("open") // the session at the broker outlives the node
	n.boot()
	f.waitAcked(2*patience, devices*messages)
	valve := upgradeRaw(t, n, "?device=valve", "")
	for _, name := range []string{"open", "close"} {
		valve.wantNext(name)
		if name == "open" {
			pub("close")
		}
	}
	_, acked := f.acked()
	got := newArrivals(t)
	testkit.Eventually(t, 2*patience, "all that was acknowledged to arrive", func() bool {
		got.follow(out.Name())
		return got.have(acked)
	})
	valve.Close() // it would not answer the node's farewell
	n.stop()
}

// wantNext reads on to the command of a name. Another one may come again before it: from its source
// it comes at least once.
func (c *rawConn) wantNext(name string) {
	c.t.Helper()
	for {
		got := c.wantText("command")
		if containsAll(got, `"name":"`+name+`"`, `"data":{"s":5}`) {
			c.heard = name
			return
		}
		if c.heard == "" || !containsAll(got, `"name":"`+c.heard+`"`) {
			c.t.Fatalf("the device got %s, want %s", got, name)
		}
	}
}
