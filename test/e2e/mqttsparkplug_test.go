package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// An edge node of Sparkplug B, made of Eclipse Tahu's client, is born, sends data, is asked for
// another birth by a command of the API and by an NCMD, has a DCMD for its device, and dies without
// a word: a host application that subscribes to spBv1.0/# has its births, data and, by the Will,
// death, with the sequence numbers of Sparkplug. An NCMD needs the scope, and somebody who is here.
func TestMQTT_Sparkplug(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t)
	need(t, "node with sparkplug-client", exec.Command("node", "-e", "require('./node/node_modules/sparkplug-client')").Run() == nil)
	host := subscribeMQTT(t, []string{"node", "node/sparkplug.js", "host"}, "mqtt://"+addr, n.adminToken())
	want := func(topic, payload string) {
		t.Helper()
		var m struct{ Topic, Payload string }
		if !host.lines.Scan() || json.Unmarshal(host.lines.Bytes(), &m) != nil || m.Topic != "spBv1.0/plant/"+topic || m.Payload != payload {
			t.Fatalf("the host has %q, want %s of %s", host.lines.Text(), topic, payload)
		}
	}
	edge := exec.Command("node", "node/sparkplug.js", "edge", "mqtt://"+addr, n.token("edge"))
	life, err := edge.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := edge.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = edge.Process.Kill() // it has ended, unless the test failed
		_ = edge.Wait()
	})
	want("NBIRTH/edge", `{"seq":0,"Node Control/Rebirth":0,"temp":20,"bdSeq":0}`)
	want("NDATA/edge", `{"seq":1,"temp":21.5}`)
	if line := bufio.NewScanner(said); !line.Scan() || line.Text() != `{"event":"subscribed"}` {
		t.Fatalf("the edge node says %q", line.Text())
	}
	answers := n.command("/v1/devices/default/edge/commands?wait=1m", map[string]any{"name": "rebirth"})
	if got := testkit.Receive(t, patience, "the API's answer", answers); got.status != http.StatusOK {
		t.Errorf("the API answered %+v", got)
	}
	const born = `{"seq":0,"Node Control/Rebirth":0,"temp":20,"bdSeq":0}`
	want("NBIRTH/edge", born)
	command := func(token, topic, metric string, code int) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "node", "node/sparkplug.js", "command", "mqtt://"+addr, token, topic, metric).CombinedOutput()
		if err != nil || string(out) != fmt.Sprintf("{\"code\":%d}\n", code) {
			t.Errorf("%s: %v, %s, want %d", topic, err, out, code)
		}
	}
	command(n.adminToken(), "spBv1.0/plant/NCMD/edge", "Node Control/Rebirth", 0)
	want("NBIRTH/edge", born)
	command(n.adminToken(), "spBv1.0/plant/DCMD/edge/pump", "on", 0)
	want("DDATA/edge/pump", `{"seq":1,"on":1}`)
	command(n.adminToken(), "spBv1.0/plant/NCMD/nobody", "Node Control/Rebirth", 0x10)
	reader := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	command(reader, "spBv1.0/plant/NCMD/edge", "Node Control/Rebirth", 0x87)
	_ = life.Close()
	want("NDEATH/edge", `{"bdSeq":0}`)
	if rest := host.messages(t); len(rest) > 0 {
		t.Errorf("the host has %v, too", rest)
	}
}
