package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// comeFrom says how a node answers somebody with this address of the machine: with the
// status of a handshake, 0 where it hangs up without a word.
func (n *node) comeFrom(addr string) int {
	n.t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}, Timeout: patience}
	req, err := http.NewRequest(http.MethodGet, "http://"+n.listen+"/v1/device?device=d"+addr, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
	} {
		req.Header.Set(name, value)
	}
	tr := &http.Transport{DialContext: from.DialContext, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	switch {
	case err == nil:
		resp.Body.Close()
		return resp.StatusCode
	case strings.Contains(err.Error(), "timeout"):
		n.t.Fatal(err)
	}
	return 0
}

// wantFrom wants these answers.
func (n *node) wantFrom(step string, want map[string]int) {
	n.t.Helper()
	for addr, status := range want {
		if got := n.comeFrom(addr); got != status {
			n.t.Errorf("%s: %s gets %d, want %d", step, addr, got, status)
		}
	}
}

// wantMetric waits for a number: the other side of a connection may see its end before it is counted.
func (n *node) wantMetric(name, labels string, want float64) {
	n.t.Helper()
	testkit.Eventually(n.t, patience, fmt.Sprintf("%s{%s} to be %v", name, labels, want), func() bool { return n.metric(name, labels) == want })
}

// Two files say which addresses may connect. They are read again when they change, by themselves and
// when the node is asked; a mistake leaves those before in force.
func TestLists_WhoMayConnect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	allow := write("allow", "127.0.0.0/8 # this machine\n")
	deny := write("deny", "127.0.0.2\n127.0.1.0/24\n")
	n := start(t, "--auth=none", "--allow-cidrs", allow, "--deny-cidrs", deny)
	n.wantFrom("at first", map[string]int{"127.0.0.1": 101, "127.0.0.2": 0, "127.0.1.7": 0, "127.0.0.3": 101})
	n.logged("address may not connect", "127.0.")
	n.wantMetric("edgeloop_eventloop_closes_total", `cause="denied"`, 2)
	n.wantMetric("edgeloop_doorman_prefixes", `list="deny"`, 2)

	stays := dialTCP(t, n.listen)
	fmt.Fprintf(stays, "GET /v1/device?device=stays HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n\r\n")
	resp, err := http.ReadResponse(stays.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // it is empty; frames follow
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	stays.wantText("welcome")

	write("deny", "127.0.0.1\n127.0.0.3 \n")
	testkit.Eventually(t, patience, "the file to be read again by itself", func() bool { return n.comeFrom("127.0.0.2") == 101 })
	n.wantFrom("after a change", map[string]int{"127.0.0.1": 0, "127.0.0.2": 101, "127.0.0.3": 0})
	stays.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	stays.wantText("ack") // who is connected stays

	write("deny", "# all of them\n127.0.0.0/33\n")
	if status, answer := n.api("POST", "/v1/reload", nil); status != 422 || !strings.Contains(fmt.Sprint(answer), "deny, line 2: 127.0.0.0/33 is no network") {
		t.Errorf("a reload with a mistake: %d %v", status, answer)
	}
	n.wantFrom("after a mistake", map[string]int{"127.0.0.1": 0, "127.0.0.2": 101})

	write("deny", "")
	write("allow", "127.0.0.1\n")
	if status, answer := n.api("POST", "/v1/reload", nil); status != 200 {
		t.Fatalf("a reload: %d %v", status, answer)
	}
	n.wantFrom("after a reload", map[string]int{"127.0.0.1": 101, "127.0.0.2": 0})
	endsWell(t, n, stays)
}

// A node does not start with a list that it cannot read.
func TestLists_MistakeAtTheStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "allow")
	if err := os.WriteFile(file, []byte("\n10.0.0.1/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := runTool(t, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--data-dir", t.TempDir(), "--allow-cidrs", file)
	if code != 2 || !strings.Contains(stderr, "allow, line 2: 10.0.0.1/8 has bits behind its length: give 10.0.0.0/8") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// Behind a proxy it is the true address that counts.
func TestLists_BehindAProxy(t *testing.T) {
	t.Parallel()
	deny := filepath.Join(t.TempDir(), "deny")
	if err := os.WriteFile(deny, []byte("127.0.0.1\n127.0.0.9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, "--auth=none", "--proxy-protocol=127.0.0.1", "--deny-cidrs", deny)
	haproxy, unused := freeAddr(t), freeAddr(t)
	startProxy(t, "haproxy.cfg", map[string]string{
		"127.0.0.1:9443": haproxy, "127.0.0.1:9444": unused, "node1 127.0.0.1:8080": "node1 " + n.listen, "node1 127.0.0.1:8081": "node1 " + n.listen,
	}, "haproxy", "-db", "-f")
	behind := &node{t: t, listen: haproxy}
	testkit.Eventually(t, patience, "the proxy to let somebody through", func() bool { return behind.comeFrom("127.0.0.8") == 101 })
	// The proxy lets nobody through while it takes the node for dead.
	testkit.Eventually(t, patience, "the node to end who is denied", func() bool {
		if got := behind.comeFrom("127.0.0.9"); got == 101 {
			t.Fatal("who is denied got through the proxy")
		}
		return n.metric("edgeloop_eventloop_closes_total", `cause="denied"`) > 0
	})
}
