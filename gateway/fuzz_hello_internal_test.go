package gateway

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"edgeloop/auth"
	"edgeloop/eventloop"
)

// Any query of a handshake gives a device that names itself the identity that
// the query spells, within the rules for names, or a 400; and any place for a
// token gives the first token that is there, unchanged.
func FuzzHello(f *testing.F) {
	for _, query := range []string{
		"", "device=dev-1", "device=dev-1&tenant=acme", "device=a&device=b", "tenant=t", "device=..", "device=a%2Fb",
		"device=%", "device=a&tenant=b%2Fc", "device=a&tenant=..", "device=a;tenant=b", "DEVICE=a", "device=%00", "device=é", "token=abc", "token=&device=x",
		"device=" + strings.Repeat("n", 200), "device=a+b", "=", "&&&", "device",
	} {
		f.Add([]byte(query), []byte(""), []byte(""))
	}
	f.Add([]byte("token=q"), []byte("Bearer h"), []byte("p"))
	f.Add([]byte("token=q"), []byte("bEARER "), []byte("p"))
	f.Add([]byte("token=q"), []byte("Bearer   h"), []byte("p"))
	f.Add([]byte(""), []byte("Bearer   "), []byte(""))
	f.Add([]byte("token="), []byte("Basic h"), []byte("p"))
	name := regexp.MustCompile(`^[A-Za-z0-9._:@-]{1,128}$`)
	ok := func(s string) bool { return name.MatchString(s) && s != "." && s != ".." }
	g := new(Gateway)
	f.Fuzz(func(t *testing.T, query, authorization, protocol []byte) {
		h := new(eventloop.Credentials)
		h.Query, h.Authorization, h.Bearer = query, authorization, protocol
		want, err := url.ParseQuery(string(query))
		key, id, refusal := g.identify(h)
		if id != nil {
			t.Errorf("%q: an identity without a verifier: %+v", query, id)
		}
		tenant, device := want.Get("tenant"), want.Get("device")
		if tenant == "" {
			tenant = auth.DefaultTenant
		}
		switch {
		case err != nil || !ok(tenant) || !ok(device):
			reason := eventloop.ReasonName
			if err != nil {
				reason = eventloop.ReasonMalformed
			}
			if refusal == nil || refusal.Reason != reason || refusal.Text == "" {
				t.Errorf("%q: %+v is taken, refusal %+v", query, key, refusal)
			}
		case refusal != nil || key.Tenant != tenant || key.Device != device:
			t.Errorf("%q: %+v, refusal %+v, want %s %s", query, key, refusal, tenant, device)
		}

		token, found := tokenOf(h, want)
		wantToken := string(protocol)
		if q := want.Get("token"); q != "" {
			wantToken = q
		}
		if a := string(authorization); len(a) > 7 && strings.EqualFold(a[:7], "bearer ") {
			if a = strings.TrimLeft(a[7:], " "); a != "" {
				wantToken = a
			}
		}
		if found != (wantToken != "") || string(token) != wantToken {
			t.Errorf("%q %q %q: token %q, %v, want %q", query, authorization, protocol, token, found, wantToken)
		}
	})
}
