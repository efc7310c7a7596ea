package admin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

func TestHealth(t *testing.T) {
	f := newFixture(t)
	f.call("GET", "/healthz", "").want(http.StatusOK)
	f.call("HEAD", "/healthz", "")
	f.call("POST", "/healthz", "").problem(http.StatusMethodNotAllowed, "method-not-allowed")
}

func TestReady(t *testing.T) {
	f := newFixture(t)
	var ready api.Readiness
	f.call("GET", "/readyz", "").want(http.StatusOK).into(&ready)
	if !ready.Ready || len(ready.Reasons) != 0 {
		t.Errorf("a ready node says %+v", ready)
	}
	f.node.ReadyFunc = func() []api.Reason { return []api.Reason{{Code: "log_stalled", Detail: "disk full"}} }
	f.call("GET", "/readyz", "").want(http.StatusServiceUnavailable).into(&ready)
	if ready.Ready || len(ready.Reasons) != 1 || ready.Reasons[0].Code != "log_stalled" {
		t.Errorf("a node that is not ready says %+v", ready)
	}
}

// What keeps a node from being ready, and what soon will, is known to everybody by its
// code. The words are for who may read them at /v1/node.
func TestReady_Details(t *testing.T) {
	f := newFixture(t, withPrincipals)
	f.node.ReadyFunc = func() []api.Reason { return []api.Reason{{Code: "log_stalled", Detail: "open /srv/secret"}} }
	f.node.WarnFunc = func() []api.Reason { return []api.Reason{{Code: "log_filling", Detail: "room for 7 bytes"}} }
	for who, details := range map[string]bool{
		"nobody": false, "a stranger": false, "metrics": false, "bound": false, "reads": true,
	} {
		var ready api.Readiness
		r := f.call("GET", "/readyz", "", "Authorization: Bearer "+strings.Repeat(who, 20)).want(http.StatusServiceUnavailable)
		r.into(&ready)
		if len(ready.Reasons) != 1 || len(ready.Warnings) != 1 || ready.Reasons[0].Code != "log_stalled" || ready.Warnings[0].Code != "log_filling" {
			t.Errorf("%s is told %s", who, r.body)
		}
		if strings.Contains(string(r.body), "secret") != details || strings.Contains(string(r.body), "7 bytes") != details {
			t.Errorf("%s is told %s", who, r.body)
		}
	}
	f.node.ReadyFunc = nil
	var ready api.Readiness
	f.call("GET", "/readyz", "").want(http.StatusOK).into(&ready)
	if !ready.Ready || len(ready.Warnings) != 1 {
		t.Errorf("a node whose log fills says %+v", ready)
	}
}

// withPrincipals takes the tokens of the test's callers: their names, twenty times.
func withPrincipals(c *admin.Config) {
	as := func(name, tenant string, scopes access.Scopes) {
		c.Principals = append(c.Principals, access.Principal{Name: name, Hash: access.HashOf(strings.Repeat(name, 20)), Tenant: tenant, Scopes: scopes})
	}
	for name, scope := range map[string]string{"metrics": "metrics", "reads": "read"} {
		scopes, _ := access.ParseScopes([]string{scope})
		as(name, "", scopes)
	}
	as("bound", "acme", access.AllScopes)
}

func TestNode(t *testing.T) {
	f := newFixture(t)
	started := time.Now().Add(-time.Hour)
	f.node.StatusFunc = func() api.Node {
		return api.Node{
			Name: "n1", Version: "1.2.3", State: api.NodeDraining, Started: started,
			Counts: api.NodeCounts{Connections: 7, MessagesReceived: 1 << 40},
			Log: &api.NodeLog{
				MaxBytes: 1 << 30, WhenFull: "stop", Replicas: 3, Sync: "replicated",
				Differences: []api.LogDifference{{Stream: "EDGELOOP_UP", Setting: "max-age", Has: "none", Flags: "1h0m0s"}},
			},
			Drain: &api.DrainProgress{Started: started, Window: api.Duration(30 * time.Second), Connections: 7, Total: 10},
		}
	}
	f.node.ReadyFunc = func() []api.Reason { return []api.Reason{{Code: "draining", Detail: "asked to"}} }
	f.limits.LimitsFunc = someLimits
	var n api.Node
	f.call("GET", "/v1/node", "").want(http.StatusOK).into(&n)
	if up := time.Duration(n.Uptime); up < time.Hour || up > time.Hour+time.Minute {
		t.Errorf("uptime %s after an hour", up)
	}
	if n.Limits["window"] != 64.0 || n.Limits["heartbeat"] != "30s" {
		t.Errorf("limits %v", n.Limits)
	}
	if n.Log == nil || n.Log.Sync != "replicated" || len(n.Log.Differences) != 1 {
		t.Errorf("log %+v", n.Log)
	}
	if n.Drain == nil || n.Drain.Total != 10 || len(n.NotReady) != 1 || n.Counts.MessagesReceived != 1<<40 {
		t.Errorf("node %+v", n)
	}
}

func TestDrain(t *testing.T) {
	f := newFixture(t)
	var window time.Duration
	f.node.DrainFunc = func(w time.Duration) error { window = w; return nil }
	for body, want := range map[string]time.Duration{
		"": 0, "{}": 0, `{"window":"0s"}`: 0, `{"window":"90s"}`: 90 * time.Second, `{"window":"1h"}`: time.Hour,
	} {
		window = -1
		f.call("POST", "/v1/drain", body).want(http.StatusAccepted)
		if window != want {
			t.Errorf("body %q drained over %s, want %s", body, window, want)
		}
	}
	for _, body := range []string{`{"window":"-1s"}`, `{"window":"61m"}`, `{"window":30}`, `{"window":"soon"}`} {
		f.call("POST", "/v1/drain", body).refused("window")
	}
	f.node.DrainFunc = func(time.Duration) error { return api.ErrUnavailable }
	f.call("POST", "/v1/drain", "").problem(http.StatusServiceUnavailable, "unavailable")
	f.node.DrainFunc = func(time.Duration) error { return errors.New("x") }
	f.call("POST", "/v1/drain", "").problem(http.StatusInternalServerError, "internal")
}
