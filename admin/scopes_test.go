package admin_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

// asks is a route as a test asks it: which scope it needs, and where the tenant
// stands in the request; "" for a route of the whole node.
type asks struct {
	scope        access.Scope
	tenant, body string
}

// asked is every route that needs a token. A route without a row fails the test.
var asked = map[string]asks{
	"GET /metrics":                                  {access.Metrics, "", ""},
	"GET /openapi.json":                             {access.Read, "nothing", ""},
	"GET /debug/pprof/":                             {access.Admin, "", ""},
	"GET /debug/pprof/cmdline":                      {access.Admin, "", ""},
	"GET /debug/pprof/profile":                      {access.Admin, "", ""},
	"GET /debug/pprof/symbol":                       {access.Admin, "", ""},
	"GET /debug/pprof/trace":                        {access.Admin, "", ""},
	"GET /v1/token":                                 {access.Read, "nothing", ""},
	"GET /v1/node":                                  {access.Read, "", ""},
	"POST /v1/drain":                                {access.Admin, "", ""},
	"POST /v1/reload":                               {access.Admin, "", ""},
	"GET /v1/limits":                                {access.Read, "", ""},
	"PATCH /v1/limits":                              {access.Admin, "", "{}"},
	"GET /v1/tenants/{t}":                           {access.Read, "path", ""},
	"PATCH /v1/tenants/{t}/limits":                  {access.Admin, "", "{}"},
	"GET /v1/readers":                               {access.Read, "query", ""},
	"DELETE /v1/readers/{reader}":                   {access.Admin, "query", ""},
	"GET /v1/sinks":                                 {access.Read, "", ""},
	"GET /v1/sinks/{sink}":                          {access.Read, "", ""},
	"POST /v1/sinks/{sink}/pause":                   {access.Admin, "", ""},
	"POST /v1/sinks/{sink}/resume":                  {access.Admin, "", ""},
	"POST /v1/sinks/{sink}/rewind":                  {access.Admin, "", `{"to":"oldest"}`},
	"POST /v1/sinks/{sink}/skip":                    {access.Admin, "", `{"position":"x-1"}`},
	"POST /v1/sinks/{sink}/resend":                  {access.Admin, "", ""},
	"GET /v1/sinks/{sink}/dead-letters":             {access.Read, "", ""},
	"DELETE /v1/sinks/{sink}/dead-letters":          {access.Admin, "", ""},
	"DELETE /v1/sinks/{sink}/dead-letters/{number}": {access.Admin, "", ""},
	"GET /v1/devices":                               {access.Read, "query", ""},
	"GET /v1/bans":                                  {access.Read, "query", ""},
	"GET /v1/address-bans":                          {access.Read, "", ""},
	"DELETE /v1/address-bans/{address}":             {access.Admin, "", ""},
	"GET /v1/revocations":                           {access.Read, "query", ""},
	"POST /v1/revocations":                          {access.Admin, "body", `{"tenant":"TENANT"}`},
	"DELETE /v1/revocations/{id}":                   {access.Admin, "query", ""},
	"GET /v1/tail":                                  {access.Read, "query", ""},
	"POST /v1/log/trim":                             {access.Admin, "", `{"to":"x-1"}`},
	"POST /v1/log/backup":                           {access.Admin, "", ""},
	"POST /v1/broadcast":                            {access.Command, "body", `{"name":"x","tenant":"TENANT"}`},
	"GET /v1/bans/{t}/{d}":                          {access.Read, "path", ""},
	"PUT /v1/bans/{t}/{d}":                          {access.Admin, "path", "{}"},
	"DELETE /v1/bans/{t}/{d}":                       {access.Admin, "path", ""},
	"GET /v1/devices/{t}/{d}":                       {access.Read, "path", ""},
	"DELETE /v1/devices/{t}/{d}/connection":         {access.Command, "path", ""},
	"POST /v1/devices/{t}/{d}/commands":             {access.Command, "path", `{"name":"x"}`},
	"GET /v1/devices/{t}/{d}/commands":              {access.Read, "path", ""},
	"DELETE /v1/devices/{t}/{d}/commands":           {access.Command, "path", ""},
	"POST /v1/devices/{t}/{d}/reset":                {access.Admin, "path", ""},
}

// request is the route asked for a device d1 of tenant.
func (a asks) request(pattern, tenant string) (method, path, body string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{t}", tenant, "{d}", "d1").Replace(path)
	switch {
	case a.tenant == "query":
		path += "?tenant=" + tenant
	case strings.HasSuffix(path, "/profile") || strings.HasSuffix(path, "/trace"):
		path += "?seconds=1"
	}
	if strings.HasPrefix(path, "/v1/tail") {
		path += "&follow=false"
	}
	return method, path, strings.ReplaceAll(a.body, "TENANT", tenant)
}

// tenants notes which tenants the node is asked about.
type tenants struct {
	// Guarded by mu.
	mu  sync.Mutex
	saw []string
}

func (n *tenants) note(tenant string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.saw = append(n.saw, tenant)
}

func (n *tenants) take() (saw []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	saw, n.saw = n.saw, nil
	return saw
}

// listen has every fake tell of which tenant it is asked.
func (n *tenants) listen(f *fixture) {
	f.devices.DevicesFunc = func(q api.DeviceQuery) (api.DevicePage, error) { n.note(q.Tenant); return api.DevicePage{}, nil }
	f.devices.DeviceFunc = func(t, _ string) (api.Device, bool) { n.note(t); return api.Device{}, false }
	f.devices.KickFunc = func(t, _ string, _ uint16, _ string) error { n.note(t); return nil }
	f.devices.ResetFunc = func(_ context.Context, t, d string) (api.Reset, error) {
		n.note(t)
		return api.Reset{Tenant: t, Device: d}, nil
	}
	f.commands.CommandFunc = func(_ context.Context, c api.Command) (api.CommandResult, error) {
		n.note(c.Tenant)
		return api.CommandResult{ID: "1", State: api.CommandSent}, nil
	}
	f.commands.WaitingFunc = func(t, _ string) []api.WaitingCommand { n.note(t); return nil }
	f.commands.CancelFunc = func(t, _, _ string) int { n.note(t); return 0 }
	f.commands.BroadcastFunc = func(_ context.Context, b api.Broadcast) (api.BroadcastResult, error) {
		n.note(b.Tenant)
		return api.BroadcastResult{ID: "1"}, nil
	}
	f.bans.BanFunc = func(_ context.Context, b api.Ban) (bool, error) { n.note(b.Tenant); return true, nil }
	f.bans.UnbanFunc = func(_ context.Context, t, _ string) (bool, error) { n.note(t); return true, nil }
	f.bans.BanOfFunc = func(t, _ string) (api.Ban, bool) { n.note(t); return api.Ban{}, false }
	f.bans.BansFunc = func(t string) []api.Ban { n.note(t); return nil }
	f.limits.TenantFunc = func(t string) api.Tenant { n.note(t); return api.Tenant{Tenant: t, Limits: []api.Limit{}} }
	f.log.ReadersFunc = func(t string) ([]api.Reader, error) { n.note(t); return nil, nil }
	f.log.ForgetFunc = func(t, _ string) (bool, error) { n.note(t); return true, nil }
	f.revoked.RevokeFunc = func(_ context.Context, r api.Revocation) (api.Revocation, error) { n.note(r.Tenant); return r, nil }
	f.revoked.LiftRevocationFunc = func(_ context.Context, t, _ string) (bool, error) { n.note(t); return true, nil }
	f.revoked.RevocationsFunc = func(t string) []api.Revocation { n.note(t); return nil }
	f.log.TailFunc = func(_ context.Context, q api.TailQuery, _ func(uint64, []byte) error) error {
		n.note(q.Tenant)
		return nil
	}
}

// guests are tokens of every scope alone, free and bound to the tenant acme, and one
// that had all scopes until it expired. A token is its principal's name, repeated.
func guests() (all []access.Principal) {
	add := func(name string, scopes access.Scopes, tenant string, expires time.Time) {
		all = append(all, access.Principal{Name: name, Hash: access.HashOf(tokenOf(name)), Scopes: scopes, Tenant: tenant, Expires: expires})
	}
	for _, scope := range []access.Scope{access.Metrics, access.Read, access.Command, access.Admin} {
		add("free-"+scope.String(), 1<<scope, "", time.Time{})
		add("bound-"+scope.String(), 1<<scope, "acme", time.Now().Add(time.Hour))
	}
	add("expired", access.AllScopes, "", time.Now())
	return append(all, own...)
}

func tokenOf(name string) string { return strings.Repeat(name, 4) }

// TestScopes_EveryRoute asks every route with every scope, free and bound, for its own
// tenant and for another one, and without a token.
func TestScopes_EveryRoute(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Principals = guests() })
	n := new(tenants)
	n.listen(f)
	patterns := map[string]bool{}
	for pattern, open := range f.server.Patterns() {
		short := strings.NewReplacer("{tenant}", "{t}", "{device}", "{d}").Replace(pattern)
		if _, ok := asked[short]; !ok && !open {
			t.Errorf("%s: the table of this test has no row for it", pattern)
		}
		patterns[short] = !open
	}
	for _, pattern := range slices.Sorted(maps.Keys(asked)) {
		if a := asked[pattern]; patterns[pattern] {
			t.Run(pattern, func(t *testing.T) { everyToken(t, f, n, pattern, a) })
		} else {
			t.Errorf("%s is no route that needs a token", pattern)
		}
	}
}

func everyToken(t *testing.T, f *fixture, n *tenants, pattern string, a asks) {
	f.t = t
	call := func(tenant, auth string) *reply {
		method, path, body := a.request(pattern, tenant)
		return f.call(method, path, body, "Authorization: "+auth)
	}
	call("acme", "").problem(http.StatusUnauthorized, "unauthorized")
	call("acme", "Bearer "+tokenOf("expired")).problem(http.StatusUnauthorized, "unauthorized")
	for _, scope := range []access.Scope{access.Metrics, access.Read, access.Command, access.Admin} {
		for _, kind := range []string{"free-", "bound-"} {
			name, bound := kind+scope.String(), kind == "bound-"
			own, other := call("acme", "Bearer "+tokenOf(name)), (*reply)(nil)
			saw := n.take()
			if a.tenant != "nothing" && a.tenant != "" {
				other = call("globex", "Bearer "+tokenOf(name))
			}
			switch {
			case scope != a.scope:
				p := own.problem(http.StatusForbidden, "forbidden")
				if !strings.Contains(p.Detail, a.scope.String()) || !strings.Contains(p.Detail, name+" has "+scope.String()) {
					t.Errorf("%s is not told what is needed and what it has: %s", name, p.Detail)
				}
			case bound && a.tenant == "":
				own.problem(http.StatusForbidden, "forbidden")
			case own.status == http.StatusUnauthorized || own.status == http.StatusForbidden:
				t.Errorf("%s: %d %s", name, own.status, own.body)
			case a.tenant != "nothing" && a.tenant != "" && (len(saw) == 0 || slices.ContainsFunc(saw, func(t string) bool { return t != "acme" })):
				t.Errorf("%s: the node was asked about %q", name, saw)
			}
			if other != nil && (bound || scope != a.scope) {
				other.problem(http.StatusForbidden, "forbidden")
				if saw := n.take(); len(saw) > 0 {
					t.Errorf("%s: the node was asked about %q", name, saw)
				}
			}
			n.take()
		}
	}
}

// TestScopes_BoundLearnsNothing: to a token of one tenant, a device that another
// tenant has and one that nobody has are the same.
func TestScopes_BoundLearnsNothing(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Principals = guests() })
	there := func(tenant, device string) bool { return tenant == "globex" && device == "d1" }
	f.devices.DeviceFunc = func(tenant, device string) (api.Device, bool) {
		return api.Device{Tenant: tenant, Device: device, Online: true, Groups: []string{}}, there(tenant, device)
	}
	f.bans.BanOfFunc = func(tenant, device string) (api.Ban, bool) {
		return api.Ban{Tenant: tenant, Device: device}, there(tenant, device)
	}
	f.devices.KickFunc = func(tenant, device string, _ uint16, _ string) error {
		if there(tenant, device) {
			return nil
		}
		return api.ErrUnknownDevice
	}
	f.commands.CommandFunc = func(_ context.Context, c api.Command) (api.CommandResult, error) {
		if there(c.Tenant, c.Device) {
			return api.CommandResult{ID: "1", State: api.CommandSent}, nil
		}
		return api.CommandResult{}, api.ErrUnknownDevice
	}
	for pattern, a := range asked {
		if a.tenant == "" || a.tenant == "nothing" {
			continue
		}
		var answers []string
		for _, tenant := range []string{"globex", "nobody"} {
			method, path, body := a.request(pattern, tenant)
			r := f.call(method, path, body, "Authorization: Bearer "+tokenOf("bound-"+a.scope.String()))
			answers = append(answers, fmt.Sprint(r.status, string(r.body)))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: %s\nand where nobody is: %s", pattern, answers[0], answers[1])
		}
	}
}

// TestScopes_BoundGetsItsOwn: who names no tenant gets the one it is bound to, and
// nobody reaches everybody from there.
func TestScopes_BoundGetsItsOwn(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Principals = guests() })
	n := new(tenants)
	n.listen(f)
	for _, path := range []string{"/v1/devices", "/v1/bans", "/v1/tail?follow=false"} {
		f.call("GET", path, "", "Authorization: Bearer "+tokenOf("bound-read")).want(http.StatusOK)
	}
	commands := "Authorization: Bearer " + tokenOf("bound-command")
	f.call("POST", "/v1/broadcast", `{"name":"x","group":"g"}`, commands).want(http.StatusAccepted)
	if saw := n.take(); !slices.Equal(saw, []string{"acme", "acme", "acme", "acme"}) {
		t.Errorf("the node was asked about %q", saw)
	}
	f.call("POST", "/v1/broadcast", `{"name":"x","all":true}`, commands).problem(http.StatusForbidden, "forbidden")
	if saw := n.take(); len(saw) > 0 {
		t.Errorf("the node was asked about %q", saw)
	}
}

// TestToken_Itself: who shows a token is told what it allows, and until when.
func TestToken_Itself(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Principals = guests() })
	var free, all, bound api.Token
	f.call("GET", "/v1/token", "").want(http.StatusOK).into(&all)
	f.call("GET", "/v1/token", "", "Authorization: Bearer "+tokenOf("free-read")).want(http.StatusOK).into(&free)
	f.call("GET", "/v1/token", "", "Authorization: Bearer "+tokenOf("bound-read")).want(http.StatusOK).into(&bound)
	if all.Name != "own" || !slices.Equal(all.Scopes, []string{"metrics", "read", "command", "admin"}) || all.Tenant != "" || all.Expires != nil {
		t.Errorf("the node's own is told %+v", all)
	}
	if free.Name != "free-read" || !slices.Equal(free.Scopes, []string{"read"}) || free.Tenant != "" {
		t.Errorf("a reader is told %+v", free)
	}
	if bound.Tenant != "acme" || bound.Expires == nil {
		t.Errorf("one of a tenant is told %+v", bound)
	}
}

// TestAudit_EveryChange: each change, and each that was refused to somebody who is
// known, is one line with who, what and the outcome; reading is none.
func TestAudit_EveryChange(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	f := newFixture(t, func(c *admin.Config) { c.Principals, c.Audit = guests(), zap.New(core) })
	n := new(tenants)
	n.listen(f)
	for pattern, a := range asked {
		if strings.Contains(pattern, "/debug/") {
			continue // they take their time
		}
		for _, name := range []string{"free-" + a.scope.String(), "bound-metrics"} {
			method, path, body := a.request(pattern, "acme")
			r := f.call(method, path, body, "Authorization: Bearer "+tokenOf(name))
			got := lines.TakeAll()
			if method == http.MethodGet {
				if len(got) > 0 {
					t.Errorf("%s: %v", pattern, got)
				}
				continue
			}
			if len(got) != 1 {
				t.Errorf("%s by %s: %d lines", pattern, name, len(got))
				continue
			}
			fields := got[0].ContextMap()
			if fields["principal"] != name || fields["change"] == "" || fields["status"] != int64(r.status) || fields["path"] != strings.Split(path, "?")[0] {
				t.Errorf("%s by %s: %d, and the line says %v", pattern, name, r.status, fields)
			}
		}
	}
	f.call("POST", "/v1/drain", "", "Authorization: Bearer 0123456789abcdefX").want(http.StatusUnauthorized)
	if got := lines.TakeAll(); len(got) > 0 {
		t.Errorf("a stranger fills the audit: %v", got)
	}
}
