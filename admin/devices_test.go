package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

func TestDevices_Query(t *testing.T) {
	f := newFixture(t)
	yes, no := true, false
	for query, want := range map[string]api.DeviceQuery{
		"":                         {Limit: api.DefaultPage},
		"?tenant=t&prefix=ab":      {Tenant: "t", Prefix: "ab", Limit: api.DefaultPage},
		"?online=true":             {Online: &yes, Limit: api.DefaultPage},
		"?online=false":            {Online: &no, Limit: api.DefaultPage},
		"?group=floor%202":         {Group: "floor 2", Limit: api.DefaultPage},
		"?limit=1000&after=a%2Fb":  {Limit: 1000, After: "a/b"},
		"?tenant=&prefix=&after=":  {Limit: api.DefaultPage},
		"?limit=1&tenant=a.b%3Ac@": {Limit: 1, Tenant: "a.b:c@"},
	} {
		t.Run(query, func(t *testing.T) {
			var got api.DeviceQuery
			f.devices.DevicesFunc = func(q api.DeviceQuery) (api.DevicePage, error) { got = q; return api.DevicePage{}, nil }
			r := f.call("GET", "/v1/devices"+query, "").want(http.StatusOK)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("asked for %+v, want %+v", got, want)
			}
			if string(r.body) != `{"devices":[]}`+"\n" {
				t.Errorf("an empty page is %s", r.body)
			}
		})
	}
	for query, field := range map[string]string{
		"?limit=0": "limit", "?limit=1001": "limit", "?limit=x": "limit", "?limit=": "limit",
		"?online=yes": "online", "?online=": "online", "?online=TRUE": "online",
	} {
		t.Run(query, func(t *testing.T) { f.call("GET", "/v1/devices"+query, "").refused(field) })
	}
	t.Run("a cursor that no page gave", func(t *testing.T) {
		f.devices.DevicesFunc = func(api.DeviceQuery) (api.DevicePage, error) {
			return api.DevicePage{}, &api.FieldError{Field: "after", Reason: "is not from a page"}
		}
		f.call("GET", "/v1/devices?after=x", "").refused("after")
	})
}

// Following next gives every device once, in order.
func TestDevices_Paging(t *testing.T) {
	f := newFixture(t)
	var all []string
	for i := range 25 {
		all = append(all, fmt.Sprintf("d/%02d&", i))
	}
	f.devices.DevicesFunc = func(q api.DeviceQuery) (page api.DevicePage, err error) {
		start, _ := slices.BinarySearchFunc(all, q.After, func(d, after string) int {
			if d <= after {
				return -1
			}
			return 1
		})
		for _, d := range all[start:min(start+q.Limit, len(all))] {
			page.Devices = append(page.Devices, api.Device{Tenant: "default", Device: d, LastSeen: time.Now()})
		}
		if start+q.Limit < len(all) {
			page.Next = page.Devices[q.Limit-1].Device
		}
		return page, nil
	}
	var got []string
	for after, pages := "", 0; ; pages++ {
		var page api.DevicePage
		f.call("GET", "/v1/devices?limit=7&after="+url.QueryEscape(after), "").want(http.StatusOK).into(&page)
		for _, d := range page.Devices {
			got = append(got, d.Device)
		}
		if after = page.Next; after == "" {
			break
		}
		if pages > 25 {
			t.Fatal("the pages never end")
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("the pages hold %v", got)
	}
}

func TestDevice_Get(t *testing.T) {
	f := newFixture(t)
	at := time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)
	device := api.Device{
		Tenant: "default", Device: "a.b_c:d@e-f", Online: true, Epoch: 1795234836000001, LastSeen: at, Durable: 1<<53 - 1,
		Groups: []string{"floor 2"}, ConnectedAt: &at, Remote: "[::1]:4000", Protocol: "edgeloop.v1.json",
		InFlight: 3, OutBuffered: 4096, Banned: true,
	}
	f.devices.DeviceFunc = func(tenant, name string) (api.Device, bool) {
		return device, tenant == device.Tenant && name == device.Device
	}
	var got api.Device
	f.call("GET", "/v1/devices/default/a.b_c%3Ad@e-f", "").want(http.StatusOK).into(&got)
	if !reflect.DeepEqual(got, device) {
		t.Errorf("the device came through as %+v", got)
	}
	f.call("GET", "/v1/devices/default/other", "").problem(http.StatusNotFound, "unknown-device")
	f.call("GET", "/v1/devices/other/a.b_c:d@e-f", "").problem(http.StatusNotFound, "unknown-device")
}

// A name that no device can have is refused on every path, before a backend
// sees it.
func TestDevice_Names(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) {
		c.CheckName = func(kind, name string) error {
			if strings.ContainsAny(name, "*> /\x00") || len(name) > 128 {
				return fmt.Errorf("a %s name has letters, digits and . _ : @ -", kind)
			}
			return nil
		}
	})
	for name := range f.doc.operations() {
		method, path, _ := strings.Cut(name, " ")
		if !strings.Contains(path, "{device}") {
			continue
		}
		for _, bad := range []string{"a*", "a%3E", "a%20b", "a%2Fb", "a%00", strings.Repeat("a", 129)} {
			at := strings.NewReplacer("{tenant}", "default", "{device}", bad).Replace(path)
			f.call(method, at, `{"name":"x"}`).refused("device")
			at = strings.NewReplacer("{tenant}", bad, "{device}", "d1").Replace(path)
			f.call(method, at, `{"name":"x"}`).refused("tenant")
		}
	}
	f.call("GET", "/v1/tail?follow=false&tenant=a*", "").refused("tenant")
	f.call("GET", "/v1/tail?follow=false&device=a*", "").refused("device")
}

func TestKick(t *testing.T) {
	f := newFixture(t)
	const path = "/v1/devices/default/d1/connection"
	type kick struct {
		code   uint16
		reason string
	}
	usual := kick{1008, "disconnected by an operator"}
	long := strings.Repeat("é", 61) // 122 bytes
	for name, c := range map[string]struct {
		query, body string
		want        kick
	}{
		"nothing named":          {"", "", usual},
		"an empty object":        {"", "{}", usual},
		"in the query":           {"?code=4403&reason=go%20away", "", kick{4403, "go away"}},
		"in the body":            {"", `{"code":1012,"reason":"later"}`, kick{1012, "later"}},
		"one here and one there": {"?code=3000", `{"reason":"x"}`, kick{3000, "x"}},
		"no reason":              {"?reason=", "", kick{1008, ""}},
		"the longest reason":     {"?code=4999", `{"reason":"` + long + `x"}`, kick{4999, long + "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got kick
			f.devices.KickFunc = func(tenant, device string, code uint16, reason string) error {
				if tenant != "default" || device != "d1" {
					t.Errorf("kicked %s/%s", tenant, device)
				}
				got = kick{code, reason}
				return nil
			}
			f.call("DELETE", path+c.query, c.body).want(http.StatusNoContent)
			if got != c.want {
				t.Errorf("kicked with %+v, want %+v", got, c.want)
			}
		})
	}
	f.devices.KickFunc = func(string, string, uint16, string) error { t.Error("kicked"); return nil }
	for _, code := range []string{"0", "999", "1002", "1005", "1006", "1011", "1015", "2999", "5000", "65536", "-1", "x", ""} {
		f.call("DELETE", path+"?code="+code, "").refused("code")
	}
	f.call("DELETE", path, `{"code":70000}`).refused("code")
	f.call("DELETE", path, `{"code":"4403"}`).refused("code")
	f.call("DELETE", path, `{"reason":"`+long+`é"}`).refused("reason")
	f.call("DELETE", path+"?reason=%ff", "").refused("reason")
	f.call("DELETE", path+"?code=4403", `{"code":4403}`).problem(http.StatusBadRequest, "bad-request")

	f.devices.KickFunc = func(string, string, uint16, string) error { return api.ErrNotConnected }
	f.call("DELETE", path, "").problem(http.StatusNotFound, "not-connected")
	f.devices.KickFunc = nil
	f.call("DELETE", path, "").problem(http.StatusNotFound, "unknown-device")
}
