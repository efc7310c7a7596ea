package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// The admin API speaks TLS to curl, HTTP/1.1 alone, and nothing else; the tool trusts what
// the system trusts. Devices stay as they were.
func TestAdminTLS_Curl(t *testing.T) {
	t.Parallel()
	need(t, "curl", exec.Command("curl", "--version").Run() == nil)
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	n := prepare(t, "--auth=none", "--admin-tls-cert", cert, "--admin-tls-key", key)
	n.spawn()
	testkit.Eventually(t, patience, "the node to be ready", func() bool {
		_, _, code := n.run("health", "--data-dir", n.dir)
		return code == 0
	})
	for _, c := range []struct{ url, want string }{
		{"https://" + n.admin + "/readyz", "200 1.1"},
		{"https://" + n.admin + "/v1/node", "401 1.1"},
		{"http://" + n.admin + "/readyz", "400 1"}, // curl says 1 or 1.0
	} {
		out, err := exec.Command("curl", "--silent", "--show-error", "--max-time", "120", "--cacert", ca.File,
			"--output", os.DevNull, "--write-out", "%{http_code} %{http_version}", c.url).CombinedOutput()
		if !strings.HasPrefix(string(out), c.want) || err != nil {
			t.Errorf("%s: %q, %v", c.url, out, err)
		}
	}
	ask := exec.Command(nodeBinary, "devices", "--data-dir", n.dir, "--admin-url", "https://"+strings.Replace(n.admin, "127.0.0.1", "localhost", 1))
	ask.Env = append(os.Environ(), "SSL_CERT_FILE="+ca.File)
	if out, err := ask.CombinedOutput(); err != nil || !strings.Contains(string(out), "TENANT") {
		t.Errorf("with SSL_CERT_FILE: %v, %s", err, out)
	}
	upgradeRaw(t, n, "?device=pump", "")
	n.stop()
}
