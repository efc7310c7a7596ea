package admin_test

import (
	"net/http"
	"strings"
	"testing"
)

// Whatever is asked, the token comes first: also for paths that do not exist,
// so that nobody learns which ones do.
func TestToken_EveryRoute(t *testing.T) {
	f := newFixture(t)
	paths := strings.NewReplacer("{tenant}", "default", "{device}", "d1", "{file}", "app.js", "{$}", "")
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

// While a token replaces another one both are taken, and then only the new one.
func TestToken_IsReplaced(t *testing.T) {
	f := newFixture(t)
	const renewed = "ffffffffffffffffffffffffffffffff"
	want := func(status int, sent string) {
		t.Helper()
		f.call("GET", "/v1/node", "", "Authorization: Bearer "+sent).want(status)
	}
	want(http.StatusUnauthorized, renewed)
	for _, wrong := range [][]string{nil, {renewed, "short"}} {
		if err := f.server.SetTokens(wrong...); err == nil {
			t.Errorf("tokens %q are taken", wrong)
		}
	}
	want(http.StatusOK, token)
	for _, step := range []struct {
		tokens []string
		old    int
	}{{[]string{renewed, token}, http.StatusOK}, {[]string{renewed}, http.StatusUnauthorized}} {
		if err := f.server.SetTokens(step.tokens...); err != nil {
			t.Fatal(err)
		}
		want(http.StatusOK, renewed)
		want(step.old, token)
	}
}
