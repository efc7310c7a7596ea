package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/admintest"
	"edgeloop/admin/api"
	"edgeloop/admin/client"
	"edgeloop/backbone"
	"edgeloop/gateway"
)

// apiOver is the admin API over fakes and the parts that are given, and a client
// of it.
func apiOver(t *testing.T, change func(*admin.Backends), wrap func(http.Handler) http.Handler) *client.Client {
	t.Helper()
	parts := admin.Backends{
		Node: new(admintest.Node), Devices: new(admintest.Devices), Commands: new(admintest.Commands),
		Bans: new(admintest.Bans), Revoked: new(admintest.Revocations), Limits: new(admintest.Limits), Log: new(admintest.Log), Sinks: new(admintest.Sinks),
	}
	change(&parts)
	token := strings.Repeat("0123456789abcdef", 2)
	server, err := admin.New(admin.Config{Principals: []access.Principal{access.Own("own", token)}}, parts)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = server
	if wrap != nil {
		handler = wrap(server)
	}
	h := httptest.NewServer(handler)
	t.Cleanup(h.Close)
	return &client.Client{URL: h.URL, Token: token, HTTP: h.Client()}
}

// What the parts say becomes a status and a text that names the matter.
func TestAdminError(t *testing.T) {
	away := func(cause error) error { return &backbone.UnavailableError{Cause: cause} }
	for name, tt := range map[string]struct {
		err    error
		status int
		text   string
	}{
		"a wrong name":      {&gateway.CommandError{Field: "name", Reason: "is not UTF-8"}, 422, "field name is not UTF-8"},
		"an unknown device": {gateway.ErrUnknownDevice, 404, "the device is not known"},
		"not connected":     {gateway.ErrNotConnected, 404, "the device is not connected"},
		"a slow device":     {gateway.ErrSlowDevice, 503, "the device accepts no more commands now: it reads too slowly"},
		"too many commands": {fmt.Errorf("%w: maximum bytes exceeded", backbone.ErrCommandsFull), 503, "the device accepts no more commands now: too many are waiting"},
		"draining":          {gateway.ErrDraining, 503, "the node is draining"},
		"closed":            {backbone.ErrClosed, 503, "the node cannot do this now: it is being stopped"},
		"a lost connection": {away(errors.New("connection lost")), 503, "the node cannot do this now: connection lost"},
		"a full disk":       {away(&backbone.DiskFullError{Free: 5, Reserve: 7}), 503, "the node cannot do this now: 5 bytes free on the disk, 7 must stay free"},
		"a failed disk":     {backbone.ErrDisk, 503, "the node cannot do this now: the disk failed"},
		"a failed sync":     {away(&fs.PathError{Op: "sync", Path: "x", Err: syscall.EIO}), 503, "the node cannot do this now: sync x: input/output error"},
		"lost, and late":    {away(context.DeadlineExceeded), 503, "the node cannot do this now: context deadline exceeded"},
		"too late":          {context.DeadlineExceeded, 504, ""},
		"a fault":           {errors.New("secret"), 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			wrapped := fmt.Errorf("gateway: store command: %w", tt.err)
			c := apiOver(t, func(b *admin.Backends) {
				b.Commands = &admintest.Commands{CommandFunc: func(context.Context, api.Command) (api.CommandResult, error) {
					return api.CommandResult{}, adminError(wrapped)
				}}
			}, nil)
			_, err := c.Send(t.Context(), "acme", "d", api.CommandRequest{Name: "x"}, 0)
			var p *api.Problem
			if !errors.As(err, &p) || p.Status != tt.status || strings.Contains(p.Detail, "secret") {
				t.Fatalf("answered %v, want %d", err, tt.status)
			}
			if got := strings.TrimPrefix(p.Detail, "api: "); tt.text != "" && got != tt.text {
				t.Errorf("says %q, want %q", got, tt.text)
			}
		})
	}
	if err := adminError(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	if err := adminError(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left became %v", err)
	}
}
