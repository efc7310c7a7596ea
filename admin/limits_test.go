package admin_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"edgeloop/admin/api"
)

func someLimits() []api.Limit {
	return []api.Limit{
		{Name: "window", Kind: api.LimitCount, Value: 64, Min: 1, Max: 1024, Given: 32, Changed: true, Changeable: true, Help: "messages in flight"},
		{Name: "out_buffer", Kind: api.LimitBytes, Value: 1 << 20, Min: 1 << 10, Max: 1 << 30, Changeable: true},
		{
			Name: "heartbeat", Kind: api.LimitDuration, Changeable: true,
			Value: int64(30 * time.Second), Min: int64(time.Second), Max: int64(time.Hour),
		},
		{Name: "event_loops", Kind: api.LimitCount, Value: 2, Min: 1, Max: 256},
	}
}

func TestLimits_Get(t *testing.T) {
	f := newFixture(t)
	f.limits.LimitsFunc = someLimits
	var got api.Limits
	f.call("GET", "/v1/limits", "").want(http.StatusOK).into(&got)
	if !slices.Equal(got.Limits, someLimits()) {
		t.Errorf("limits came through as %+v", got.Limits)
	}
}

func TestLimits_Patch(t *testing.T) {
	f := newFixture(t)
	f.limits.LimitsFunc = someLimits
	var set map[string]*int64
	f.limits.SetLimitsFunc = func(values map[string]*int64) error { set = values; return nil }
	f.call("PATCH", "/v1/limits", `{"window":1024,"heartbeat":"1s","out_buffer":null}`).want(http.StatusOK)
	given, taken := set["out_buffer"]
	if len(set) != 3 || *set["window"] != 1024 || *set["heartbeat"] != int64(time.Second) || !taken || given != nil {
		t.Errorf("set %v", set)
	}
}

// One limit that cannot be changed leaves all as they were, and the problem
// says which one and what would be allowed.
func TestLimits_Refused(t *testing.T) {
	f := newFixture(t)
	f.limits.LimitsFunc = someLimits
	f.limits.SetLimitsFunc = func(map[string]*int64) error { t.Error("something was set"); return nil }
	changeable := []string{"heartbeat", "out_buffer", "window"}
	for body, want := range map[string]api.Problem{
		`{"window":128,"windwo":1}`:          {Field: "windwo", Allowed: changeable},
		`{"Window":1}`:                       {Field: "Window", Allowed: changeable},
		`{"event_loops":4}`:                  {Field: "event_loops", Allowed: changeable},
		`{}`:                                 {Field: "body", Allowed: changeable},
		``:                                   {Field: "body", Allowed: changeable},
		`{"window":0}`:                       {Field: "window", Min: 1.0, Max: 1024.0},
		`{"window":1025}`:                    {Field: "window", Min: 1.0, Max: 1024.0},
		`{"heartbeat":"20s","window":-1}`:    {Field: "window", Min: 1.0, Max: 1024.0},
		`{"window":1.5}`:                     {Field: "window", Min: 1.0, Max: 1024.0},
		`{"window":"64"}`:                    {Field: "window", Min: 1.0, Max: 1024.0},
		`{"window":99999999999999999999999}`: {Field: "window", Min: 1.0, Max: 1024.0},
		`{"heartbeat":30}`:                   {Field: "heartbeat", Min: "1s", Max: "1h0m0s"},
		`{"heartbeat":"999ms"}`:              {Field: "heartbeat", Min: "1s", Max: "1h0m0s"},
		`{"heartbeat":"2h"}`:                 {Field: "heartbeat", Min: "1s", Max: "1h0m0s"},
		`{"event_loops":null}`:               {Field: "event_loops", Allowed: changeable},
	} {
		t.Run(body, func(t *testing.T) {
			p := f.call("PATCH", "/v1/limits", body).refused(want.Field)
			if !slices.Equal(p.Allowed, want.Allowed) || p.Min != want.Min || p.Max != want.Max {
				t.Errorf("allowed %v, %v to %v; want %v, %v to %v", p.Allowed, p.Min, p.Max, want.Allowed, want.Min, want.Max)
			}
		})
	}
}

// What only the node can judge is refused in the same form.
func TestLimits_RefusedByNode(t *testing.T) {
	f := newFixture(t)
	f.limits.LimitsFunc = someLimits
	f.limits.SetLimitsFunc = func(map[string]*int64) error {
		return &api.FieldError{Field: "heartbeat", Reason: "is longer than the idle timeout", Max: "1m0s"}
	}
	f.call("PATCH", "/v1/limits", `{"heartbeat":"5m"}`).refused("heartbeat")
}
