package e2e_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Devices over TLS that nobody here wrote, with either kind of records.

// withRecords runs a test with a node of each kind.
func withRecords(t *testing.T, test func(t *testing.T, n *secureNode)) {
	t.Helper()
	for _, records := range []string{"own", "std"} {
		t.Run(records, func(t *testing.T) { test(t, startTLS(t, "--tls-records="+records)) })
	}
}

// Python and Node are devices over TLS as they are without it.
func TestTLS_Devices(t *testing.T) {
	withRecords(t, func(t *testing.T, n *secureNode) {
		withEachLibrary(t, func(t *testing.T, lib string) {
			c := startTrusting(t, lib, n.ca.File)
			p := c.dial(order{URL: n.wss(), Protocols: []string{"edgeloop.v1.json"}, Headers: map[string]string{"Authorization": "Bearer " + n.token(lib)}})
			p.want("open")
			p.wantMessage("welcome")
			for seq := uint64(1); seq <= 20; seq++ {
				p.send(message{"type": "telemetry", "seq": seq, "topic": "t", "data": strings.Repeat("x", int(seq)*2000)})
			}
			p.wantAck(20)
			p.close()
			distrusts := startClient(t, lib).dial(order{URL: n.wss()})
			if e := distrusts.want("failed"); !strings.Contains(strings.ToLower(e.Error), "certificate") {
				t.Errorf("without the authority: %+v", e)
			}
		})
	})
}

// So is a page in Chromium, which trusts the node's own key and nobody's else.
func TestTLS_Browser(t *testing.T) {
	t.Parallel()
	withRecords(t, func(t *testing.T, n *secureNode) {
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, page, n.wss(), n.token("page"))
		}))
		t.Cleanup(site.Close)
		tab := newTab(t, chromedp.Flag("ignore-certificate-errors-spki-list", n.pin()))
		if err := chromedp.Do(tab,
			chromedp.Navigate(site.URL),
			waitText("#state", "welcome"),
			chromedp.Click("#send"),
			waitText("#ack", "ack 1"),
			chromedp.Click("#send"),
			waitText("#ack", "ack 2"),
		); err != nil {
			t.Fatal(err)
		}
		if log := n.tail("--device", "page"); len(log) != 2 || !containsAll(string(log[1].Data), "Chrome") {
			t.Errorf("the log has %+v", log)
		}
	})
}

// pin is the hash of the key that the node serves.
func (s *secureNode) pin() string {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: s.ca.Pool(), ServerName: "127.0.0.1"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// javaEnv has the test of Java run: its package is 200 MB, so `make test` does without.
const javaEnv = "EDGELOOP_JAVA"

// Java's own WebSocket client is a device, by TLS 1.3 and by 1.2.
func TestTLS_Java(t *testing.T) {
	if os.Getenv(javaEnv) == "" {
		t.Skip("make java runs it")
	}
	withRecords(t, func(t *testing.T, n *secureNode) {
		for _, version := range []string{"TLSv1.3", "TLSv1.2"} {
			name := strings.ToLower(version)
			out, err := exec.Command("java", "java/Device.java", n.wss(), n.token(name), n.ca.File, version).CombinedOutput()
			if text := string(out); err != nil || !containsAll(text, `"upto":20`, "closed 1000") {
				t.Errorf("%s: %v, it says %s", version, err, out)
			}
			if log := n.tail("--device", name); len(log) != 20 {
				t.Errorf("%s: the log has %d records", version, len(log))
			}
		}
	})
}
