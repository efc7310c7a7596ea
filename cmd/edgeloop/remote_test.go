package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A token goes to a node that is named, or that has written down where it is, and to nobody else:
// not to who listens where a node might, nor in the clear where a certificate is asked for.
func TestRemote_ShowsNobodyElseTheToken(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	token := put(t, ownToken, "0123456789abcdef0123456789\n")
	data := "--data-dir=" + filepath.Dir(token)
	for _, c := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"devices", data}, exitFail, "no node runs with --data-dir="},
		{[]string{"tail", data, "--no-follow"}, exitFail, "no node runs with --data-dir="},
		{[]string{"devices", data, "--admin-ca=" + token}, exitFail, "no node runs with --data-dir="},
		{[]string{"devices", data, "--admin-ca=" + token, "--admin-url=" + other.URL}, exitUsage, "speaks no TLS"},
		{[]string{"devices", data, "--admin-cert=" + token, "--admin-key=" + token, "--admin-url=" + strings.Replace(other.URL, "http", "HTTP", 1)}, exitUsage, "speaks no TLS"},
	} {
		if code, out, errs := tool(c.args...); code != c.code || !strings.Contains(errs, c.say) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q; want %d and %q", c.args, code, out, errs, c.code, c.say)
		}
	}
	pretend(t, filepath.Dir(token), addresses{Admin: strings.TrimPrefix(other.URL, "http://")})
	if code, _, errs := tool("devices", data, "--admin-ca="+token); code != exitUsage || !strings.Contains(errs, "speaks no TLS") {
		t.Errorf("a node that speaks none: exit code %d, %q", code, errs)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("somebody else was asked %d times", n)
	}
}
