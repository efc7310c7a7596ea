package admin_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// Every operation that takes a body takes one JSON object made of what it
// knows, and nothing else.
func TestRequest_Body(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.MaxBody = 200 })
	bodies := 0
	for name, op := range f.doc.operations() {
		if op["requestBody"] == nil {
			continue
		}
		bodies++
		method, path, _ := strings.Cut(name, " ")
		path = strings.NewReplacer("{tenant}", "default", "{device}", "d1", "{id}", "0a").Replace(path)
		for what, body := range map[string]string{
			"no JSON":           `name=x`,
			"half an object":    `{"name":`,
			"an array":          `[]`,
			"a string":          `"x"`,
			"null":              `null`,
			"two objects":       `{} {}`,
			"something behind":  `{} x`,
			"a comment":         `{} // x`,
			"a trailing comma":  `{"reason":"x",}`,
			"the same twice":    `{"window":"1s","window":"2s"}`,
			"twice, in escapes": `{"name":"a","n\u0061me":"b"}`,
		} {
			t.Run(name+" "+what, func(t *testing.T) { f.call(method, path, body).problem(http.StatusBadRequest, "bad-request") })
		}
		t.Run(name+" a member that is not known", func(t *testing.T) {
			r := f.call(method, path, `{"surely_unknown":1}`)
			if path == "/v1/limits" || path == "/v1/tenants/default/limits" { // there, members are values; see TestLimits_Refused
				r.refused("surely_unknown")
				return
			}
			p := r.problem(http.StatusBadRequest, "bad-request")
			if p.Field != "surely_unknown" || len(p.Allowed) == 0 {
				t.Errorf("the problem does not name the field and what is allowed: %s", r.body)
			}
		})
		t.Run(name+" a body at the limit is read, one byte more is not", func(t *testing.T) {
			fits := `{"x":"` + strings.Repeat("y", 200-8) + `"}`
			if r := f.call(method, path, fits); r.status == http.StatusRequestEntityTooLarge {
				t.Errorf("%d bytes are too large", len(fits))
			}
			f.call(method, path, fits+" ").problem(http.StatusRequestEntityTooLarge, "body-too-large")
		})
	}
	if bodies != 11 {
		t.Errorf("%d operations with a body were tried, want 11", bodies)
	}
}

// The names of members are compared exactly; encoding/json alone would take "NAME".
func TestRequest_MemberCase(t *testing.T) {
	f := newFixture(t)
	p := f.call("POST", "/v1/broadcast", `{"NAME":"ping","all":true}`).problem(http.StatusBadRequest, "bad-request")
	if want := []string{"all", "data", "group", "name", "tenant"}; !slices.Equal(p.Allowed, want) {
		t.Errorf("allowed %v, want %v", p.Allowed, want)
	}
}

// The default limit of a body is 1 MiB.
func TestRequest_BodyLimitDefault(t *testing.T) {
	f := newFixture(t)
	data := strings.Repeat("x", 1<<20-len(`{"name":"n","all":true,"data":""}`))
	f.call("POST", "/v1/broadcast", `{"name":"n","all":true,"data":"`+data+`"}`).want(http.StatusAccepted)
	f.call("POST", "/v1/broadcast", `{"name":"n","all":true,"data":"`+data+`x"}`).problem(http.StatusRequestEntityTooLarge, "body-too-large")
}

func TestRequest_NoSuchRoute(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/v1", "/v1/", "/v1/nodes", "/v1/devices/default", "/v2/node", "/index.html", "/debug/pprof"} {
		r := f.call("GET", path, "")
		if path == "/debug/pprof" { // the mux redirects to the subtree
			r.want(http.StatusOK)
			continue
		}
		r.problem(http.StatusNotFound, "not-found")
	}
}

func TestRequest_WrongMethod(t *testing.T) {
	f := newFixture(t)
	r := f.call("POST", "/v1/limits", "")
	p := r.problem(http.StatusMethodNotAllowed, "method-not-allowed")
	if want := []string{"GET", "HEAD", "PATCH"}; !slices.Equal(p.Allowed, want) {
		t.Errorf("allowed %v, want %v", p.Allowed, want)
	}
	if got := r.header.Get("Allow"); got != "GET, HEAD, PATCH" {
		t.Errorf("Allow is %q", got)
	}
}

func TestRequest_Query(t *testing.T) {
	f := newFixture(t)
	for query, field := range map[string]string{
		"tennant=default":     "tennant",
		"Tenant=default":      "Tenant",
		"tenant=a&tenant=b":   "tenant",
		"tenant=a&online=%zz": "",
		"tenant=a;b=c":        "",
	} {
		t.Run(query, func(t *testing.T) {
			p := f.call("GET", "/v1/devices?"+query, "").problem(http.StatusBadRequest, "bad-request")
			if p.Field != field {
				t.Errorf("the problem names %q, want %q", p.Field, field)
			}
		})
	}
}

// Every error of a backend has its status; one that no table knows keeps its
// text to the node's log.
func TestProblem_OfErrors(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		err    error
		status int
		kind   string
	}{
		"unknown device":   {api.ErrUnknownDevice, 404, "unknown-device"},
		"not connected":    {api.ErrNotConnected, 404, "not-connected"},
		"busy":             {api.ErrBusy, 503, "device-busy"},
		"unavailable":      {api.ErrUnavailable, 503, "unavailable"},
		"draining":         {api.ErrDraining, 503, "draining"},
		"deadline":         {context.DeadlineExceeded, 504, "timed-out"},
		"a field":          {&api.FieldError{Field: "ttl", Reason: "is too long", Max: "24h"}, 422, "invalid-field"},
		"wrapped":          {errors.Join(errors.New("x"), api.ErrBusy), 503, "device-busy"},
		"something unseen": {errors.New("secret path"), 500, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			f.commands.CommandFunc = func(context.Context, api.Command) (api.CommandResult, error) {
				return api.CommandResult{}, c.err
			}
			r := f.call("POST", "/v1/devices/default/d1/commands", `{"name":"ping"}`)
			p := r.problem(c.status, c.kind)
			if strings.Contains(p.Detail, "secret") {
				t.Errorf("the detail shows an inner error: %q", p.Detail)
			}
			if got := r.header.Get("Retry-After"); (got != "") != (c.status == 503) {
				t.Errorf("status %d has Retry-After %q", c.status, got)
			}
		})
	}
}
