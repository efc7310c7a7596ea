package admin_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/api"
)

// A queryCase is a route that takes parameters. The reading gives what the backend
// must be asked for, or says that the query must be refused.
type queryCase struct {
	method, path string
	params       []string
	status       int
	read         func(q url.Values) (want any, ok bool)
}

func queryCases() []queryCase {
	none := func(url.Values) (any, bool) { return nil, true }
	return []queryCase{
		{"GET", "/v1/devices", []string{"tenant", "prefix", "online", "group", "limit", "after"}, 200, queryDevices},
		{"GET", "/v1/bans", []string{"tenant", "limit", "after"}, 200, func(q url.Values) (any, bool) {
			_, ok := number(q, "limit", 100, 1, 1000)
			return q.Get("tenant"), ok
		}},
		{"GET", "/v1/tail", []string{"tenant", "device", "since", "after", "follow"}, 200, queryTail},
		{"DELETE", "/v1/devices/acme/d1/connection", []string{"code", "reason"}, 204, queryKick},
		{"POST", "/v1/devices/acme/d1/commands", []string{"wait"}, 202, func(q url.Values) (any, bool) {
			wait, err := time.Duration(0), error(nil)
			if q.Has("wait") {
				wait, err = time.ParseDuration(q.Get("wait"))
			}
			c := api.Command{Tenant: "acme", Device: "d1", Wait: api.Duration(wait)}
			c.Name = "x"
			return c, err == nil && wait >= 0 && wait <= 5*time.Minute
		}},
		{"GET", "/v1/address-bans", []string{"limit", "after"}, 200, func(q url.Values) (any, bool) {
			_, ok := number(q, "limit", 100, 1, 1000)
			return nil, ok
		}},
		{"GET", "/v1/limits", nil, 200, none},
		{"GET", "/v1/node", nil, 200, none},
		{"GET", "/v1/token", nil, 200, none},
	}
}

// number reads a whole number as people write it.
func number(q url.Values, name string, missing, least, most int) (int, bool) {
	if !q.Has(name) {
		return missing, true
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	return int(n), err == nil && n >= int64(least) && n <= int64(most)
}

func yesOrNo(q url.Values, name string) (value *bool, ok bool) {
	switch v := q.Get(name); {
	case !q.Has(name):
		return nil, true
	case v == "true", v == "false":
		yes := v == "true"
		return &yes, true
	}
	return nil, false
}

func queryDevices(q url.Values) (any, bool) {
	want := api.DeviceQuery{Tenant: q.Get("tenant"), Prefix: q.Get("prefix"), Group: q.Get("group"), After: q.Get("after")}
	var numberOK, flagOK bool
	want.Limit, numberOK = number(q, "limit", 100, 1, 1000)
	want.Online, flagOK = yesOrNo(q, "online")
	return want, numberOK && flagOK
}

// positionForm is a position of the log as text.
var positionForm = regexp.MustCompile(`^(?:([a-z0-9]+)-)?([0-9]+)$`)

// queryTail leaves out a start that is counted from now, which nobody can compare.
func queryTail(q url.Values) (any, bool) {
	want := api.TailQuery{Tenant: q.Get("tenant"), Device: q.Get("device"), Follow: true}
	follow, ok := yesOrNo(q, "follow")
	if follow != nil {
		want.Follow = *follow
	}
	since := q.Get("since")
	switch at, err := time.Parse(time.RFC3339, since); {
	case !q.Has("since"):
		want.All = !want.Follow
	case since == "all":
		want.All = true
	case err == nil:
		want.Since = at
	default:
		ago, err := time.ParseDuration(since)
		ok = ok && err == nil && ago >= 0
		want.Since = time.Now().Add(-ago)
	}
	if q.Has("after") {
		part := positionForm.FindStringSubmatch(q.Get("after"))
		if part == nil {
			return want, false
		}
		after, err := strconv.ParseUint(part[2], 10, 64)
		ok = ok && err == nil
		want.After, want.Log, want.All, want.Since = after, part[1], after == 0, time.Time{}
	}
	return want, ok && len(want.Tenant) <= 128 && len(want.Device) <= 128
}

func queryKick(q url.Values) (any, bool) {
	k := kicked{"acme", "d1", 1008, "disconnected by an operator"}
	code, ok := number(q, "code", 1008, 1000, 4999)
	k.code = uint16(code) //nolint:gosec // in range where ok
	if q.Has("reason") {
		k.reason = q.Get("reason")
	}
	allowed := slices.Contains([]int{1000, 1001, 1008, 1012, 1013}, code) || code >= 3000
	return k, ok && allowed && len(k.reason) <= 123 && strings.ToValidUTF8(k.reason, "") == k.reason
}

// near says whether two values are equal but for the moment at which a tail
// that was asked for by its age was read.
func near(got, want any) bool {
	g, ok := got.(api.TailQuery)
	w, ok2 := want.(api.TailQuery)
	if ok && ok2 && g.Since.Sub(w.Since).Abs() < time.Minute {
		g.Since = w.Since
		got = g
	}
	return reflect.DeepEqual(got, want)
}

// Any query of any route that takes one: each parameter known, there once and in
// range, and the backend is asked for just that; or a problem of the document.
func FuzzQuery(f *testing.F) {
	for which, queries := range [][]string{
		{"", "tenant=acme&prefix=d&online=true&group=g&limit=10&after=acme/d1", "limit=0", "limit=1001", "limit=1e2", "online=1", "limit=+5", "tenant=a&tenant=b", "Tenant=a", "limit=", "prefix=%ff", "tenant"},
		{"", "limit=1&after=%2F", "after=acme%2Fd1", "limit=-1", "x"},
		{"", "follow=false", "since=all", "since=10m&device=d1&tenant=acme", "since=2026-01-31T12:00:00Z", "since=-1s", "since=", "since=2562047h", "since=tomorrow&follow=maybe", "follow", "after=7", "after=k3v9x2qd-7", "after=-", "after=A-7", "after=0&since=1m", "after=-1", "after=18446744073709551616"},
		{"", "code=4000&reason=x", "code=0", "code=66544", "code=-1", "reason=%00", "reason=%ff", "code=01008"},
		{"", "wait=5s", "wait=6m", "wait=-1s", "wait=5", "wait=", "wait=1h&wait=1s"},
		{"", "x=1", "%", "a;b", "=", "&&"},
		{"", "pretty"},
	} {
		for _, query := range queries {
			f.Add(byte(which), query)
		}
	}
	cases := queryCases()
	z := new(fuzzed)
	f.Fuzz(func(t *testing.T, which byte, query string) {
		z.reset(t)
		c := cases[int(which)%len(cases)]
		content := ""
		if strings.HasSuffix(c.path, "/commands") {
			content = `{"name":"x"}`
		}
		r := z.ask(c.method, c.path, query, strings.NewReader(content))
		q, err := url.ParseQuery(query)
		ok := err == nil
		for name, values := range q {
			ok = ok && len(values) == 1 && slices.Contains(c.params, name)
		}
		var want any
		if ok {
			want, ok = c.read(q)
		}
		switch {
		case !ok && (!slices.Contains(refusals, r.status) || z.got != nil):
			t.Errorf("%s %s?%s: status %d, backend asked for %+v: must be refused", c.method, c.path, query, r.status, z.got)
		case ok && (r.status != c.status || !near(z.got, want)):
			t.Errorf("%s %s?%s: status %d, %s, backend asked for %+v, want %+v", c.method, c.path, query, r.status, r.body, z.got, want)
		}
	})
}

// open are the paths that need no token. net/http takes "/%2f" for "/" too, so
// that a path is compared cleaned.
var open = []string{"/healthz", "/readyz", "/", "/dashboard/app.js", "/dashboard/style.css", "/dashboard/index.html"}

// Any request line: without the token nothing is told but what is open to all,
// with it nothing ends in 5xx; names in the path reach the backend as they were
// written, unescaped once.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		"/", "/healthz", "/metrics", "/openapi.json", "/v1/node", "/v1/devices", "/v1/devices/acme/d1", "/v1/bans/acme/d1",
		"/v1/devices/acme/d1/connection", "/v1/devices/a%2Fb/c%2fd/connection", "/v1/devices/../../healthz", "//healthz",
		"/v1/devices/%2e%2e/d1", "/v1/devices/acme/%00", "/v1/devices/acme/" + strings.Repeat("n", 129), "/dashboard/app.js",
		"/dashboard/..%2f..%2fetc%2fpasswd", "/v1/devices//d1", "*", "http://x/v1/node", "/v1/tail?follow=false", "/v1/limits/",
	} {
		f.Add("GET", target, true)
		f.Add("GET", target, false)
		f.Add("DELETE", target, true)
	}
	f.Add("CONNECT", "x:1", true)
	f.Add("OPTIONS", "*", false)
	z := new(fuzzed)
	f.Fuzz(func(t *testing.T, method, target string, authorized bool) {
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: node\r\n\r\n")))
		if err != nil || strings.HasPrefix(path.Clean(req.URL.Path), "/debug") {
			t.Skip("no request, or a profile, which takes its time")
		}
		z.reset(t)
		if authorized {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		z.server.ServeHTTP(w, req)
		switch {
		case w.Code >= 500:
			t.Errorf("%s %q: status %d: %s", method, target, w.Code, w.Body)
		case !authorized && (w.Code < 300 && !slices.Contains(open, path.Clean(req.URL.Path)) || z.got != nil):
			t.Errorf("%s %q without token: status %d, backend asked for %+v", method, target, w.Code, z.got)
		}
		if k, ok := z.got.(kicked); ok {
			want := "/v1/devices/" + k.tenant + "/" + k.device + "/connection"
			if req.URL.Path != want {
				t.Errorf("%q reached %q of %q", target, k.device, k.tenant)
			}
		}
	})
}
