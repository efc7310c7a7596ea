package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// elsewhere is an address of this machine that is neither the node's nor a proxy's.
const elsewhere = "127.0.0.9"

// startProxy runs a proxy with a configuration of examples/behind, in which addresses
// are replaced, until the test ends.
func startProxy(t *testing.T, file string, addrs map[string]string, argv ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples/behind", file))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := strings.ReplaceAll(string(text), "/tmp/edgeloop-nginx.pid", filepath.Join(dir, "pid"))
	for from, to := range addrs {
		if !strings.Contains(config, from) {
			t.Fatalf("%s does not name %s", file, from)
		}
		config = strings.ReplaceAll(config, from, to)
	}
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath(argv[0])
	if err != nil { // not on everybody's PATH
		binary = filepath.Join("/usr/sbin", argv[0])
	}
	cmd := exec.Command(binary, append(argv[1:], path)...)
	log := new(logBuffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Errorf("%s does not end", argv[0])
		}
		if t.Failed() {
			t.Logf("%s: %s", argv[0], log)
		}
	})
}

// through connects a device from elsewhere through a proxy, has a reading acknowledged,
// and says for whom the node takes it.
func through(t *testing.T, n *node, proxy, device, header string) (remote string) {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}}
	var c *rawConn
	testkit.Eventually(t, patience, "the proxy to let a device through", func() bool {
		nc, err := from.Dial("tcp", proxy)
		if err != nil {
			return false
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		c = &rawConn{t: t, Conn: nc, r: bufio.NewReader(nc)}
		fmt.Fprintf(c, "GET /v1/device?device=%s HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n%s\r\n", device, header)
		resp, err := http.ReadResponse(c.r, nil)
		if err == nil {
			resp.Body.Close()
		}
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols { // the proxy does not know its node yet
			nc.Close()
			return false
		}
		t.Cleanup(func() { nc.Close() })
		return true
	})
	c.wantText("welcome")
	c.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	c.wantText("ack")
	_, dev := n.api("GET", "/v1/devices/default/"+device, nil)
	remote, _ = dev["remote"].(string)
	return remote
}

// Behind real proxies, with the configurations that the examples have, the node knows
// whose a connection is, and no device can say that it is somebody else.
func TestProxies_TheTrueAddress(t *testing.T) {
	t.Parallel()
	asBytes := start(t, "--auth=none", "--proxy-protocol=127.0.0.1")
	asHTTP := start(t, "--auth=none", "--trusted-proxies=127.0.0.1")
	haproxy, haproxyHTTP, nginx := freeAddr(t), freeAddr(t), freeAddr(t)
	startProxy(t, "haproxy.cfg", map[string]string{
		"127.0.0.1:9443": haproxy, "127.0.0.1:9444": haproxyHTTP, "node1 127.0.0.1:8080": "node1 " + asBytes.listen, "node1 127.0.0.1:8081": "node1 " + asHTTP.listen,
	}, "haproxy", "-db", "-f")
	startProxy(t, "nginx.conf", map[string]string{"127.0.0.1:9445": nginx, "127.0.0.1:8081;": asHTTP.listen + ";"},
		"nginx", "-g", "daemon off;", "-c")
	const lie = "X-Forwarded-For: 8.8.8.8\r\nForwarded: for=8.8.4.4\r\n"
	for _, c := range []struct {
		name, proxy string
		n           *node
	}{
		{"haproxy", haproxy, asBytes},
		{"haproxy-http", haproxyHTTP, asHTTP},
		{"nginx", nginx, asHTTP},
	} {
		for i, header := range []string{"", lie} {
			if remote := through(t, c.n, c.proxy, fmt.Sprintf("%s-%d", c.name, i), header); !strings.HasPrefix(remote, elsewhere+":") {
				t.Errorf("behind %s, having said %q, the device was taken for %q", c.name, header, remote)
			}
		}
	}
	// A peer that is no proxy cannot bring a header of its own; a proxy cannot leave it out.
	d := dialTCP(t, asHTTP.listen)
	fmt.Fprint(d, "PROXY TCP4 8.8.8.8 8.8.4.4 1 2\r\nGET /v1/device HTTP/1.1\r\nHost: node\r\n\r\n")
	resp, err := http.ReadResponse(d.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a PROXY header of nobody's was answered %s", resp.Status)
	}
	d = dialTCP(t, asBytes.listen)
	fmt.Fprint(d, "GET /v1/device HTTP/1.1\r\nHost: node\r\n\r\n")
	if b, err := d.r.ReadByte(); err == nil {
		t.Errorf("a proxy without a header was answered %q", b)
	}
}

// TLS lies behind the PROXY header, and with it the device's certificate.
func TestProxies_CertificateBehindTheHeader(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("pump-1", nil)
	n := startTLS(t, "--proxy-protocol=127.0.0.1", "--tls-client-ca", ca.File, "--tls-client-auth=required", "--auth=cert")
	args := []string{"--haproxy-protocol", "--cert", cert, "--key", key}
	if got := n.curlWith(args...); !strings.HasPrefix(got, "101") {
		t.Errorf("with its certificate: %s", got)
	}
	if got := n.curlWith(append(args, "--header", "Authorization: Bearer "+n.token("pump-2"))...); !strings.HasPrefix(got, "403") {
		t.Errorf("with its certificate and another device's token: %s", got)
	}
	if got := n.curlWith("--haproxy-protocol"); strings.HasPrefix(got, "101") {
		t.Errorf("without a certificate: %s", got)
	}
}
