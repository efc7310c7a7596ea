package admin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// newHealth is a server of probes, on an address that others may reach.
func newHealth(t *testing.T, reasons ...api.Reason) *admin.Server {
	t.Helper()
	s, err := admin.NewHealth(admin.Config{Listen: "0.0.0.0:0"},
		func() []api.Reason { return reasons },
		func() []api.Reason { return []api.Reason{{Code: "log_filling", Detail: "4711 bytes"}} })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Who probes is told whether the node is ready and by which codes it is not, token or not: this
// server has no tokens, asks for none, and has nothing else to say.
func TestHealth_SaysNothingElse(t *testing.T) {
	s := newHealth(t, api.Reason{Code: "log_stalled", Detail: "on /srv/secret"})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(context.WithoutCancel(t.Context())) }()
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		status    int
		said      string
		challenge string
		ends      bool
	}
	ask := func(method, path string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{resp.StatusCode, string(body), resp.Header.Get("WWW-Authenticate"), resp.Close}
	}
	if got := ask("GET", "/healthz"); got.status != http.StatusOK || !got.ends {
		t.Errorf("/healthz: %+v", got)
	}
	ready := ask("GET", "/readyz")
	if ready.status != http.StatusServiceUnavailable || !strings.Contains(ready.said, "log_stalled") || !strings.Contains(ready.said, "log_filling") {
		t.Errorf("/readyz: %+v", ready)
	}
	if strings.Contains(ready.said, "secret") || strings.Contains(ready.said, "4711") {
		t.Errorf("/readyz tells details: %+v", ready)
	}
	for pattern := range newFakes(t).server.Patterns() {
		method, path, _ := strings.Cut(strings.NewReplacer("{$}", "", "{", "", "}", "").Replace(pattern), " ")
		if path == "/healthz" || path == "/readyz" {
			method = "POST"
		}
		if got := ask(method, path); got.status != http.StatusNotFound || got.challenge != "" || !strings.Contains(got.said, "nothing else") {
			t.Errorf("%s %s: %+v", method, path, got)
		}
	}
}

// However many connections somebody keeps open, no more than 128 of them stay, and probes are
// answered.
func TestHealth_Flood(t *testing.T) {
	const limit, flood = 128, 400
	for name, text := range map[string]string{
		"a request that does not end": "GET /healthz HTTP/1.1\r\nHost: ",
		"answers that nobody reads":   "GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n",
		"a body that does not come":   "POST /healthz HTTP/1.1\r\nHost: node\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t)
				f.server = newHealth(t)
				b, stop := f.serve()
				defer stop()
				for range flood {
					defer b.raw(t, text).Close()
					synctest.Wait()
				}
				evicted := 0.0
				f.server.HealthSamples(func(s admin.Sample) {
					if s.Name == "edgeloop_admin_health_evicted_connections_total" {
						evicted = s.Value
					}
				})
				if evicted != flood-limit {
					t.Errorf("%v of %d were sent away, want all but %d", evicted, flood, limit)
				}
				for range 2 * limit {
					probe := b.raw(t, "GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n")
					defer probe.Close()
					wantAnswer(t, probe, http.StatusOK)
				}
			})
		})
	}
}
