package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

// Whatever is asked, the token comes first: also for paths that do not exist,
// so that nobody learns which ones do.
func TestToken_EveryRoute(t *testing.T) {
	f := newFixture(t)
	paths := strings.NewReplacer("{tenant}", "default", "{device}", "d1", "{id}", "0a", "{file}", "app.js", "{$}", "")
	for pattern, open := range f.server.Patterns() {
		if open {
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		for name, header := range map[string]string{
			"no token":        "Authorization: ",
			"wrong token":     "Authorization: Bearer 0123456789abcdef0123456789abcdeX",
			"part of it":      "Authorization: Bearer " + token[:16],
			"more than it":    "Authorization: Bearer " + token + "0",
			"other scheme":    "Authorization: Basic " + token,
			"without scheme":  "Authorization: " + token,
			"empty bearer":    "Authorization: Bearer ",
			"twice the token": "Authorization: Bearer " + token + " " + token,
			"a list":          "Authorization: Bearer " + token + ", Bearer " + token,
			"the hash of it":  "Authorization: Bearer " + fmt.Sprintf("%x", access.HashOf(token)),
		} {
			t.Run(pattern+" with "+name, func(t *testing.T) {
				r := f.call(method, paths.Replace(path), "", header)
				r.problem(http.StatusUnauthorized, "unauthorized")
				if got := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
					t.Errorf("WWW-Authenticate is %q", got)
				}
			})
		}
	}
	t.Run("a path that does not exist", func(t *testing.T) {
		f.call("GET", "/v1/nothing", "", "Authorization: ").problem(http.StatusUnauthorized, "unauthorized")
	})
	t.Run("a method that is not allowed", func(t *testing.T) {
		f.call("POST", "/v1/node", "", "Authorization: ").problem(http.StatusUnauthorized, "unauthorized")
	})
}

func TestToken_OpenRoutes(t *testing.T) {
	f := newFixture(t)
	open := 0
	for pattern, isOpen := range f.server.Patterns() {
		if !isOpen {
			continue
		}
		open++
		_, path, _ := strings.Cut(strings.NewReplacer("{file}", "app.js", "{$}", "").Replace(pattern), " ")
		f.call("GET", path, "", "Authorization: ").want(http.StatusOK)
	}
	if open != 4 {
		t.Errorf("%d routes need no token; more than healthz, readyz and the two of the dashboard is a leak", open)
	}
}

// The scheme's name may be written in any case. [RFC9110 11.1]
func TestToken_SchemeCase(t *testing.T) {
	f := newFixture(t)
	f.call("GET", "/v1/node", "", "Authorization: bearer "+token).want(http.StatusOK)
}

// A proxy may have looked at another header than we would, so two are none, even if
// both are right.
func TestToken_SeveralHeaders(t *testing.T) {
	f := newFakes(t)
	for name, sent := range map[string][]string{
		"the same twice": {"Bearer " + token, "Bearer " + token},
		"a wrong first":  {"Bearer 0123456789abcdef", "Bearer " + token},
		"a wrong second": {"Bearer " + token, "Basic eA=="},
		"an empty one":   {"", "Bearer " + token},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/v1/node", nil)
			r.Header["Authorization"] = sent
			w := httptest.NewRecorder()
			f.server.ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}

// While a token replaces another one both are taken, and then only the new one.
func TestToken_IsReplaced(t *testing.T) {
	f := newFixture(t)
	renewed := access.Own("own", "ffffffffffffffffffffffffffffffff")
	want := func(status int, sent string) {
		t.Helper()
		f.call("GET", "/v1/node", "", "Authorization: Bearer "+sent).want(status)
	}
	want(http.StatusUnauthorized, "ffffffffffffffffffffffffffffffff")
	if err := f.server.SetPrincipals(); err == nil {
		t.Error("no token at all is taken")
	}
	want(http.StatusOK, token)
	for _, step := range []struct {
		all []access.Principal
		old int
	}{{[]access.Principal{renewed, own[0]}, http.StatusOK}, {[]access.Principal{renewed}, http.StatusUnauthorized}} {
		if err := f.server.SetPrincipals(step.all...); err != nil {
			t.Fatal(err)
		}
		want(http.StatusOK, "ffffffffffffffffffffffffffffffff")
		want(step.old, token)
	}
}

// What has begun with a token ends when the token is not taken any more, or has
// expired; the same of others goes on.
func TestToken_EndsWhatHasBegun(t *testing.T) {
	for name, end := range map[string]func(*fixture, access.Principal){
		"it is removed":  func(f *fixture, _ access.Principal) { _ = f.server.SetPrincipals(own...) },
		"it is bound":    func(f *fixture, p access.Principal) { p.Tenant = "acme"; _ = f.server.SetPrincipals(p, own[0]) },
		"it has its end": func(f *fixture, p access.Principal) { p.Expires = time.Now(); _ = f.server.SetPrincipals(p, own[0]) },
		"time goes by":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			const other = "ffffffffffffffffffffffffffffffff"
			guest := access.Principal{Name: "guest", Hash: access.HashOf(other), Scopes: access.AllScopes}
			waits := make(chan context.Context, 2)
			f.commands.CommandFunc = func(ctx context.Context, _ api.Command) (api.CommandResult, error) {
				waits <- ctx
				<-ctx.Done()
				return api.CommandResult{}, ctx.Err()
			}
			var ended chan *reply
			for begun, lasts := false, time.Second; !begun; lasts *= 2 { // longer, where its end came before the request
				if end == nil {
					guest.Expires = time.Now().Add(lasts)
				}
				if err := f.server.SetPrincipals(guest, own[0]); err != nil {
					t.Fatal(err)
				}
				ended = make(chan *reply, 1)
				go func() {
					ended <- f.call("POST", "/v1/devices/default/d1/commands?wait=1m", `{"name":"x"}`, "Authorization: Bearer "+other)
				}()
				select {
				case <-waits:
					begun = true
				case r := <-ended:
					if end != nil || time.Now().Before(guest.Expires) {
						t.Fatalf("it was not begun: status %d", r.status)
					}
				}
			}
			if end != nil {
				end(f, guest)
			}
			(<-ended).problem(http.StatusUnauthorized, "unauthorized")
		})
	}
}
