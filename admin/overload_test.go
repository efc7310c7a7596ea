package admin_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/overload"
)

// spares says whether a request is refused because the node has too much to do; the answer
// then says when to come back, and not at once.
func (f *fixture) spares(route string) bool {
	f.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	r := f.call(method, path, "")
	after, _ := strconv.Atoi(r.header.Get("Retry-After"))
	if method != http.MethodHead && (after >= 5) != strings.Contains(string(r.body), api.Overloaded) {
		f.t.Errorf("%s: Retry-After %d with %s", route, after, r.body)
	}
	return r.status == http.StatusServiceUnavailable && after >= 5
}

// In each state a node spares itself what its rung says, with a time to come back, and
// counts it. It never spares itself what an operator needs then: health, metrics, the
// node, one device, commands, kicks, bans, limits.
func TestOverload_WhatIsSpared(t *testing.T) {
	const device = "/v1/devices/default/d-1"
	never := []string{
		"GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/node", "GET /v1/limits", "PATCH /v1/limits", "GET " + device,
		"POST " + device + "/commands", "DELETE " + device + "/connection", "PUT /v1/bans/default/d-1", "DELETE /v1/bans/default/d-1",
		"POST /v1/drain", "POST /v1/reload", "POST /v1/broadcast", "POST /v1/revocations", "POST /v1/log/trim",
	}
	from := map[string]overload.State{
		"POST /v1/log/backup": overload.Busy, "GET /v1/tail?since=all&follow=false": overload.Busy,
		"HEAD /v1/tail":   overload.Strained,
		"GET /v1/devices": overload.Overloaded, "GET /v1/bans": overload.Overloaded, "GET /v1/readers": overload.Overloaded,
		"GET /v1/revocations": overload.Overloaded, "GET /v1/address-bans": overload.Overloaded, "GET /v1/sinks/s/dead-letters": overload.Overloaded,
	}
	for s := range overload.NumStates {
		s := overload.State(s) //nolint:gosec // small
		var ladder overload.Ladder
		f := newFixture(t, func(c *admin.Config) { c.Overload = &ladder })
		measured := map[overload.State]float64{overload.Busy: 0.8, overload.Strained: 0.9, overload.Overloaded: 1}[s]
		for range 3 {
			ladder.Look(time.Now(), overload.Measurement{overload.Memory: measured})
		}
		refused := uint64(0)
		for _, route := range never {
			if f.spares(route) {
				t.Errorf("%s: %s is refused", s, route)
			}
		}
		for route, rung := range from {
			spared := f.spares(route)
			if spared != (s >= rung) {
				t.Errorf("%s: %s refused: %t", s, route, spared)
			}
			if spared {
				refused++
			}
		}
		counted := uint64(0)
		for _, n := range ladder.Stats().Refused {
			counted += n
		}
		if counted != refused {
			t.Errorf("%s: %d refused, %d counted", s, refused, counted)
		}
	}
}
