package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// mqttNode is a node that speaks MQTT at addr.
func mqttNode(t *testing.T, flags ...string) (n *node, addr string) {
	t.Helper()
	_, err := exec.LookPath("mosquitto_pub")
	need(t, "mosquitto_pub", err == nil)
	addr = freeAddr(t)
	return start(t, append([]string{"--mqtt-listen", addr}, flags...)...), addr
}

// mosquitto is one of Mosquitto's clients, which ends with the test at the latest.
func mosquitto(t *testing.T, tool, addr string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience) // some are there as long as their story
	t.Cleanup(cancel)
	host, port, _ := strings.Cut(addr, ":")
	return exec.CommandContext(ctx, tool, append([]string{"-h", host, "-p", port}, args...)...)
}

// startLines starts a command and is what it prints, line by line.
func startLines(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(out)
}

// What mosquitto_pub sends, with 3.1.1 and with 5, is in the log, with the tenant and the
// device of its token; without one it is not let in.
func TestMQTT_MosquittoPub(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t)
	token := n.token("meter", "--tenant", "acme")
	var records []record
	for _, v := range []string{"mqttv311", "mqttv5"} {
		for _, qos := range []string{"0", "1"} {
			pub := mosquitto(t, "mosquitto_pub", addr, "-V", v, "-i", "meter", "-u", "any", "-P", token,
				"-t", "plant/"+v, "-q", qos, "-m", `{"qos":`+qos+`}`)
			if out, err := pub.CombinedOutput(); err != nil {
				t.Fatalf("%s, QoS %s: %v: %s", v, qos, err, out)
			}
			// The next connection may be heard first, and takes over from one that is still there.
			before := len(records)
			testkit.Eventually(t, patience, v+" with QoS "+qos+" to be in the log", func() bool {
				records = n.tail()
				return len(records) == before+1
			})
		}
		pub := mosquitto(t, "mosquitto_pub", addr, "-V", v, "-i", "meter", "-u", "any", "-P", "none", "-t", "t", "-m", "1")
		if out, err := pub.CombinedOutput(); err == nil {
			t.Errorf("%s: let in without a token: %s", v, out)
		}
		pub = mosquitto(t, "mosquitto_pub", addr, "-V", v, "-i", "other", "-u", "any", "-P", token, "-t", "t", "-m", "1")
		if out, err := pub.CombinedOutput(); err == nil {
			t.Errorf("%s: let in with the token of another device: %s", v, out)
		}
	}
	for i, r := range records {
		topic := []string{"plant/mqttv311", "plant/mqttv5"}[i/2]
		if r.Tenant != "acme" || r.Device != "meter" || r.Topic != topic || string(r.Data) != fmt.Sprintf(`{"qos":%d}`, i%2) {
			t.Errorf("record %d: %+v, data %s", i, r, r.Data)
		}
	}
}

// The node is killed while mosquitto_pub streams. Each message for which it has had a
// PUBACK is in the log afterwards, in order.
func TestMQTT_KillInMidStream(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	const many = 20_000
	pub := mosquitto(t, "mosquitto_pub", addr, "-i", "stream", "-t", "t", "-q", "1", "-l", "-d")
	in, err := pub.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := pub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer in.Close()
		for i := range many {
			if _, err := fmt.Fprintf(in, "%d\n", i+1); err != nil {
				return
			}
		}
	}()
	acked, puback := 0, regexp.MustCompile(`received PUBACK \(Mid: (\d+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		m := puback.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		mid, _ := strconv.Atoi(m[1]) // the client counts from 1, so it is the message's number
		if acked++; mid != acked {
			t.Fatalf("PUBACK of %d, want %d", mid, acked)
		}
		if acked == many/20 {
			n.kill()
			_ = pub.Process.Kill() // or it would try again for ever
		}
	}
	_ = pub.Wait()
	if acked < many/20 {
		t.Fatalf("only %d were acknowledged", acked)
	}
	n.boot()
	records := n.tail()
	if len(records) < acked {
		t.Fatalf("%d are acknowledged, %d stored", acked, len(records))
	}
	for i, r := range records {
		if string(r.Data) != strconv.Itoa(i+1) {
			t.Fatalf("record %d is %s", i+1, r.Data)
		}
	}
	t.Logf("%d acknowledged, %d stored", acked, len(records))
}

// A command of the API reaches mosquitto_sub, at once and when it was left.
func TestMQTT_MosquittoSub(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t, "--auth=none")
	status, answer := n.api("POST", "/v1/devices/default/valve/commands", map[string]any{"name": "open", "data": 1, "ttl": "1h"})
	if status != 202 {
		t.Fatalf("a command for later: %d %v", status, answer)
	}
	sub := mosquitto(t, "mosquitto_sub", addr, "-i", "valve", "-t", "$edgeloop/command/#", "-v", "-C", "2")
	lines := startLines(t, sub)
	if !lines.Scan() || !regexp.MustCompile(`^\$edgeloop/command/[0-9A-Z]{26}/open 1$`).MatchString(lines.Text()) {
		t.Fatalf("the command that waited: %q", lines.Text())
	}
	if status, answer := n.api("POST", "/v1/devices/default/valve/commands", map[string]any{"name": "close"}); status != 202 || answer["state"] != "sent" {
		t.Fatalf("a command now: %d %v", status, answer)
	}
	if !lines.Scan() || !strings.HasSuffix(lines.Text(), "/close (null)") {
		t.Fatalf("the second command: %q", lines.Text())
	}
	if err := sub.Wait(); err != nil {
		t.Error(err)
	}
}

// By TLS a client shows its token, or, with --auth=cert, its certificate alone.
func TestMQTT_TLS(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	addr := freeAddr(t)
	tls := []string{"--mqtt-tls-listen", addr, "--tls-cert", cert, "--tls-key", key}
	publish := func(args ...string) error {
		return mosquitto(t, "mosquitto_pub", addr, append([]string{"--cafile", ca.File, "-q", "1", "-t", "t", "-m", "1"}, args...)...).Run()
	}
	n, _ := mqttNode(t, tls...)
	if err := publish("-i", "pump", "-u", "any", "-P", n.token("pump")); err != nil {
		t.Errorf("with a token: %v", err)
	}
	if err := publish("-i", "pump"); err == nil {
		t.Error("let in with nothing")
	}
	if records := n.tail(); len(records) != 1 || records[0].Device != "pump" {
		t.Errorf("the log has %+v", records)
	}
	n.stop()
	n, _ = mqttNode(t, append(tls, "--auth=cert", "--tls-client-ca", ca.File, "--tls-client-auth=required", "--tls-identity", "{cn}")...)
	mine, mineKey := ca.Issue("valve", nil)
	if err := publish("-i", "valve", "--cert", mine, "--key", mineKey); err != nil {
		t.Errorf("with its certificate: %v", err)
	}
	if err := publish("-i", "other", "--cert", mine, "--key", mineKey); err == nil {
		t.Error("let in by another device's name")
	}
	if records := n.tail(); len(records) != 1 || records[0].Device != "valve" {
		t.Errorf("the log has %+v", records)
	}
}
