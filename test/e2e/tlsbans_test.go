package e2e_test

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// handshakeFrom has openssl try a handshake from an address, with these further arguments.
func (s *secureNode) handshakeFrom(addr string, args ...string) {
	s.t.Helper()
	cmd := exec.Command("timeout", append([]string{"120", "openssl", "s_client", "-connect", s.addr, "-bind", addr + ":0"}, args...)...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\n\r\n")
	_, _ = cmd.CombinedOutput() // it fails
}

// sayFrom says one thing from an address, and waits for the other end to hang up.
func (s *secureNode) sayFrom(addr, what string) {
	s.t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}, Timeout: patience}
	conn, err := from.Dial("tcp", s.addr)
	if err != nil {
		return // it is banned, which the counter says
	}
	defer conn.Close()
	if what == "" {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, what)
	_, _ = io.Copy(io.Discard, conn) // the other end may reset
}

// Handshakes that fail by the doing of who asks for them get its address banned, behind a
// proxy the one that its header says. Who does not trust the node's certificate, speaks another
// protocol, or hangs up before it has said anything, as health checks do, is never banned for it.
func TestTLSBans_WhoFailsItsHandshake(t *testing.T) {
	t.Parallel()
	need(t, "openssl", exec.Command("openssl", "version").Run() == nil)
	people, strangers := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := strangers.Issue("stranger", nil)
	const proxy, behind = "127.0.0.24", "10.1.2.3"
	n := startTLS(t, "--ban-failures=3", "--ban-window=1h", "--tls-client-ca", people.File, "--tls-client-auth=optional", "--proxy-protocol="+proxy)
	bans := func() float64 { return n.metric("edgeloop_doorman_bans_total", "") }

	const innocent = 5
	for range innocent {
		n.sayFrom("127.0.0.28", "")
		n.handshakeFrom("127.0.0.30", "-alpn", "h2", "-tls1_3")
		n.handshakeFrom("127.0.0.30", "-alpn", "h2", "-tls1_2")
		n.handshakeFrom("127.0.0.29", "-CAfile", strangers.File, "-verify_return_error", "-tls1_3")
		n.handshakeFrom("127.0.0.29", "-CAfile", strangers.File, "-verify_return_error", "-tls1_2")
	}
	testkit.Eventually(t, patience, "the node to hear that it is not trusted", func() bool {
		ended := n.metric("edgeloop_tls_handshakes_total", `outcome="alerted"`) + n.metric("edgeloop_tls_handshakes_total", `outcome="gone"`)
		return ended >= 2*innocent // some are gone before their alert was looked at
	})
	n.wantMetric("edgeloop_tls_handshakes_total", `outcome="alpn"`, 2*innocent)
	if got := n.metric("edgeloop_doorman_watched_addresses", ""); got != 0 || bans() != 0 {
		t.Errorf("%.0f addresses are watched, %.0f banned", got, bans())
	}
	for _, c := range []struct {
		name string
		try  func()
	}{
		{"no version in common", func() { n.handshakeFrom("127.0.0.21", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") }},
		{"a certificate of strangers", func() { n.handshakeFrom("127.0.0.22", "-cert", cert, "-key", key) }},
		{"no TLS", func() { n.sayFrom("127.0.0.23", "\x80\x2e\x01\x03\x01") }},
		{"no TLS, behind a proxy", func() {
			n.sayFrom(proxy, fmt.Sprintf("PROXY TCP4 %s 10.9.9.9 5 6\r\n\x80\x2e\x01\x03\x01", behind))
		}},
	} {
		before := bans()
		testkit.Eventually(t, patience, "a ban for "+c.name, func() bool {
			c.try()
			return bans() > before
		})
	}
	n.logged("address is kept out")
	n.stop()
}
