package admin_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

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
