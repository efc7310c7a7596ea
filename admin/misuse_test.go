package admin_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

const guestToken = "ffffffffffffffffffffffffffffffff"

// admitGuest has somebody's token taken beside own.
func admitGuest(t *testing.T, s *admin.Server) {
	t.Helper()
	guest := access.Principal{Name: "guest", Hash: access.HashOf(guestToken), Scopes: access.AllScopes}
	if err := s.SetPrincipals(guest, own[0]); err != nil {
		t.Fatal(err)
	}
}

// Mallory, who is bound to a tenant, waits for its devices and its records as often as
// she may. The operator still gets through.
func TestBound_LeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, func(c *admin.Config) { c.MaxConnections, c.MaxTails = 32, 4 })
		f.commands.CommandFunc = func(ctx context.Context, _ api.Command) (api.CommandResult, error) {
			<-ctx.Done()
			return api.CommandResult{}, ctx.Err()
		}
		f.log.TailFunc = newEndless(100).tail
		bound := access.Principal{Name: "acme", Hash: access.HashOf(guestToken), Scopes: access.AllScopes, Tenant: "acme"}
		if err := f.server.SetPrincipals(bound, own[0]); err != nil {
			t.Fatal(err)
		}
		b, stop := f.serve()
		defer stop()
		for range 4 {
			res := b.open(t.Context(), "/v1/tail", "Authorization: Bearer "+guestToken)
			defer res.Body.Close()
		}
		for range 40 {
			c := b.raw(t, "POST /v1/devices/acme/d1/commands?wait=5m HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "+guestToken+
				"\r\nContent-Length: 12\r\n\r\n{\"name\":\"x\"}")
			defer c.Close()
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		synctest.Wait()
		for _, path := range []string{"/v1/limits", "/v1/tail"} {
			res := b.open(t.Context(), path)
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: status %d", path, res.StatusCode)
			}
		}
	})
}

// Mallory reads so slowly that much waits for her when her token is taken back, and
// goes on like that. Neither what waits nor her place is hers any more.
func TestRevoked_SlowTailEnds(t *testing.T) {
	const record = 8 << 10
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, slowConfig, func(c *admin.Config) { c.TailBuffer, c.MaxTails = 30*record, 1 })
		log := newEndless(record)
		f.log.TailFunc = log.tail
		admitGuest(t, f.server)
		b, stop := f.serve()
		defer stop()
		res := b.open(t.Context(), "/v1/tail", ndjson, "Authorization: Bearer "+guestToken)
		defer res.Body.Close()
		some := make([]byte, record)
		for range 3 {
			time.Sleep(time.Second)
			if _, err := io.ReadFull(res.Body, some); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.server.SetPrincipals(own...); err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			time.Sleep(20 * time.Second) // within the time that a write may take
			if _, err := io.ReadFull(res.Body, some); err != nil {
				if n > 2 { // one was being written, and one lay in net/http
					t.Errorf("%d records came after the token was taken back", n)
				}
				break
			}
		}
		other := b.open(t.Context(), "/v1/tail?follow=false", ndjson)
		defer other.Body.Close()
		if other.StatusCode != http.StatusOK {
			t.Errorf("the place is not free: status %d", other.StatusCode)
		}
	})
}

// Mallory holds back the end of a request until her token is taken back: it changes
// nothing any more.
func TestRevoked_BodyComesTooLate(t *testing.T) {
	for name, request := range map[string]string{
		"kick": "DELETE /v1/devices/default/d1/connection", "limits": "PATCH /v1/limits", "drain": "POST /v1/drain",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t)
				admitGuest(t, f.server)
				b, stop := f.serve()
				defer stop()
				c := b.raw(t, request+" HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "+guestToken+"\r\nContent-Length: 2\r\n\r\n{")
				defer c.Close()
				synctest.Wait()
				if err := f.server.SetPrincipals(own...); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if _, err := c.Write([]byte("}")); err != nil {
					t.Fatal(err)
				}
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusUnauthorized {
					t.Errorf("status %d", res.StatusCode)
				}
			})
		})
	}
}
