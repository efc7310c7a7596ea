package admin_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// A page of another site, whose name leads to the node for a moment, gets nothing of it: no
// route, no page, and not whether there is a path. Whoever brings a good token is no such page.
func TestHosts_EveryRoute(t *testing.T) {
	f := newFakes(t, func(c *admin.Config) { c.Hosts = []string{"node.example"} })
	paths := strings.NewReplacer("{tenant}", "default", "{device}", "d1", "{id}", "0a", "{file}", "app.js", "{$}", "", "{", "", "}", "")
	ask := func(pattern, host, auth string) int {
		method, path, _ := strings.Cut(paths.Replace(pattern), " ")
		r := httptest.NewRequest(method, path, nil)
		if r.Host = host; auth != "" {
			r.Header.Set("Authorization", auth)
		}
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, r)
		if w.Code == http.StatusMisdirectedRequest && !strings.Contains(w.Body.String(), "--admin-hosts") {
			t.Errorf("%s: it does not say what to do: %s", pattern, w.Body)
		}
		return w.Code
	}
	patterns := f.server.Patterns()
	patterns["GET /no-such-path"], patterns["POST /v1/node"] = false, false
	for pattern, open := range patterns {
		if strings.HasSuffix(pattern, "z") {
			if got := ask(pattern, "evil.example", ""); got != http.StatusOK {
				t.Errorf("%s of a probe by name: %d", pattern, got)
			}
			continue
		}
		for _, auth := range []string{"", "Bearer guess", "Bearer " + token[:16], "Basic " + token} {
			for _, host := range []string{"evil.example", "evil.example:9090", "", "127.0.0.1.evil.example", "localhost.evil.example:9090", "node.example.evil"} {
				if got := ask(pattern, host, auth); got != http.StatusMisdirectedRequest {
					t.Errorf("%s for %q with %q: %d", pattern, host, auth, got)
				}
			}
			want := http.StatusUnauthorized
			if open {
				want = http.StatusOK
			}
			for _, host := range []string{"127.0.0.1:9090", "[::1]:9090", "192.0.2.1", "localhost:9090", "node.example", "NODE.example.:9090"} {
				if got := ask(pattern, host, auth); got != want {
					t.Errorf("%s for %q with %q: %d, want %d", pattern, host, auth, got, want)
				}
			}
		}
	}
	if got := ask("GET /v1/node", "evil.example", "Bearer "+token); got != http.StatusOK {
		t.Errorf("a program that calls the node by another name: %d", got)
	}
}

// With TLS the browser has seen that the name is the node's.
func TestHosts_TLS(t *testing.T) {
	f := newFakes(t)
	r := httptest.NewRequest(http.MethodGet, "https://node.example/", nil)
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	if f.server.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}

// A node that still starts is no easier to reach.
func TestHosts_Early(t *testing.T) {
	s, err := admin.NewEarly(admin.Config{Principals: own}, func() []api.Reason { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/": http.StatusMisdirectedRequest, "/v1/node": http.StatusMisdirectedRequest, "/healthz": http.StatusOK} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "evil.example"
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
