package admin_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Every route is in the document and the reverse, and both say the same about
// the token and its scope.
func TestOpenAPI_RoutesAgree(t *testing.T) {
	f := newFakes(t)
	described := f.doc.operations()
	for pattern, open := range f.server.Patterns() {
		name := strings.Replace(pattern, "/{$}", "/", 1)
		op, ok := described[name]
		if !ok {
			t.Errorf("%s is not in openapi.json", pattern)
			continue
		}
		want := `[{"bearer":["` + f.server.Needs(pattern) + `"]}]`
		if open {
			want = "[]"
		}
		if got, err := json.Marshal(op["security"]); err != nil || string(got) != want {
			t.Errorf("%s: openapi.json says %s of the token, the route %s", pattern, got, want)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("openapi.json describes %s, which is no route", name)
	}
}

// Path and query parameters that the document names are those the handlers
// know: a parameter that is not described is refused, and the refusal lists
// exactly the described ones.
func TestOpenAPI_ParametersAgree(t *testing.T) {
	f := newFixture(t)
	for name, op := range f.doc.operations() {
		method, path, _ := strings.Cut(name, " ")
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := f.doc.parameters(op, "query")
			path = strings.NewReplacer("{tenant}", "default", "{device}", "d1", "{id}", "0a").Replace(path)
			p := f.call(method, path+"?surely-unknown=1", "").problem(400, "bad-request")
			got := slices.Sorted(slices.Values(p.Allowed))
			if !slices.Equal(got, want) {
				t.Errorf("the handler knows %v, openapi.json %v", got, want)
			}
		})
	}
}

// Every reference in the document leads somewhere, and every schema, response
// and parameter is used.
func TestOpenAPI_References(t *testing.T) {
	f := newFakes(t)
	used := map[string]bool{}
	f.doc.walkRefs(f.doc.root, func(ref string) {
		used[ref] = true
		if f.doc.find(ref) == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
	for _, kind := range []string{"schemas", "responses", "parameters"} {
		for _, name := range slices.Sorted(maps.Keys(f.doc.find("#/components/" + kind))) {
			// The data of an event is described for people; no response is one.
			if ref := "#/components/" + kind + "/" + name; !used[ref] && name != "TailEnd" {
				t.Errorf("%s is never used", ref)
			}
		}
	}
}

func TestOpenAPI_Served(t *testing.T) {
	f := newFixture(t)
	f.call("GET", "/openapi.json", "").want(200)
}
