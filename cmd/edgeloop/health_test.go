package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A node writes its addresses down when it is up, which takes long with a large log. Health
// finds it before by the address that it is configured with, as a check in its container does.
func TestHealth_FindsANodeThatStarts(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer node.Close()
	at := strings.TrimPrefix(node.URL, "http://")
	live := []string{"health", "--live", "--data-dir=" + t.TempDir()}
	t.Run("flag", func(t *testing.T) {
		if code, out, errs := tool(append(live, "--admin-listen="+at)...); code != exitOK || out != "alive\n" {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
	t.Run("environment", func(t *testing.T) {
		t.Setenv("EDGELOOP_ADMIN_LISTEN", at)
		if code, out, errs := tool(live...); code != exitOK || out != "alive\n" {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
	t.Run("configuration file", func(t *testing.T) {
		if code, out, errs := tool(append(live, "--config="+put(t, "edgeloop.yaml", "admin-listen: "+at+"\n"))...); code != exitOK || out != "alive\n" {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
}
