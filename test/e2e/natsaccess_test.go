package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edgeloop/internal/testkit"
)

// secretFile makes a file that only its owner reads.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readiness is what /readyz says to who shows the admin token, or to anybody.
func (n *node) readiness(token string) (said string, status int) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, "http://"+n.admin+"/readyz", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error(), 0
	}
	defer resp.Body.Close()
	var r struct {
		Reasons []struct{ Code, Detail string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		n.t.Fatal(err)
	}
	return fmt.Sprint(r.Reasons), resp.StatusCode
}

// A node is started with a wrong password. It says at once what is wrong, in its log and to
// probes, which it answers meanwhile; and it starts as soon as the password is put right.
func TestNATSAccess_WrongPasswordPutRight(t *testing.T) {
	t.Parallel()
	nats := startNATS(t, `authorization { user: edge, password: "r1ght" }`)
	password := secretFile(t, "wr0ng")
	n := prepare(t, "--nats-url", nats.url(), "--nats-user=edge", "--nats-password-file", password, "--auth=none")
	n.spawn()
	testkit.Eventually(t, patience, "the node to say what it waits for", func() bool {
		said, status := n.readiness("")
		return status == http.StatusServiceUnavailable && strings.Contains(said, "starting") && strings.Contains(said, "log_unreachable")
	})
	if status := n.status("/healthz"); status != http.StatusOK {
		t.Errorf("alive, but /healthz says %d", status)
	}
	if status := n.status("/v1/node"); status != http.StatusServiceUnavailable {
		t.Errorf("a node that starts says %d to /v1/node", status)
	}
	if said, _ := n.readiness(""); strings.Contains(said, nats.addr) {
		t.Errorf("anybody is told %s", said)
	}
	token, err := os.ReadFile(filepath.Join(n.dir, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	// The server may end an attempt before its reason has arrived; the next one has it.
	testkit.Eventually(t, patience, "who shows the token to be told what to check, and the log to say it", func() bool {
		said, _ := n.readiness(strings.TrimSpace(string(token)))
		const line = "cannot connect to the log's server"
		log := n.log.String()
		return strings.Contains(said, nats.addr) && strings.Contains(said, "check the credentials") &&
			strings.Contains(log, line) && strings.Contains(log, "check the credentials")
	})

	if err := os.WriteFile(password, []byte("r1ght\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the node to be ready", func() bool { return n.status("/readyz") == http.StatusOK })
	d := upgradeRaw(t, n, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	d.wantText("ack")
	n.stop()
	if log := n.log.String(); strings.Contains(log, "r1ght") || strings.Contains(log, "wr0ng") {
		t.Error("a password is in the log")
	}
}

// The server asks for a certificate of the node, which knows it by its authority.
func TestNATSAccess_Certificates(t *testing.T) {
	t.Parallel()
	ca, stranger := testkit.NewAuthority(t), testkit.NewAuthority(t)
	serverCert, serverKey := ca.Issue("nats", nil)
	cert, key := ca.Issue("edge", nil)
	nats := startNATS(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", serverCert, serverKey, ca.File))
	access := []string{"--nats-url", nats.url(), "--nats-cert", cert, "--nats-key", key, "--nats-ca"}

	lost := prepare(t, append(access, stranger.File, "--auth=none", "--node=lost")...)
	lost.spawn()
	testkit.Eventually(t, patience, "the node to say whose certificate that is", func() bool {
		return strings.Contains(lost.log.String(), "no authority that this node trusts")
	})
	lost.stop()

	n := start(t, append(access, ca.File, "--auth=none", "--node=east")...)
	d := upgradeRaw(t, n, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	d.wantText("ack")
	if out, errs, code := n.run(append(append([]string{"log", "set"}, access...), ca.File, "--max-age=2h", "--patience=2m")...); code != 0 || !strings.Contains(out, "2h") {
		t.Errorf("edgeloop log set: %d\n%s%s", code, out, errs)
	}
	n.stop()
}

// A password in --nats-url is shown nowhere: to who lists processes, looks at the log,
// asks the API, or makes a profile.
func TestNATSAccess_PasswordOfAURLIsHidden(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	nats := startNATS(t, fmt.Sprintf("authorization { user: edge, password: %q }", secret))
	url := "nats://edge:" + secret + "@" + nats.addr
	n := start(t, "--nats-url", url, "--log-level=debug")
	nats.kill() // for what is said of a server that is lost, and in vain looked for
	testkit.Eventually(t, patience, "the node to lose its log", func() bool { return n.status("/readyz") != http.StatusOK })
	nats.boot()
	testkit.Eventually(t, patience, "the node to be ready again", func() bool { return n.status("/readyz") == http.StatusOK })
	shown, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"the list of processes": string(shown)}
	for _, path := range []string{"/v1/node", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/metrics", "/v1/limits"} {
		_, text := n.apiRaw(http.MethodGet, path, nil)
		all[path] = string(text)
	}
	n.stop()
	all["the log"] = n.log.String()
	for where, text := range all {
		if text == "" || strings.Contains(text, secret) {
			t.Errorf("%s has the password, or nothing: %q", where, text)
		}
	}
	if !strings.Contains(string(shown), "@"+nats.addr) {
		t.Errorf("the list of processes has %q", shown)
	}

	// A node that waits says where for, not with what.
	nats.kill()
	n.spawn()
	testkit.Eventually(t, patience, "the node to say that it waits", func() bool {
		return strings.Contains(n.log.String(), "check that the server runs")
	})
	n.signal(syscall.SIGTERM)
	n.wait()
	if log := n.log.String(); strings.Contains(log, secret) || !strings.Contains(log, nats.addr) {
		t.Errorf("the log has the password, or no address:\n%s", log)
	}
}
