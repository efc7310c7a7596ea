package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"strings"
	"testing"

	"edgeloop/auth"
)

// A certificate stands for one name, or for none.
func TestCertTemplate(t *testing.T) {
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	full := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "pump-1", Organization: []string{"acme"}, OrganizationalUnit: []string{"a", "b"}},
		DNSNames: []string{"pump-1.example.org", "pump-1.example.org"}, EmailAddresses: []string{"pump@example.org"},
		URIs: []*url.URL{uri("spiffe://example.org/device/pump-9")},
	}
	for _, c := range []struct {
		template string
		cert     *x509.Certificate
		name     string
		say      string
	}{
		{"{cn}", full, "pump-1", ""},
		{"fixed", full, "fixed", ""},
		{"{o}-{cn}", full, "acme-pump-1", ""},
		{"{san.dns}", full, "pump-1.example.org", ""},
		{"{san.email}", full, "pump@example.org", ""},
		{"{san.uri.last}", full, "pump-9", ""},
		{"{san.uri}", full, "", "allowed are letters"},
		{"{ou}", full, "", "2 values of {ou}"},
		{"{cn}", &x509.Certificate{}, "", "0 values of {cn}"},
		{"x{cn}", &x509.Certificate{}, "", "0 values of {cn}"},
		{"{cn}", &x509.Certificate{Subject: pkix.Name{CommonName: "a/b"}}, "", "allowed are letters"},
		{"{cn}", &x509.Certificate{Subject: pkix.Name{CommonName: ".."}}, "", "only dots"},
		{"{cn}", &x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("x", 129)}}, "", "129 bytes"},
		{"{san.uri.last}", &x509.Certificate{URIs: []*url.URL{uri("spiffe://example.org/a%2f..")}}, "", "allowed are letters"},
	} {
		tmpl, err := auth.ParseCertTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		name, err := tmpl.Name("device", c.cert)
		if name != c.name || (err == nil) != (c.say == "") || (err != nil && !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: %q, %v, want %q, %q", c.template, name, err, c.name, c.say)
		}
	}
	for _, text := range []string{"", "{", "{cn", "{serial}", "{CN}", "a{}b"} {
		if _, err := auth.ParseCertTemplate(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
