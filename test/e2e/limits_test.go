package e2e_test

import (
	"errors"
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

// The node is full. Newcomers are told so and when to try again; a device that is
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
	n := start(t, "--max-connections=5", "--handshake-timeout=8s")
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
	testkit.Eventually(t, patience, "the silent sockets to be gone", func() bool {
		return n.descriptors(t) < 100 && n.metric("edgeloop_eventloop_connections", "") == 1
	})
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

// metric reads one series of /metrics; labels as they are rendered, or "".
func (n *node) metric(name, labels string) (value float64) {
	n.t.Helper()
	status, text := n.apiRaw(http.MethodGet, "/metrics", nil)
	if labels != "" {
		name += "{" + labels + "}"
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				n.t.Fatalf("%s: %v", line, err)
			}
			return value
		}
	}
	n.t.Fatalf("/metrics: %d, without %s", status, name)
	return 0
}

// A device that never reads what it is sent costs itself: the node bounds what
// waits for it and then cuts it off as a slow consumer, while it still does not
// read. Its neighbour keeps its connection and its service.
func TestLimits_SlowReader(t *testing.T) {
	t.Parallel()
	n := start(t, "--out-buffer=65536")
	slow := dialRaw(t, n, "slow")
	neighbour := dialRaw(t, n, "neighbour")
	blob := strings.Repeat("x", 32<<10)
	for i := 0; ; i++ {
		status, body := n.api(http.MethodPost, "/v1/devices/default/slow/commands", map[string]any{"name": "blob", "data": blob, "ttl": "0s"}) // or it would wait for the next connection
		if status == http.StatusServiceUnavailable && body["type"] == "urn:edgeloop:problem:device-busy" || !n.online("slow") {
			break
		}
		if i == 2000 {
			t.Fatal("the node took 60 MB for a device that does not read")
		}
	}
	testkit.Eventually(t, patience, "the slow device to be cut off", func() bool { return !n.online("slow") })
	for cause, want := range map[string]float64{"slow_consumer": 1, "peer_gone": 0, "protocol_error": 0} {
		n.wantMetric("edgeloop_eventloop_closes_total", `cause="`+cause+`"`, want)
	}
	neighbour.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	neighbour.wantText("ack")

	// What had been taken for the device before may still arrive; then the
	// connection ends, without a close frame, which would have to wait behind it.
	for {
		first, payload, err := slow.hear()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the node kept the connection of the slow device")
		} else if err != nil {
			break
		}
		if first == fin|opClose {
			t.Errorf("the node sent a close frame, %q", payload)
		}
	}
	back := dialRaw(t, n, "slow") // it may come back, and read
	back.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	back.wantText("ack")
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
