package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// An app is a subscriber that nobody here wrote: see mqttAppCommands.
type app struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// subscribeMQTT runs an app until it has had its last message, and returns when its
// subscription is granted. It prints a line of JSON for each message.
func subscribeMQTT(t *testing.T, command []string, args ...string) *app {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	t.Cleanup(cancel)
	a := &app{cmd: exec.CommandContext(ctx, command[0], append(command[1:], args...)...)}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var wrong strings.Builder
	a.cmd.Stderr = &wrong
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.lines = bufio.NewScanner(out)
	if !a.lines.Scan() || a.lines.Text() != `{"event":"subscribed"}` {
		_ = a.cmd.Wait()
		t.Fatalf("not subscribed: %q, %s", a.lines.Text(), wrong.String())
	}
	return a
}

// messages are what came, to the end of the app: "TOPIC PAYLOAD".
func (a *app) messages(t *testing.T) (all []string) {
	t.Helper()
	for a.lines.Scan() {
		var m struct{ Topic, Payload, Error string }
		if err := json.Unmarshal(a.lines.Bytes(), &m); err != nil || m.Error != "" {
			t.Fatalf("%q: %v, after %v", a.lines.Text(), err, all)
		}
		all = append(all, m.Topic+" "+m.Payload)
	}
	if err := a.cmd.Wait(); err != nil {
		t.Fatalf("%v, after %v", err, all)
	}
	return all
}

// mqttAppCommands run a subscriber of a library.
var mqttAppCommands = map[string][]string{"MQTT.js": {"node", "node/mqttapp.js"}, "Paho": {python, "py/mqttapp.py"}}

// Each library, with each version, over each transport, and mosquitto_sub: a subscriber with
// the token of an operator gets what devices send, by MQTT under the topic that they gave, by
// WebSocket under one with their name. A session that is kept gets what was sent while it was
// away, over kill -9 of the node.
func TestMQTTApps_Libraries(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	mqtts := freeAddr(t)
	n, tcp := mqttNode(t, "--auth=none", "--mqtt-tls-listen", mqtts, "--tls-cert", cert, "--tls-key", key)
	runs := []struct{ library, version, url, qos string }{
		{"MQTT.js", "4", "mqtt://" + tcp, "1"},
		{"MQTT.js", "5", "ws://" + n.listen + "/mqtt", "1"},
		{"Paho", "5", "mqtts://" + mqtts, "1"},
		{"Paho", "4", "ws://" + n.listen + "/mqtt", "0"},
	}
	begin := func(i int, last string) *app {
		r := runs[i]
		lib := mqttLibraries[r.library]
		need(t, lib.name, lib.there())
		return subscribeMQTT(t, mqttAppCommands[r.library], r.url, r.version, fmt.Sprint("app", i), "default", n.adminToken(), "#", r.qos, last, ca.File)
	}
	send := func(i int) {
		pub := mosquitto(t, "mosquitto_pub", tcp, "-i", "meter", "-q", "1", "-t", fmt.Sprintf("plant/%d/temp", i), "-m", fmt.Sprint(i))
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var apps []*app
	for i := range runs {
		apps = append(apps, begin(i, "2"))
	}
	d := upgradeRaw(t, n, "?device=ws", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"topic":"t","data":{"c":21.5}}`))
	d.wantText("ack")
	d.Close()
	send(1)
	send(2)
	before := []string{`devices/ws/t {"c":21.5}`, "plant/1/temp 1", "plant/2/temp 2"}
	for i, a := range apps {
		if got := a.messages(t); !slices.Equal(got, before) {
			t.Errorf("%+v got %v, want %v", runs[i], got, before)
		}
	}
	send(3)
	n.kill()
	n.boot()
	for _, i := range []int{0, 2} {
		a := begin(i, "4")
		if i == 0 {
			send(4)
		}
		got := slices.DeleteFunc(a.messages(t), func(m string) bool { return slices.Contains(before, m) }) // it may come again
		if want := []string{"plant/3/temp 3", "plant/4/temp 4"}; !slices.Equal(got, want) {
			t.Errorf("%+v got %v after kill -9, want %v", runs[i], got, want)
		}
	}
	testkit.Eventually(t, patience, "the sessions to be listed as away, with how far behind they are", func() bool {
		behind := map[string]string{}
		for line := range strings.Lines(n.tool("readers", "--tenant=default")) {
			if of := strings.Fields(line); len(of) == 7 && of[2] == "mqtt" && of[5] != "-" {
				behind[of[1]] = of[3]
			}
		}
		// Of five records; the PUBACK of the last one may be lost with its connection.
		now, before := []string{"0", "1"}, []string{"3", "4"}
		return slices.Contains(now, behind["app2"]) && slices.Contains(before, behind["app1"]) && len(behind) == len(runs)
	})
}

// Who may subscribe to what: a device with its own token to no records, its own included; an
// application to those of the tenant of its token. With --mqtt-apps=off an admin token is
// nothing.
func TestMQTTApps_WhoMay(t *testing.T) {
	t.Parallel()
	n, tcp := mqttNode(t)
	tokens := map[string]string{}
	for _, tenant := range []string{"acme", "globex"} {
		tokens[tenant] = strings.TrimSpace(n.tool("token", "--admin", "reader-"+tenant, "--scope", "read", "--tenant", tenant))
	}
	n.reload("")

	for _, version := range []string{"mqttv311", "mqttv5"} {
		for _, filter := range []string{"#", "devices/meter/#", "t"} {
			sub := mosquitto(t, "mosquitto_sub", tcp, "-V", version, "-i", "meter", "-u", "any", "-P", n.token("meter", "--tenant", "acme"), "-t", filter, "-E")
			if out, err := sub.CombinedOutput(); !strings.Contains(string(out), "denied") && err == nil {
				t.Errorf("a device subscribes to %s by %s: %s", filter, version, out)
			}
		}
		sub := mosquitto(t, "mosquitto_sub", tcp, "-V", version, "-u", "globex", "-P", tokens["acme"], "-t", "#", "-E")
		if out, err := sub.CombinedOutput(); err == nil {
			t.Errorf("the token of acme reads globex: %s", out)
		}
	}
	subs := map[string]*app{}
	for tenant, token := range tokens {
		need(t, mqttLibraries["Paho"].name, mqttLibraries["Paho"].there())
		subs[tenant] = subscribeMQTT(t, mqttAppCommands["Paho"], "mqtt://"+tcp, "5", "app", tenant, token, "#", "1", "end", "")
	}
	for _, payload := range []string{"1", "end"} {
		for tenant := range tokens {
			pub := mosquitto(t, "mosquitto_pub", tcp, "-i", "meter", "-u", "any", "-P", n.token("meter", "--tenant", tenant), "-q", "1", "-t", "of/"+tenant, "-m", payload)
			if out, err := pub.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	for tenant, a := range subs {
		if got, want := a.messages(t), []string{"of/" + tenant + " 1", "of/" + tenant + " end"}; !slices.Equal(got, want) {
			t.Errorf("%s got %v, want %v", tenant, got, want)
		}
	}
	off, addr := mqttNode(t, "--mqtt-apps=off")
	if out, err := mosquitto(t, "mosquitto_sub", addr, "-u", "default", "-P", off.adminToken(), "-t", "#", "-E").CombinedOutput(); err == nil {
		t.Errorf("--mqtt-apps=off lets an application in: %s", out)
	}
}
