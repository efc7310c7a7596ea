package admin_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"edgeloop/admin/api"
)

// TestAddressBans_API: addresses are listed page by page in order, and any address of one
// that is listed lifts it.
func TestAddressBans_API(t *testing.T) {
	f := newFixture(t)
	at := time.Unix(1_800_000_000, 0).UTC()
	f.bans.AddressBansFunc = func() []api.AddressBan {
		return []api.AddressBan{
			{Address: "2001:db8::/64", Until: at, Times: 2, Failed: at}, {Address: "192.0.2.1", Until: at, Times: 1, Failed: at}, {Address: "192.0.2.9", Until: at, Times: 1, Failed: at},
		}
	}
	var first, second api.AddressBanPage
	f.call("GET", "/v1/address-bans?limit=2", "").want(http.StatusOK).into(&first)
	f.call("GET", "/v1/address-bans?limit=2&after="+first.Next, "").want(http.StatusOK).into(&second)
	if len(first.Bans) != 2 || first.Bans[0].Address != "192.0.2.1" || len(second.Bans) != 1 || second.Bans[0].Address != "2001:db8::/64" || second.Next != "" {
		t.Errorf("pages: %+v and %+v", first, second)
	}
	var lifted netip.Addr
	f.bans.UnbanAddressFunc = func(addr netip.Addr) bool {
		lifted = addr
		return addr == netip.MustParseAddr("2001:db8::7")
	}
	f.call("DELETE", "/v1/address-bans/2001:db8::7", "").want(http.StatusNoContent)
	f.call("DELETE", "/v1/address-bans/192.0.2.7", "").problem(http.StatusNotFound, "not-found")
	if lifted != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("asked for %s", lifted)
	}
	f.call("DELETE", "/v1/address-bans/example.com", "").refused("address")
}
