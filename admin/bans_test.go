package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/api"
)

func TestBan_Put(t *testing.T) {
	f := newFixture(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for body, want := range map[string]api.Ban{
		``:               {},
		`{"until":null}`: {},
		`{"reason":"stolen","until":"` + until.Format(time.RFC3339) + `"}`: {Reason: "stolen", Until: &until},
	} {
		t.Run(body, func(t *testing.T) {
			want.Tenant, want.Device = "default", "d1"
			created := true
			var got api.Ban
			f.bans.BanFunc = func(_ context.Context, b api.Ban) (bool, error) { got = b; return created, nil }
			var answer api.Ban
			f.call("PUT", "/v1/bans/default/d1", body).want(http.StatusCreated).into(&answer)
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(answer, want) {
				t.Errorf("banned %+v, answered %+v, want %+v", got, answer, want)
			}
			created = false
			f.call("PUT", "/v1/bans/default/d1", body).want(http.StatusOK)
		})
	}
	f.bans.BanFunc = func(context.Context, api.Ban) (bool, error) { t.Error("banned"); return true, nil }
	for body, field := range map[string]string{
		`{"until":"2020-01-01T00:00:00Z"}`:              "until",
		`{"until":"tomorrow"}`:                          "until",
		`{"until":1795234836}`:                          "until",
		`{"reason":7}`:                                  "reason",
		`{"reason":"` + strings.Repeat("r", 124) + `"}`: "reason",
	} {
		f.call("PUT", "/v1/bans/default/d1", body).refused(field)
	}
	f.bans.BanFunc = func(context.Context, api.Ban) (bool, error) { return false, api.ErrUnavailable }
	f.call("PUT", "/v1/bans/default/d1", "").problem(http.StatusServiceUnavailable, "unavailable")
}

func TestBan_GetAndDelete(t *testing.T) {
	f := newFixture(t)
	banned := true
	f.bans.BanOfFunc = func(tenant, device string) (api.Ban, bool) {
		return api.Ban{Tenant: tenant, Device: device, Reason: "stolen"}, banned
	}
	f.bans.UnbanFunc = func(context.Context, string, string) (bool, error) { return banned, nil }
	const path = "/v1/bans/default/d1"

	var got api.Ban
	f.call("GET", path, "").want(http.StatusOK).into(&got)
	if want := (api.Ban{Tenant: "default", Device: "d1", Reason: "stolen"}); got != want {
		t.Errorf("the ban is %+v, want %+v", got, want)
	}
	f.call("DELETE", path, "").want(http.StatusNoContent)
	banned = false
	f.call("GET", path, "").problem(http.StatusNotFound, "not-found")
	f.call("DELETE", path, "").problem(http.StatusNotFound, "not-found")
	f.bans.UnbanFunc = func(context.Context, string, string) (bool, error) { return false, api.ErrUnavailable }
	f.call("DELETE", path, "").problem(http.StatusServiceUnavailable, "unavailable")
}

// Whatever order the node keeps them in, the pages are sorted and complete.
func TestBans_Paging(t *testing.T) {
	f := newFixture(t)
	var all []api.Ban
	for i := range 23 {
		all = append(all, api.Ban{Tenant: []string{"a", "a-b", "b"}[i%3], Device: fmt.Sprintf("d-%d", i)})
	}
	f.bans.BansFunc = func(tenant string) []api.Ban {
		mine := slices.Clone(all)
		return slices.DeleteFunc(mine, func(b api.Ban) bool { return tenant != "" && b.Tenant != tenant })
	}
	for tenant, want := range map[string]int{"": 23, "a": 8, "b": 7, "c": 0} {
		var got []api.Ban
		for after := ""; ; {
			var page api.BanPage
			f.call("GET", "/v1/bans?limit=4&tenant="+tenant+"&after="+url.QueryEscape(after), "").want(http.StatusOK).into(&page)
			got = append(got, page.Bans...)
			if after = page.Next; after == "" || len(got) > 100 {
				break
			}
		}
		if len(got) != want {
			t.Errorf("tenant %q: %d bans, want %d", tenant, len(got), want)
		}
		if !slices.IsSortedFunc(got, func(a, b api.Ban) int {
			return strings.Compare(a.Tenant+"\x00"+a.Device, b.Tenant+"\x00"+b.Device)
		}) {
			t.Errorf("tenant %q: not sorted: %v", tenant, got)
		}
	}
	f.call("GET", "/v1/bans?limit=0", "").refused("limit")
}
