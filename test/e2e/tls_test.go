package e2e_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// secureNode is a node whose devices connect by TLS.
type secureNode struct {
	*node
	ca   *testkit.Authority
	addr string
}

func prepareTLS(t *testing.T, flags ...string) *secureNode {
	t.Helper()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	s := &secureNode{ca: ca, addr: freeAddr(t)}
	s.node = prepare(t, append([]string{"--tls-listen", s.addr, "--tls-cert", cert, "--tls-key", key}, flags...)...)
	return s
}

func startTLS(t *testing.T, flags ...string) *secureNode {
	t.Helper()
	s := prepareTLS(t, flags...)
	s.boot()
	return s
}

func (s *secureNode) wss() string { return "wss://" + s.addr + "/v1/device" }

// A node may have no plain listener, and says over TLS what it says without.
func TestTLS_Curl(t *testing.T) {
	need(t, "curl", exec.Command("curl", "--version").Run() == nil)
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	n := prepare(t, "--listen=none", "--tls-cert", cert, "--tls-key", key)
	n.listenFlag = "--tls-listen"
	n.boot()
	for _, version := range []string{"1.2", "1.3"} {
		out, err := exec.Command("curl", "--silent", "--show-error", "--max-time", "120", "--cacert", ca.File,
			"--tls-max", version, "--tlsv"+version, "--output", os.DevNull, "--write-out", "%{http_code} %{http_version}", "--http1.1",
			"--header", "Upgrade: websocket", "--header", "Connection: Upgrade", "--header", "Sec-WebSocket-Version: 13",
			"--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "https://"+n.listen+"/v1/device").CombinedOutput()
		if string(out) != "401 1.1" || err != nil {
			t.Errorf("TLS %s: %q, %v", version, out, err)
		}
	}
	out, err := exec.Command("curl", "--silent", "--max-time", "120", "http://"+n.listen+"/v1/device").CombinedOutput()
	if !strings.Contains(string(out), "use wss://") || err != nil {
		t.Errorf("without TLS: %q, %v", out, err)
	}
}

// openssl agrees on each suite; what it may not have it does not get.
func TestTLS_OpenSSL(t *testing.T) {
	for _, records := range []string{"std", "own"} {
		t.Run(records, func(t *testing.T) { tellOpenSSL(t, records) })
	}
}

func tellOpenSSL(t *testing.T, records string) {
	need(t, "openssl", exec.Command("openssl", "version").Run() == nil)
	n := startTLS(t, "--tls-records", records)
	ask := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command("timeout", append([]string{"120", "openssl", "s_client", "-connect", n.addr, "-CAfile", n.ca.File, "-verify_return_error", "-ign_eof"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, _ := cmd.CombinedOutput() // its exit code says how the peer closed
		return string(out)
	}
	get := fmt.Sprintf("GET /v1/device HTTP/1.1\r\nHost: %s\r\n\r\n", n.addr)
	for suite, flags := range map[string][]string{
		"ECDHE-ECDSA-AES128-GCM-SHA256": {"-tls1_2", "-cipher"},
		"ECDHE-ECDSA-AES256-GCM-SHA384": {"-tls1_2", "-cipher"},
		"ECDHE-ECDSA-CHACHA20-POLY1305": {"-tls1_2", "-cipher"},
		"TLS_AES_128_GCM_SHA256":        {"-tls1_3", "-ciphersuites"},
		"TLS_AES_256_GCM_SHA384":        {"-tls1_3", "-ciphersuites"},
		"TLS_CHACHA20_POLY1305_SHA256":  {"-tls1_3", "-ciphersuites"},
	} {
		out := ask(get, append(flags, suite, "-alpn", "h2,http/1.1")...)
		for _, want := range []string{"Cipher is " + suite, "ALPN protocol: http/1.1", "HTTP/1.1 426"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in %s", suite, want, out)
			}
		}
	}
	// K asks for another key and changes its own, k only that.
	n.openSSL([]string{"-tls1_3"}, "K\n", "KEYUPDATE", "k\n", "KEYUPDATE", "K\n", "KEYUPDATE", get, "HTTP/1.1 426")
	for name, args := range map[string][]string{
		"TLS 1.1":              {"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"},
		"an unknown ALPN":      {"-alpn", "h2"},
		"a suite that is weak": {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM8@SECLEVEL=0"},
	} {
		if out := ask(get, args...); strings.Contains(out, "HTTP/1.1") || !strings.Contains(out, "alert") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// openSSL tells s_client one thing after the other, each when it has answered the one
// before; a line of one letter is a command of its own.
func (s *secureNode) openSSL(args []string, story ...string) {
	s.t.Helper()
	cmd := exec.Command("openssl", append([]string{"s_client", "-connect", s.addr, "-CAfile", s.ca.File, "-verify_return_error"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out := &logBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
	}()
	testkit.Eventually(s.t, patience, "openssl to connect", func() bool { return strings.Contains(out.String(), "Verify return code") })
	count := map[string]int{}
	for i := 0; i < len(story); i += 2 {
		if _, err := io.WriteString(in, story[i]); err != nil {
			s.t.Fatal(err)
		}
		want := story[i+1]
		count[want]++
		testkit.Eventually(s.t, patience, "openssl to say "+want, func() bool { return strings.Count(out.String(), want) >= count[want] })
	}
}

// An expired certificate does not stop the node, but it says so.
func TestTLS_ExpiredCertificate(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Expired("old")
	n := start(t, "--tls-listen", freeAddr(t), "--tls-cert", cert, "--tls-key", key)
	n.logged("THE TLS CERTIFICATE HAS EXPIRED")
}

// curlWith is what a device made of curl hears over TLS: the status of its handshake, or
// 000 and why there is none.
func (s *secureNode) curlWith(args ...string) string {
	s.t.Helper()
	need(s.t, "curl", exec.Command("curl", "--version").Run() == nil)
	all := []string{"--silent", "--show-error", "--max-time", "120", "--cacert", s.ca.File, "--dump-header", "-", "--output", os.DevNull, "--http1.1"}
	for k, v := range upgrade {
		all = append(all, "--header", k+": "+v)
	}
	var errs strings.Builder
	cmd := exec.Command("curl", append(append(all, args...), "https://"+s.addr+"/v1/device")...)
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	status := "000"
	if line, err := bufio.NewReader(out).ReadString('\n'); err == nil {
		status = strings.Fields(line + "- -")[1]
		_ = cmd.Process.Kill() // a WebSocket has no end
	}
	_ = cmd.Wait() // what it says is judged
	return status + " " + errs.String()
}

// A certificate is who a device is: alone with --auth=cert, together with a token that is
// for the same device with --auth=jwt.
func TestTLS_CertificateIsTheDevice(t *testing.T) {
	ca := testkit.NewAuthority(t)
	crl := ca.Revoke("list", time.Now().Add(time.Hour), ca.Pair("stolen", nil).Leaf)
	mine := func(name string) []string {
		cert, key := ca.Issue(name, func(c *x509.Certificate) { c.Subject.Organization = []string{"acme"} })
		return []string{"--cert", cert, "--key", key}
	}
	pump, stolen := mine("pump-1"), []string{"--cert", strings.TrimSuffix(ca.File, "ca.crt") + "stolen.crt", "--key", strings.TrimSuffix(ca.File, "ca.crt") + "stolen.key"}
	flags := []string{"--tls-client-ca", ca.File, "--tls-crl", crl, "--tls-identity", "{cn}", "--tls-tenant", "{o}"}

	alone := startTLS(t, append(flags, "--auth=cert", "--tls-client-auth=required")...)
	if got := alone.curlWith(pump...); !strings.HasPrefix(got, "101") {
		t.Errorf("with its certificate: %s", got)
	}
	if out := alone.tool("devices", "--tenant=acme"); !strings.Contains(out, "acme") || !strings.Contains(out, "pump-1") {
		t.Errorf("the devices are %s", out)
	}
	for name, args := range map[string][]string{"no certificate": nil, "a revoked one": stolen, "a name that is none": mine("a b")} {
		if got := alone.curlWith(args...); !strings.Contains(got, "000") || !strings.Contains(got, "alert") {
			t.Errorf("%s: %s", name, got)
		}
	}
	bearer := func(token string) []string { return []string{"--header", "Authorization: Bearer " + token} }
	if got := alone.curlWith(append(pump, bearer(alone.token("pump-2", "--tenant=acme"))...)...); !strings.HasPrefix(got, "403") {
		t.Errorf("with another device's token: %s", got)
	}

	both := startTLS(t, append(flags, "--tls-client-auth=optional")...)
	for name, c := range map[string]struct{ args, want string }{
		"certificate and token":            {both.token("pump-1", "--tenant=acme"), "101"},
		"certificate and another's token":  {both.token("pump-2", "--tenant=acme"), "403"},
		"certificate and another tenant's": {both.token("pump-1"), "403"},
		"certificate alone":                {"", "401"},
	} {
		args := pump
		if c.args != "" {
			args = append(slices.Clone(pump), bearer(c.args)...)
		}
		if got := both.curlWith(args...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := both.curlWith(bearer(both.token("pump-2"))...); !strings.HasPrefix(got, "101") {
		t.Errorf("a token alone: %s", got)
	}
}

// An operator who looks for a device finds in the log from where it came and why it got no
// further than TLS, or a proxy than its header.
func TestTLS_RefusedIsSaid(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("stolen", nil)
	crl := ca.Revoke("list", time.Now().Add(time.Hour), ca.Pair("stolen", nil).Leaf)
	n := startTLS(t, "--tls-client-ca", ca.File, "--tls-crl", crl, "--tls-client-auth=required", "--auth=cert", "--proxy-protocol=127.0.0.34")
	for from, c := range map[string]struct {
		args []string
		want []string
	}{
		"127.0.0.31": {[]string{"--cert", cert, "--key", key}, []string{"CN=stolen", "revoked"}},
		"127.0.0.32": {nil, []string{"didn't provide a certificate"}},
		"127.0.0.33": {[]string{"--cacert", cert}, []string{"remote error: tls"}},
		"127.0.0.34": {nil, []string{"no PROXY header"}},
	} {
		testkit.Eventually(t, 2*patience, "a line about "+from, func() bool { // two may share a line in ten seconds
			n.curlWith(append(c.args, "--interface", from)...)
			for line := range strings.Lines(n.log.String()) {
				if strings.Contains(line, "device refused") && strings.Contains(line, `"greeting"`) && strings.Contains(line, `"`+from+":") && containsAll(line, c.want...) {
					return true
				}
			}
			return false
		})
	}
	n.stop()
}

// A certificate that was renewed is served without a signal and without a connection lost;
// one that is broken changes nothing, which is said.
func TestTLS_Renewal(t *testing.T) {
	n := startTLS(t)
	c := startTrusting(t, "python", n.ca.File)
	p := c.dial(order{URL: n.wss(), Protocols: []string{"edgeloop.v1.json"}, Headers: map[string]string{"Authorization": "Bearer " + n.token("d")}})
	p.want("open")
	p.wantMessage("welcome")
	served := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", n.addr, &tls.Config{RootCAs: n.ca.Pool(), ServerName: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := served()
	cert, key := n.ca.Issue("node", nil)
	testkit.Eventually(t, patience, "the new certificate to be served", func() bool { return served() != first })
	second := served()

	if err := os.WriteFile(cert, []byte("oh no"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the node to say so", func() bool {
		return strings.Contains(n.log.String(), "cannot use the changed files of TLS") && strings.Contains(n.log.String(), cert)
	})
	if status, body := n.api(http.MethodPost, "/v1/reload", nil); status == http.StatusOK || !strings.Contains(fmt.Sprint(body), cert) {
		t.Errorf("a reload says %d %v", status, body)
	}
	if got := served(); got != second {
		t.Error("it is not served any more")
	}
	if log := n.log.String(); strings.Contains(log, "PRIVATE KEY") || strings.Contains(log, secretOf(t, key)) {
		t.Error("the key is in the log")
	}
	p.send(message{"type": "telemetry", "seq": 1, "topic": "t", "data": 1})
	p.wantAck(1)
	p.close()
}

// secretOf is a line out of the middle of a key.
func secretOf(t *testing.T, key string) string {
	t.Helper()
	b, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")[1]
}
