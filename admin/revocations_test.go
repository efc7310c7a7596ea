package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// TestRevocations_Asked: what is asked for reaches the node, and what is no sound request
// does not.
func TestRevocations_Asked(t *testing.T) {
	f := newFixture(t)
	var got api.Revocation
	f.revoked.RevokeFunc = func(_ context.Context, r api.Revocation) (api.Revocation, error) { got = r; return r, nil }
	began := time.Now()
	for body, want := range map[string]api.Revocation{
		`{"tenant":"acme","jti":"x"}`:                                {Tenant: "acme", JTI: "x"},
		`{"tenant":"acme","device":"d1","reason":"lost"}`:            {Tenant: "acme", Device: "d1", Reason: "lost"},
		`{"tenant":"acme"}`:                                          {Tenant: "acme"},
		`{"all":true}`:                                               {},
		`{"tenant":"acme","until":"2099-01-01T00:00:00Z"}`:           {Tenant: "acme"},
		`{"tenant":"acme","before":"2026-01-01T00:00:00Z"}`:          {Tenant: "acme"},
		`{"tenant":"acme","jti":"` + strings.Repeat("x", 256) + `"}`: {Tenant: "acme", JTI: strings.Repeat("x", 256)},
	} {
		f.call("POST", "/v1/revocations", body).want(http.StatusCreated)
		switch before := got.Before; {
		case want.JTI != "" && before != nil, want.JTI == "" && before == nil:
			t.Errorf("%s: before %v", body, before)
		case want.JTI == "" && !strings.Contains(body, "before") && before.Before(began):
			t.Errorf("%s: before %v is not now", body, before)
		}
		if (got.Until != nil) != strings.Contains(body, "until") {
			t.Errorf("%s: until %v", body, got.Until)
		}
		got.Before, got.Until = nil, nil
		if got != want {
			t.Errorf("%s: the node is asked for %+v", body, got)
		}
	}
	f.revoked.RevokeFunc = func(context.Context, api.Revocation) (api.Revocation, error) {
		t.Error("a request that is not sound reaches the node")
		return api.Revocation{}, nil
	}
	for body, field := range map[string]string{
		`{}`: "tenant", `{"device":"d1"}`: "tenant", `{"jti":"x"}`: "tenant",
		`{"tenant":"acme","all":true}`: "all", `{"all":true,"device":"d1"}`: "all", `{"all":true,"jti":"x"}`: "all",
		`{"tenant":"acme","device":"d1","jti":"x"}`: "jti", `{"tenant":"acme","jti":"x","before":"2026-01-01T00:00:00Z"}`: "jti",
		`{"tenant":"acme","jti":"` + strings.Repeat("x", 257) + `"}`: "jti",
		`{"tenant":"acme","before":"2099-01-01T00:00:00Z"}`:          "before", `{"tenant":"acme","before":"1960-01-01T00:00:00Z"}`: "before",
		`{"tenant":"acme","until":"2020-01-01T00:00:00Z"}`: "until", `{"tenant":"` + strings.Repeat("x", 129) + `"}`: "tenant",
	} {
		f.call("POST", "/v1/revocations", body).refused(field)
	}
}

// TestRevocations_OfATenant: a token that is bound to a tenant revokes, sees and lifts what
// is of that tenant, and cannot speak of all.
func TestRevocations_OfATenant(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Principals = guests() })
	f.revoked.RevokeFunc = func(_ context.Context, r api.Revocation) (api.Revocation, error) {
		if r.Tenant != "acme" {
			t.Errorf("tokens of %q are revoked", r.Tenant)
		}
		return r, nil
	}
	bound := "Authorization: Bearer " + tokenOf("bound-admin")
	f.call("POST", "/v1/revocations", `{"device":"d1"}`, bound).want(http.StatusCreated)
	f.call("POST", "/v1/revocations", `{"all":true}`, bound).refused("all")
	f.call("POST", "/v1/revocations", `{"tenant":"other"}`, bound).problem(http.StatusForbidden, "forbidden")
}

// TestRevocations_Pages: one page after another has each once.
func TestRevocations_Pages(t *testing.T) {
	f := newFixture(t)
	f.revoked.RevocationsFunc = func(string) (all []api.Revocation) {
		for i := range 10 {
			all = append(all, api.Revocation{ID: fmt.Sprintf("%02d", i)})
		}
		return all
	}
	var seen []string
	for after, pages := "", 0; pages < 5; pages++ {
		var page api.RevocationPage
		f.call("GET", "/v1/revocations?limit=4&after="+after, "").want(http.StatusOK).into(&page)
		for _, r := range page.Revocations {
			seen = append(seen, r.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if got := strings.Join(seen, " "); got != "00 01 02 03 04 05 06 07 08 09" {
		t.Errorf("the pages have %s", got)
	}
	f.call("DELETE", "/v1/revocations/09", "").problem(http.StatusNotFound, "not-found")
}
