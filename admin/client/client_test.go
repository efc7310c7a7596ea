package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/admintest"
	"edgeloop/admin/api"
	"edgeloop/admin/client"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const token = "0123456789abcdef0123456789abcdef"

// node is a real admin server over fakes, and a client of it.
type node struct {
	admintest.Node
	admintest.Devices
	commands admintest.Commands
	bans     admintest.Bans
	revoked  admintest.Revocations
	limits   admintest.Limits
	log      admintest.Log
	sinks    admintest.Sinks
	*client.Client
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := new(node)
	server, err := admin.New(admin.Config{Principals: []access.Principal{access.Own("own", token)}}, admin.Backends{
		Node: &n.Node, Devices: &n.Devices, Commands: &n.commands, Bans: &n.bans, Revoked: &n.revoked, Limits: &n.limits, Log: &n.log, Sinks: &n.sinks,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	n.Client = &client.Client{URL: h.URL + "/", Token: token, HTTP: h.Client()}
	return n
}

// wantStatus fails unless err is a Problem with the status.
func wantStatus(t *testing.T, err error, status int) {
	t.Helper()
	if p := problem(t, err); p.Status != status {
		t.Fatalf("status %d, want %d: %v", p.Status, status, p)
	}
}

func problem(t *testing.T, err error) *api.Problem {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v, want a problem", err)
	}
	return p
}

func TestClient_Node(t *testing.T) {
	n := newNode(t)
	if got, err := n.Client.Node(t.Context()); err != nil || got.Name != "test" {
		t.Errorf("node %+v, %v", got, err)
	}
	var window time.Duration
	n.DrainFunc = func(w time.Duration) error { window = w; return nil }
	if _, err := n.Client.Drain(t.Context(), 5*time.Second); err != nil || window != 5*time.Second {
		t.Errorf("drained over %s, %v", window, err)
	}
	n.Token = "wrong"
	_, err := n.Client.Node(t.Context())
	wantStatus(t, err, http.StatusUnauthorized)
}

func TestClient_Devices(t *testing.T) {
	n := newNode(t)
	online := true
	var asked []api.DeviceQuery
	n.DevicesFunc = func(q api.DeviceQuery) (api.DevicePage, error) {
		asked = append(asked, q)
		page := api.DevicePage{Devices: []api.Device{{Tenant: "t", Device: "d" + q.After}}}
		if len(asked) < 3 {
			page.Next = fmt.Sprint(len(asked))
		}
		return page, nil
	}
	want := api.DeviceQuery{Tenant: "t", Prefix: "p&", Group: "g", Online: &online, Limit: 1}
	var names []string
	for d, err := range n.AllDevices(t.Context(), want) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, d.Device)
	}
	if !slices.Equal(names, []string{"d", "d1", "d2"}) {
		t.Errorf("devices %v", names)
	}
	want.After = "2"
	if !reflect.DeepEqual(asked[2], want) {
		t.Errorf("asked for %+v, want %+v", asked[2], want)
	}
	n.DevicesFunc = func(api.DeviceQuery) (api.DevicePage, error) { return api.DevicePage{}, api.ErrUnavailable }
	for _, err := range n.AllDevices(t.Context(), api.DeviceQuery{}) {
		wantStatus(t, err, http.StatusServiceUnavailable)
	}
	_, err := n.Client.Device(t.Context(), "t", "unknown")
	wantStatus(t, err, http.StatusNotFound)
	n.DeviceFunc = func(tenant, device string) (api.Device, bool) {
		return api.Device{Tenant: tenant, Device: device}, true
	}
	if d, err := n.Client.Device(t.Context(), "t", "a:b@c/d e"); err != nil || d.Device != "a:b@c/d e" {
		t.Errorf("device %+v, %v", d, err)
	}
}

func TestClient_Send(t *testing.T) {
	n := newNode(t)
	var result api.CommandResult
	var asked api.Command
	n.commands.CommandFunc = func(_ context.Context, c api.Command) (api.CommandResult, error) {
		asked = c
		return result, nil
	}
	cmd := api.CommandRequest{Name: "set", Data: json.RawMessage(`{"s":5}`), TTL: api.Duration(time.Hour)}
	for _, result = range []api.CommandResult{
		{ID: "1", State: api.CommandReplied, Reply: api.Reply{ID: "1", OK: true, Data: json.RawMessage(`{}`)}},
		{ID: "2", State: api.CommandReplied, Reply: api.Reply{ID: "2", Code: "busy", Message: "later", Data: json.RawMessage(`"AA=="`), Encoding: "base64"}},
		{ID: "3", State: api.CommandSent},
		{ID: "4", State: api.CommandLeft},
	} {
		got, err := n.Send(t.Context(), "t", "d", cmd, 1500*time.Millisecond)
		if err != nil || !reflect.DeepEqual(got, result) {
			t.Errorf("result %+v, %v, want %+v", got, err, result)
		}
	}
	want := api.Command{Tenant: "t", Device: "d", CommandRequest: cmd, Wait: api.Duration(1500 * time.Millisecond)}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
	result = api.CommandResult{ID: "5", State: api.CommandNoReply}
	_, err := n.Send(t.Context(), "t", "d", cmd, time.Second)
	if p := problem(t, err); p.Status != http.StatusGatewayTimeout || p.ID != "5" {
		t.Errorf("the problem names command %q", p.ID)
	}
	if _, err := n.Send(t.Context(), "t", "d", api.CommandRequest{Name: "ping"}, 0); err == nil || asked.Wait != 0 || asked.TTL != 0 {
		t.Errorf("asked for %+v", asked)
	}
	n.commands.BroadcastFunc = func(_ context.Context, b api.Broadcast) (api.BroadcastResult, error) {
		return api.BroadcastResult{ID: b.Tenant + b.Group, Devices: 3}, nil
	}
	res, err := n.Broadcast(t.Context(), api.Broadcast{Tenant: "t", Group: "g", Name: "ping"})
	if err != nil || res != (api.BroadcastResult{ID: "tg", Devices: 3}) {
		t.Errorf("broadcast %+v, %v", res, err)
	}
}

func TestClient_KickAndBan(t *testing.T) {
	n := newNode(t)
	var code uint16
	n.KickFunc = func(_, _ string, c uint16, _ string) error { code = c; return nil }
	if err := n.Client.Kick(t.Context(), "t", "d", api.KickRequest{}); err != nil || code != 1008 {
		t.Errorf("kicked with %d, %v", code, err)
	}
	if err := n.Client.Kick(t.Context(), "t", "d", api.KickRequest{Code: 4403}); err != nil || code != 4403 {
		t.Errorf("kicked with %d, %v", code, err)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	ban := api.Ban{Tenant: "t", Device: "d", Reason: "stolen", Until: &until}
	var got api.Ban
	n.bans.BanFunc = func(_ context.Context, b api.Ban) (bool, error) { got = b; return true, nil }
	if err := n.Ban(t.Context(), ban); err != nil || !reflect.DeepEqual(got, ban) {
		t.Errorf("banned %+v, %v", got, err)
	}
	n.bans.BansFunc = func(string) []api.Ban { return []api.Ban{ban} }
	if page, err := n.Bans(t.Context(), "t", ""); err != nil || len(page.Bans) != 1 {
		t.Errorf("bans %+v, %v", page, err)
	}
	wantStatus(t, n.Unban(t.Context(), "t", "d"), http.StatusNotFound)
}

func TestClient_Limits(t *testing.T) {
	n := newNode(t)
	limit := api.Limit{Name: "heartbeat", Kind: api.LimitDuration, Value: 30e9, Min: 1e9, Max: 60e9, Changeable: true, Help: "h"}
	n.limits.LimitsFunc = func() []api.Limit { return []api.Limit{limit} }
	if got, err := n.Limits(t.Context()); err != nil || !slices.Equal(got, []api.Limit{limit}) {
		t.Errorf("limits %+v, %v", got, err)
	}
	var set map[string]*int64
	n.limits.SetLimitsFunc = func(v map[string]*int64) error { set = v; return nil }
	if _, err := n.SetLimits(t.Context(), map[string]any{"heartbeat": "20s"}); err != nil || *set["heartbeat"] != 20e9 {
		t.Errorf("set %v, %v", set, err)
	}
	_, err := n.SetLimits(t.Context(), map[string]any{"heartbeat": "2h"})
	if p := problem(t, err); p.Status != http.StatusUnprocessableEntity || p.Field != "heartbeat" || p.Max != "1m0s" {
		t.Errorf("problem %+v", p)
	}
}

func TestClient_Tail(t *testing.T) {
	n := newNode(t)
	since := time.Date(2026, 11, 21, 6, 0, 0, 123456789, time.UTC)
	for _, want := range []api.TailQuery{
		{All: true}, {All: true, Tenant: "t", Device: "d"}, {Since: since}, {Since: since, Follow: true}, {Follow: true},
	} {
		var asked api.TailQuery
		n.log.TailFunc = func(_ context.Context, q api.TailQuery, fn func(uint64, []byte) error) error {
			asked = q
			return errors.Join(fn(1, []byte(`{"seq":1}`)), fn(2, []byte(`{"seq":2}`)))
		}
		var lines []string
		err := n.Tail(t.Context(), want, func(line []byte) error {
			lines = append(lines, string(line))
			return nil
		})
		if err != nil || !slices.Equal(lines, []string{`{"seq":1}`, `{"seq":2}`}) {
			t.Errorf("lines %v, %v", lines, err)
		}
		if asked != want {
			t.Errorf("asked for %+v, want %+v", asked, want)
		}
	}
	n.log.TailFunc = func(_ context.Context, _ api.TailQuery, fn func(uint64, []byte) error) error {
		return errors.Join(fn(1, []byte(`{"seq":1}`)), api.ErrUnavailable)
	}
	err := n.Tail(t.Context(), api.TailQuery{All: true}, func([]byte) error { return nil })
	var end *client.EndError
	if !errors.As(err, &end) || end.End != api.TailFailed {
		t.Errorf("a failed log ends with %v", err)
	}
	full := errors.New("disk full")
	if err := n.Tail(t.Context(), api.TailQuery{All: true}, func([]byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("the callback's error became %v", err)
	}
	n.log.TailFunc = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Tail(ctx, api.TailQuery{Follow: true}, func([]byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled tail ends with %v", err)
	}
}

// What is not a node is told as what it said.
func TestClient_NotANode(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/node" {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, "<html>")
	}))
	c := &client.Client{URL: h.URL, Token: token}
	_, err := c.Node(t.Context())
	if p := problem(t, err); p.Status != http.StatusBadGateway || p.Detail != "bad gateway" {
		t.Errorf("problem %+v", p)
	}
	if _, err := c.Limits(t.Context()); err == nil {
		t.Error("a page was taken for limits")
	}
	h.Close()
	if _, err := c.Node(t.Context()); err == nil {
		t.Error("no error from an address that nobody serves")
	}
	http.DefaultClient.CloseIdleConnections()
}
