package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// status fetches an open page of the admin listener.
func (n *node) status(path string) int {
	n.t.Helper()
	resp, err := http.Get("http://" + n.admin + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// The node is full. Newcomers are told so and when to try again; who is
// connected does not notice; and the first free place is given away.
func TestLimits_MaxConnections(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t, "--max-connections=3")
		c := startClient(t, lib)
		var conns []*conn
		for i := range 3 {
			d, _ := c.connect(n, fmt.Sprint("d", i))
			conns = append(conns, d)
		}
		auth := map[string]string{"Authorization": "Bearer " + n.token("late")}
		got := curlUpgrade(t, "http://"+n.listen+"/v1/device", auth)
		if s, err := strconv.Atoi(got.header.Get("Retry-After")); got.status != http.StatusServiceUnavailable || err != nil || s < 1 {
			t.Errorf("the fourth got %+v", got)
		}
		for i, d := range conns {
			d.send(message{"type": "telemetry", "seq": 1, "data": i})
			d.wantAck(1)
		}
		conns[0].close()
		testkit.Eventually(t, patience, "the free place to be given away", func() bool {
			d := c.dial(order{URL: n.url(""), Protocols: []string{"edgeloop.v1.json"}, Headers: auth})
			return d.next().Event == "open"
		})
		n.stop()
	})
}

// Many sockets beyond the limit at once, which never say a word: the connected
// keep their service.
func TestLimits_FloodOfSilentSockets(t *testing.T) {
	t.Parallel()
	n := start(t, "--max-connections=5", "--handshake-timeout=2s")
	d := dialRaw(t, n, "d1")
	for range 200 {
		dialTCP(t, n.listen)
	}
	for seq := 1; seq <= 20; seq++ {
		d.say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":0}`, seq)))
		if got := d.wantText("ack"); !containsAll(got, fmt.Sprint(seq)) {
			t.Fatalf("the node sent %s", got)
		}
	}
	testkit.Eventually(t, patience, "the silent sockets to be gone", func() bool { return n.descriptors(t) < 100 })
	late := dialRaw(t, n, "d2")
	late.say(frame(fin|opClose, "\x03\xE8"))
	late.wantClose(1000)
	n.stop()
}

// descriptors counts the files that the node has open.
func (n *node) descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A device that never reads what it is sent costs itself: the node bounds what
// waits for it and then takes no more, while its neighbour is served.
func TestLimits_SlowReader(t *testing.T) {
	t.Parallel()
	n := start(t, "--out-buffer=65536")
	slow := dialRaw(t, n, "slow")
	neighbour := dialRaw(t, n, "neighbour")
	blob := strings.Repeat("x", 32<<10)
	refused := false
	for i := 0; i < 2000 && !refused; i++ {
		status, _ := n.api(http.MethodPost, "/v1/devices/default/slow/commands", map[string]any{"name": "blob", "data": blob})
		refused = status == http.StatusServiceUnavailable || !n.online("slow")
	}
	if !refused {
		t.Error("the node took 60 MB for a device that does not read")
	}
	neighbour.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	neighbour.wantText("ack")
	slow.Close()
	n.stop()
}

// More than the window in flight pauses the device, or refuses by name, but
// never loses: in the end all is acknowledged, or the node says why not.
func TestLimits_Window(t *testing.T) {
	t.Parallel()
	n := start(t, "--window=4")
	d := dialRaw(t, n, "d1")
	var all strings.Builder
	for seq := 1; seq <= 200; seq++ {
		all.WriteString(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":%d}`, seq, seq)))
	}
	d.say(all.String())
	acked := map[string]uint64{}
	for acked["d1"] < 200 {
		first, payload, err := d.hear()
		if err != nil || first == fin|opClose {
			break
		}
		var upto uint64
		if _, err := fmt.Sscanf(string(payload), `{"type":"ack","upto":%d}`, &upto); err == nil {
			acked["d1"] = upto
		}
	}
	if acked["d1"] == 0 {
		t.Error("nothing was acknowledged")
	}
	checkLog(t, n, acked)
	n.stop()
}

// A limit is read and changed while the node runs.
func TestLimits_ChangeWhileRunning(t *testing.T) {
	t.Parallel()
	n := start(t, "--max-connections=100")
	status, body := n.api(http.MethodPatch, "/v1/limits", map[string]any{"max_connections": 1})
	if status != http.StatusOK {
		t.Fatalf("the API answered %d %v", status, body)
	}
	d := dialRaw(t, n, "d1")
	auth := map[string]string{"Authorization": "Bearer " + n.token("d2")}
	if got := curlUpgrade(t, "http://"+n.listen+"/v1/device", auth); got.status != http.StatusServiceUnavailable {
		t.Errorf("the second got %+v", got)
	}
	if status, body = n.api(http.MethodPatch, "/v1/limits", map[string]any{"max_connections": -1}); status != http.StatusUnprocessableEntity || body["field"] != "max_connections" {
		t.Errorf("a limit of -1: %d %v", status, body)
	}
	d.Close()
	n.stop()
}
