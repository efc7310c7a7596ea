package admin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// While a node starts it says that it lives, and why it is not ready: the codes to anybody,
// the words to clients with a token. A client that connects while it becomes ready is not refused,
// but waits for the whole API.
func TestEarly_HandsItsListenerOver(t *testing.T) {
	cfg := admin.Config{Listen: "127.0.0.1:0", Principals: own}
	early, err := admin.NewEarly(cfg, func() []api.Reason {
		return []api.Reason{{Code: "log_unreachable", Detail: "at 192.0.2.1"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Start(); err != nil {
		t.Fatal(err)
	}
	at := early.Addr().String()
	ask := func(path, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, _ := ask("/healthz", ""); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	if status, said := ask("/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(said, "log_unreachable") || strings.Contains(said, "192.0.2.1") {
		t.Errorf("/readyz: %d %s", status, said)
	}
	if _, said := ask("/readyz", token); !strings.Contains(said, "192.0.2.1") {
		t.Errorf("/readyz with the token: %s", said)
	}
	for _, path := range []string{"/v1/node", "/", "/metrics"} {
		if status, said := ask(path, token); status != http.StatusServiceUnavailable || !strings.Contains(said, "starting") {
			t.Errorf("%s: %d %s", path, status, said)
		}
	}

	mute, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	ask("/healthz", "") // so that the one before is accepted
	cfg.Listener, err = early.HandOver()
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatalf("between the two servers: %v", err)
	}
	defer waiting.Close()
	if _, err := io.WriteString(waiting, "GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	whole, err := admin.New(cfg, f.backends())
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = whole.Stop(context.WithoutCancel(t.Context())) }()
	resp, err := http.ReadResponse(bufio.NewReader(waiting), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("who waited got %d", resp.StatusCode)
	}
	if status, _ := ask("/v1/node", token); status != http.StatusOK {
		t.Errorf("/v1/node: %d", status)
	}

	// A client connected to the first is answered, late as it asks.
	if _, err := io.WriteString(mute, "GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	late, err := http.ReadResponse(bufio.NewReader(mute), nil)
	if err != nil {
		t.Fatalf("who was connected before: %v", err)
	}
	defer late.Body.Close()
	if late.StatusCode != http.StatusServiceUnavailable || !late.Close {
		t.Errorf("who was connected before got %d, and the connection ends: %t", late.StatusCode, late.Close)
	}
	if err := early.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
