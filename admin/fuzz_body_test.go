package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/api"
)

// fuzzed is a fixture for one fuzz target: made with its first input, because it
// wants a *testing.T, and used for all.
type fuzzed struct {
	*fixture

	got any // what the backend was asked for
}

func (z *fuzzed) reset(t *testing.T) {
	z.got = nil
	if z.fixture != nil {
		z.t = t
		return
	}
	z.fixture = newFakes(t)
	z.limits.LimitsFunc = someLimits
	z.limits.SetLimitsFunc = func(values map[string]*int64) error {
		got := make(map[string]any)
		for name, v := range values {
			if got[name] = nil; v != nil {
				got[name] = *v
			}
		}
		z.got = got
		return nil
	}
	z.node.DrainFunc = func(window time.Duration) error { z.got = window; return nil }
	z.devices.DevicesFunc = func(q api.DeviceQuery) (api.DevicePage, error) { z.got = q; return api.DevicePage{}, nil }
	z.devices.KickFunc = func(tenant, device string, code uint16, reason string) error {
		z.got = kicked{tenant, device, code, reason}
		return nil
	}
	z.commands.CommandFunc = func(_ context.Context, c api.Command) (api.CommandResult, error) {
		z.got = c
		return api.CommandResult{ID: "1", State: api.CommandLeft}, nil
	}
	z.commands.BroadcastFunc = func(_ context.Context, b api.Broadcast) (api.BroadcastResult, error) {
		z.got = b
		return api.BroadcastResult{ID: "1"}, nil
	}
	z.bans.BanFunc = func(_ context.Context, b api.Ban) (bool, error) { z.got = b; return true, nil }
	z.bans.BansFunc = func(tenant string) []api.Ban { z.got = tenant; return nil }
	z.log.TailFunc = func(_ context.Context, q api.TailQuery, _ func(uint64, []byte) error) error { z.got = q; return nil }
}

type kicked struct {
	tenant, device string
	code           uint16
	reason         string
}

// ask sends a request with the token through the handler and compares the
// answer with the OpenAPI document.
func (z *fuzzed) ask(method, path, query string, body io.Reader, headers ...string) *reply {
	req := httptest.NewRequest(method, path, body)
	req.URL.RawQuery = query
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	z.server.ServeHTTP(w, req)
	r := &reply{t: z.t, status: w.Code, header: w.Header(), body: w.Body.Bytes()}
	z.doc.checkReply(z.t, method, path, r)
	return r
}

// refusals are the statuses with which a request is refused for what it says.
var refusals = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}

// A bodyCase is a route that takes a body. The reading is independent of the server's: it
// gives what the backend must be asked for, or says that the body must be refused.
type bodyCase struct {
	method, path string
	members      []string
	status       int
	read         func(body []byte, o map[string]json.RawMessage) (want any, ok bool)
}

// as decodes a body as encoding/json does, without regard to unknown members.
func as[T any](body []byte) (v T, ok bool) {
	return v, len(body) == 0 || json.Unmarshal(body, &v) == nil
}

func bodyCases() []bodyCase {
	return []bodyCase{
		{"POST", "/v1/devices/acme/d1/commands", []string{"name", "data", "ttl"}, 202, readCommand},
		{"POST", "/v1/broadcast", []string{"tenant", "group", "all", "name", "data"}, 202, readBroadcast},
		{"POST", "/v1/drain", []string{"window"}, 202, readDrain},
		{"PATCH", "/v1/limits", []string{"window", "out_buffer", "heartbeat"}, 200, readLimits},
		{"PUT", "/v1/bans/acme/d1", []string{"reason", "until"}, 201, readBan},
		{"DELETE", "/v1/devices/acme/d1/connection", []string{"code", "reason"}, 204, readKick},
	}
}

func readCommand(body []byte, o map[string]json.RawMessage) (any, bool) {
	v, ok := as[struct {
		Name string
		TTL  *string
	}](body)
	c := api.Command{Tenant: "acme", Device: "d1"}
	c.Name, c.Data = v.Name, o["data"]
	if raw, given := o["ttl"]; ok && given {
		ttl, err := time.ParseDuration(deref(v.TTL))
		ok = string(raw) != "null" && err == nil && (ttl >= time.Second || ttl == 0)
		c.TTL, c.Now = api.Duration(ttl), ok && ttl == 0
	}
	return c, ok && c.Name != "" && len(c.Name) <= 128
}

func readBroadcast(body []byte, o map[string]json.RawMessage) (any, bool) {
	v, ok := as[struct {
		Tenant, Group, Name string
		All                 bool
	}](body)
	b := api.Broadcast{Tenant: v.Tenant, Group: v.Group, All: v.All, Name: v.Name, Data: o["data"]}
	some := b.Tenant != "" || b.Group != ""
	if some && b.Tenant == "" {
		b.Tenant = "default"
	}
	return b, ok && b.Name != "" && len(b.Name) <= 128 && b.All != some && len(b.Tenant) <= 128
}

func readDrain(body []byte, o map[string]json.RawMessage) (any, bool) {
	v, ok := as[struct{ Window *string }](body)
	window := time.Duration(0)
	if _, given := o["window"]; ok && given {
		var err error
		window, err = time.ParseDuration(deref(v.Window))
		ok = err == nil
	}
	return window, ok && window >= 0 && window <= time.Hour
}

func readLimits(body []byte, o map[string]json.RawMessage) (any, bool) {
	v, ok := as[struct {
		Window    *int64
		OutBuffer *int64 `json:"out_buffer"`
		Heartbeat *string
	}](body)
	values := make(map[string]any)
	for _, name := range []string{"window", "out_buffer", "heartbeat"} {
		if string(o[name]) == "null" { // takes back what was changed
			values[name] = nil
		}
	}
	if v.Window != nil {
		values["window"] = *v.Window
		ok = ok && *v.Window >= 1 && *v.Window <= 1024
	}
	if v.OutBuffer != nil {
		values["out_buffer"] = *v.OutBuffer
		ok = ok && *v.OutBuffer >= 1<<10 && *v.OutBuffer <= 1<<30
	}
	if v.Heartbeat != nil {
		d, err := time.ParseDuration(*v.Heartbeat)
		values["heartbeat"] = int64(d)
		ok = ok && err == nil && d >= time.Second && d <= time.Hour
	}
	return values, ok && len(values) > 0 && len(values) == len(o)
}

func readBan(body []byte, _ map[string]json.RawMessage) (any, bool) {
	v, ok := as[struct {
		Reason string
		Until  *time.Time
	}](body)
	b := api.Ban{Tenant: "acme", Device: "d1", Reason: v.Reason, Until: v.Until}
	return b, ok && len(b.Reason) <= 123 && (b.Until == nil || b.Until.After(time.Now()))
}

func readKick(body []byte, o map[string]json.RawMessage) (any, bool) {
	v, ok := as[struct {
		Code   *uint16
		Reason *string
	}](body)
	k := kicked{"acme", "d1", 1008, "disconnected by an operator"}
	if v.Code != nil {
		k.code = *v.Code
	}
	if v.Reason != nil {
		k.reason = *v.Reason
	}
	allowed := slices.Contains([]uint16{1000, 1001, 1008, 1012, 1013}, k.code) || k.code/1000 == 3 || k.code/1000 == 4
	return k, ok && allowed && len(k.reason) <= 123
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// members counts the members of a valid JSON object, repeated ones too.
func members(object []byte) (n int) {
	depth, quoted, empty := 0, false, true
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted, empty = !quoted, false
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 1:
			n++
		}
	}
	if empty {
		return 0
	}
	return n + 1
}

// Any bytes as the body of any route that takes one: what the backend is asked
// for is what encoding/json reads in them, each member known, there once and in
// range; all else is refused with a problem of the document, never 5xx.
func FuzzBody(f *testing.F) {
	for which, bodies := range [][]string{
		{`{"name":"x"}`, `{"name":"x","data":{"a":[1]},"ttl":"1h"}`, `{"name":"x","ttl":null}`, `{"name":"x","tll":"1h"}`, `{"name":"x","Name":"y"}`, `{"name":"x","ttl":"0.5s"}`, `{"Name":"x"}`, `{"name":"x","data":null}`},
		{`{"all":true,"name":"x"}`, `{"group":"g","name":"x"}`, `{"tenant":"t","all":true,"name":"x"}`, `{"name":"x"}`, `{"tenant":"t","name":"x","data":1e999}`},
		{``, `{}`, `{"window":"10s"}`, `{"window":10}`, `{"window":null}`, `{"window":"-1s"}`, `{"window":"2h"}`},
		{`{"window":1024,"heartbeat":"1s","out_buffer":1024}`, `{"window":0}`, `{"window":1.0}`, `{"window":null}`, `{"event_loops":4}`, `{"heartbeat":null}`},
		{``, `{"reason":"stolen"}`, `{"until":"2999-01-01T00:00:00Z"}`, `{"until":"1999-01-01T00:00:00Z"}`, `{"until":null}`, `{"until":"2999-01-01T00:00:00.5+25:00"}`},
		{``, `{"code":1008,"reason":"x"}`, `{"code":0}`, `{"code":4000}`, `{"code":70000}`, `{"code":null,"reason":null}`, `{"code":5000}`},
	} {
		for _, body := range bodies {
			f.Add(byte(which), []byte(body))
		}
	}
	for _, body := range []string{
		`null`, `[]`, `1`, `"x"`, `{`, `{}{}`, `{} `, "\xef\xbb\xbf{}", `{"name":"a","name":"b"}`, `{"name":"a","n\u0061me":"b"}`,
		"{\"name\":\"\xff\"}", `{"name":"\ud800"}`, `{"":1}`, `{"name":"x","data":{"a":1,"a":2}}`, strings.Repeat("[", 20000),
	} {
		f.Add(byte(0), []byte(body))
	}
	cases := bodyCases()
	z := new(fuzzed)
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		z.reset(t)
		c := cases[int(which)%len(cases)]
		r := z.ask(c.method, c.path, "", strings.NewReader(string(body)))
		want, ok := readBody(c, body)
		switch {
		case !ok && (!slices.Contains(refusals, r.status) || z.got != nil):
			t.Errorf("%s %s %q: status %d, backend asked for %+v: must be refused", c.method, c.path, body, r.status, z.got)
		case ok && (r.status != c.status || !reflect.DeepEqual(z.got, want)):
			t.Errorf("%s %s %q: status %d, %s, backend asked for %+v, want %+v", c.method, c.path, body, r.status, r.body, z.got, want)
		}
	})
}

func readBody(c bodyCase, body []byte) (want any, ok bool) {
	o := make(map[string]json.RawMessage)
	if len(body) > 0 && (json.Unmarshal(body, &o) != nil || o == nil || members(body) != len(o)) {
		return nil, false
	}
	for name := range o {
		if !slices.Contains(c.members, name) {
			return nil, false
		}
	}
	return c.read(body, o)
}
