package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// TestEcho_Control: the control listener is there when it was asked for and
// where, never on a network; it shows the heap after a collection, and counters.
func TestEcho_Control(t *testing.T) {
	out, ended := &lockedBuffer{}, make(chan int, 1)
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("echo", nil)
	go func() {
		ended <- run([]string{"echo", "--listen=127.0.0.1:0", "--control-listen=127.0.0.1:0", "--tls-cert=" + cert, "--tls-key=" + key, "--tls-client-ca=" + ca.File}, out, out)
	}()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(out.String(), "echo listening on") {
		select {
		case code := <-ended:
			t.Fatalf("ended with %d: %s", code, out)
		case <-deadline:
			t.Fatalf("not listening: %s", out)
		case <-tick.C:
		}
	}
	at := regexp.MustCompile(`control listening on (\S+)`).FindStringSubmatch(out.String())
	if at == nil {
		t.Fatalf("no address of the control listener: %s", out)
	}
	for path, want := range map[string]string{
		"/debug/pprof/heap?gc=1&debug=1": "# HeapAlloc = ",
		"/metrics":                       "edgeloop_eventloop_connections 0\n",
	} {
		resp, err := http.Get("http://" + at[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, no %q in %.200s", path, err, want, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	listening := regexp.MustCompile(`echo listening on (\S+)`).FindStringSubmatch(out.String())
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{ca.Pair("device", nil)}}}}
	if resp, err := secure.Get("https://" + listening[1] + "/"); err != nil || resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("by TLS: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	secure.CloseIdleConnections()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d: %s", code, out)
	}
	wantRefused(t, []string{"echo", "--control-listen=0.0.0.0:0"}, []string{"--control-listen=0.0.0.0:0", "127.0.0.1"})
	wantRefused(t, []string{"echo", "--tls-cert=a"}, []string{"--tls-cert and --tls-key together"})
	wantRefused(t, []string{"echo", "--tls-client-ca=a"}, []string{"--tls-client-ca"})
	wantRefused(t, []string{"echo", "--tls-cert=/no/such", "--tls-key=b"}, []string{"/no/such: no such file"})
	wantRefused(t, []string{"echo", "--control-listen=127.0.0.1:99999"}, []string{"--control-listen", "65535"})
}
