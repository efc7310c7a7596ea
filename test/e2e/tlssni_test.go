package e2e_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

var subject = regexp.MustCompile(`(?m)^subject=CN ?= ?(.*)$`)

// served is whose certificate openssl gets, and whether it trusts it for the host.
func (s *secureNode) served(host string, args ...string) string {
	s.t.Helper()
	need(s.t, "openssl", exec.Command("openssl", "version").Run() == nil)
	name := []string{"-noservername"}
	if host != "" {
		name = []string{"-servername", host, "-verify_hostname", host}
	}
	args = append(append([]string{"120", "openssl", "s_client", "-connect", s.addr, "-CAfile", s.ca.File}, name...), args...)
	out, _ := exec.Command("timeout", args...).CombinedOutput() // with no input, it ends by itself
	verdict := "distrusted"
	if strings.Contains(string(out), "Verify return code: 0 (ok)") {
		verdict = "trusted"
	}
	if m := subject.FindSubmatch(out); m != nil {
		return string(m[1]) + " " + verdict
	}
	return string(out)
}

// A node with several certificates serves the one that a device asks for by SNI; one of
// them that has expired is named and spoils no other; they are renewed all together or not
// at all.
func TestTLS_CertificatesByName(t *testing.T) {
	ca := testkit.NewAuthority(t)
	for name, host := range map[string]string{"first": "first.example", "domain": "*.example.org", "exact": "a.example.org"} {
		ca.Issue(name, func(c *x509.Certificate) { c.DNSNames = []string{host} })
	}
	old := func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = []string{"old.example"}, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}
	ca.Issue("old", old)
	dir := filepath.Dir(ca.File)
	list := func(ending string) string {
		return fmt.Sprintf("[%[1]s/first.%[2]s, %[1]s/domain.%[2]s, %[1]s/exact.%[2]s, %[1]s/old.%[2]s]", dir, ending)
	}
	config := filepath.Join(t.TempDir(), "edgeloop.yaml")
	if err := os.WriteFile(config, []byte("tls-cert: "+list("crt")+"\ntls-key: "+list("key")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &secureNode{ca: ca, addr: freeAddr(t)}
	n.node = start(t, "--config", config, "--tls-listen", n.addr)
	for _, c := range []struct{ host, want string }{
		{"", "first trusted"},
		{"first.example", "first trusted"},
		{"b.example.org", "domain trusted"},
		{"A.example.org", "exact trusted"},
		{"stranger.example", "first distrusted"},
		{"old.example", "old distrusted"},
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			if got := n.served(c.host, version); got != c.want {
				t.Errorf("%q, %s: %s, want %s", c.host, version, got, c.want)
			}
		}
	}
	n.logged("THE TLS CERTIFICATE HAS EXPIRED", dir+"/old.crt")
	if status, ready := n.api(http.MethodGet, "/readyz", nil); status != http.StatusOK || !strings.Contains(fmt.Sprint(ready), "renew --tls-cert="+dir+"/old.crt") || strings.Count(fmt.Sprint(ready), "EXPIRED") != 1 {
		t.Errorf("readiness is %d %v", status, ready)
	}
	for name, past := range map[string]bool{"first": false, "domain": false, "exact": false, "old": true} {
		at := n.metric("edgeloop_tls_certificate_expiry_timestamp_seconds", fmt.Sprintf("file=%q", dir+"/"+name+".crt"))
		if at == 0 || (at < float64(time.Now().Unix())) != past {
			t.Errorf("%s expires at %.0f", name, at)
		}
	}

	ca.Issue("exact", func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = []string{"a.example.org"}, "renewed" })
	ca.Issue("old", func(c *x509.Certificate) { c.DNSNames = []string{"old.example"} })
	if status, body := n.api(http.MethodPost, "/v1/reload", nil); status != http.StatusOK {
		t.Fatalf("a reload says %d %v", status, body)
	}
	if exact, old := n.served("a.example.org"), n.served("old.example"); exact != "renewed trusted" || old != "old trusted" {
		t.Errorf("after a reload are served %s and %s", exact, old)
	}
	if err := os.WriteFile(dir+"/old.crt", []byte("oh no"), 0o600); err != nil { // first: the node looks by itself, too
		t.Fatal(err)
	}
	ca.Issue("first", func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = []string{"first.example"}, "too early" })
	if status, body := n.api(http.MethodPost, "/v1/reload", nil); status == http.StatusOK || !strings.Contains(fmt.Sprint(body), dir+"/old.crt") {
		t.Errorf("a reload says %d %v", status, body)
	}
	if got := n.served("first.example"); got != "first trusted" {
		t.Errorf("beside a broken one is served %s", got)
	}
}

// startTwoKinds is a node with a certificate of P-256 and one of RSA for localhost.
func startTwoKinds(t *testing.T, flags ...string) *secureNode {
	t.Helper()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("p256", nil)
	dir := t.TempDir()
	need(t, "openssl", exec.Command("openssl", "version").Run() == nil)
	other, otherKey := filepath.Join(dir, "rsa.crt"), filepath.Join(dir, "rsa.key")
	caKey := filepath.Join(dir, "ca.key")
	der, err := x509.MarshalPKCS8PrivateKey(ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(caKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", otherKey, "-out", other, "-days", "2",
		"-CA", ca.File, "-CAkey", caKey, "-subj", "/CN=rsa", "-addext", "subjectAltName=DNS:localhost").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := &secureNode{ca: ca, addr: freeAddr(t)}
	n.node = start(t, append([]string{"--tls-listen", n.addr, "--tls-cert", cert, "--tls-cert", other, "--tls-key", key, "--tls-key", otherKey}, flags...)...)
	return n
}

// A device that cannot check one kind of key gets the certificate of the same name with
// another.
func TestTLS_KeysOfTwoKinds(t *testing.T) {
	n := startTwoKinds(t)
	for want, args := range map[string][]string{
		"p256 trusted":  {"-tls1_3"},
		"rsa trusted":   {"-tls1_3", "-sigalgs", "RSA-PSS+SHA256"},
		"rsa trusted ":  {"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"},
		"p256 trusted ": {"-tls1_2", "-sigalgs", "ECDSA+SHA256"},
	} {
		if got := n.served("localhost", args...); got != strings.TrimSpace(want) {
			t.Errorf("%v: %s", args, got)
		}
	}
}

// Every suite of TLS 1.2 that there is here is agreed on, and nothing weaker; a peer may not
// negotiate anew, and one that leaves early, in whatever way, leaves nothing behind.
func TestTLS_OldOpenSSL(t *testing.T) {
	n := startTwoKinds(t, "--tls-records=own")
	get := "GET /v1/device HTTP/1.1\r\nHost: node\r\n\r\n"
	ask := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command("timeout", append([]string{"120", "openssl", "s_client", "-connect", n.addr, "-CAfile", n.ca.File, "-servername", "localhost"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, _ := cmd.CombinedOutput() // its exit code says how the peer closed
		return string(out)
	}
	for _, suite := range []string{"AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA"} {
		for _, key := range []string{"ECDHE-ECDSA-", "ECDHE-RSA-"} {
			out := ask(get, "-tls1_2", "-ign_eof", "-cipher", key+suite+"@SECLEVEL=0")
			if !strings.Contains(out, "Cipher is "+key+suite) || !strings.Contains(out, "HTTP/1.1 426") {
				t.Errorf("%s: %s", key+suite, out)
			}
		}
	}
	for _, suite := range []string{"AES128-GCM-SHA256", "AES128-SHA", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-NULL-SHA"} {
		if out := ask(get, "-tls1_2", "-ign_eof", "-cipher", suite+"@SECLEVEL=0"); strings.Contains(out, "HTTP/1.1") || !strings.Contains(out, "alert handshake failure") {
			t.Errorf("%s, which is not offered: %s", suite, out)
		}
	}
	if out := ask("R\n"+get, "-tls1_2", "-legacy_renegotiation"); !strings.Contains(out, "RENEGOTIATING") || !strings.Contains(out, "alert unexpected message") || strings.Contains(out, "HTTP/1.1") {
		t.Errorf("a new negotiation: %s", out)
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if out := ask("Q\n", version); !strings.Contains(out, "DONE") {
			t.Errorf("it leaves: %s", out)
		}
	}
	testkit.Eventually(t, patience, "everybody to be gone", func() bool { return n.metric("edgeloop_eventloop_connections", "") == 0 })
	n.stop()
}
