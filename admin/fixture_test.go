package admin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/admintest"
	"edgeloop/admin/api"
)

const token = "0123456789abcdef0123456789abcdef"

// own is who may do everything, with token.
var own = []access.Principal{access.Own("own", token)}

// fixture is a server in front of fakes. Every response that passes through
// call is compared with the OpenAPI document.
type fixture struct {
	t        *testing.T
	node     *admintest.Node
	devices  *admintest.Devices
	commands *admintest.Commands
	bans     *admintest.Bans
	revoked  *admintest.Revocations
	limits   *admintest.Limits
	log      *admintest.Log
	sinks    *admintest.Sinks

	server *admin.Server
	http   *httptest.Server
	doc    *document
}

func newFixture(t *testing.T, change ...func(*admin.Config)) *fixture {
	t.Helper()
	f := newFakes(t, change...)
	f.http = httptest.NewServer(f.server)
	t.Cleanup(f.http.Close)
	return f
}

// newFakes is a fixture that does not listen.
func newFakes(t *testing.T, change ...func(*admin.Config)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, node: new(admintest.Node), devices: new(admintest.Devices), commands: new(admintest.Commands),
		bans: new(admintest.Bans), revoked: new(admintest.Revocations), limits: new(admintest.Limits), log: new(admintest.Log), sinks: new(admintest.Sinks),
		doc: readDocument(t, admin.OpenAPIDocument()),
	}
	cfg := admin.Config{Principals: own}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	f.server, err = admin.New(cfg, f.backends())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) backends() admin.Backends {
	return admin.Backends{
		Node: f.node, Devices: f.devices, Commands: f.commands, Bans: f.bans, Revoked: f.revoked, Limits: f.limits, Log: f.log, Sinks: f.sinks,
	}
}

// reply is a response with its body read.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends a request with the token, unless headers ("Name: value") name another.
func (f *fixture) call(method, path, body string, headers ...string) *reply {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := f.http.Client().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	r := &reply{t: f.t, status: res.StatusCode, header: res.Header, body: content}
	f.doc.checkReply(f.t, method, req.URL.Path, r)
	return r
}

// want fails unless the status is the one given.
func (r *reply) want(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// problem decodes a problem document of the status and kind given.
func (r *reply) problem(status int, kind string) api.Problem {
	r.t.Helper()
	r.want(status)
	if got := r.header.Get("Content-Type"); got != api.ProblemType {
		r.t.Fatalf("content type %q, want %q", got, api.ProblemType)
	}
	var p api.Problem
	r.into(&p)
	if want := "urn:edgeloop:problem:" + kind; p.Type != want || p.Status != status || p.Title == "" || p.Detail == "" {
		r.t.Fatalf("problem %+v, want type %s, status %d, title and detail", p, want, status)
	}
	return p
}

// refused decodes a 422 that names the field given.
func (r *reply) refused(field string) api.Problem {
	r.t.Helper()
	p := r.problem(http.StatusUnprocessableEntity, "invalid-field")
	if p.Field != field {
		r.t.Fatalf("the problem names field %q, want %q: %s", p.Field, field, r.body)
	}
	return p
}

func (r *reply) into(v any) {
	r.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		r.t.Fatalf("%v in %s", err, r.body)
	}
}
