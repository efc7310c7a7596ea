package webhook_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/sink/sinktest"
	"edgeloop/sink/webhook"
)

// A receiver whose certificate nobody signed whom the operator names is not spoken to.
func TestWebhook_TrustsWhoSigned(t *testing.T) {
	a := testkit.NewAuthority(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{a.Pair("hook", nil)}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: ln.Addr().(*net.TCPAddr).String()}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(ln) }() // until it is closed
	t.Cleanup(s.down)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("right"), 0o600); err != nil {
		t.Fatal(err)
	}
	sinktest.TrustsWhoSigned(t, webhook.New, map[string]any{"url": "https://" + s.addr + "/in", "bearer_file": token, "ca_file": a.File})
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := sinktest.IDs(sinktest.Records(1, 3)...); !slices.Equal(sinktest.Firsts(s.ids), want) {
		t.Errorf("it has %v", s.ids)
	}
}
