package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
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
		tmpl, err := auth.ParseCertTemplate(c.template, "")
		if err != nil {
			t.Fatal(err)
		}
		name, err := tmpl.Name("device", c.cert)
		if name != c.name || (err == nil) != (c.say == "") || (err != nil && !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: %q, %v, want %q, %q", c.template, name, err, c.name, c.say)
		}
	}
	for _, text := range []string{"", "{", "{cn", "{serial}", "{CN}", "a{}b", "{o}{cn}", "x{o}{cn}"} {
		if _, err := auth.ParseCertTemplate(text, ""); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// No two certificates with other fields stand for one name, where the template has a text
// between the fields: who may choose one of them would else be another's device.
func TestCertTemplate_NoNameTwice(t *testing.T) {
	values := []string{"a", "a-", "-a", "a-b", "a--b", "-", "--", "b", "-a-"}
	for _, text := range []string{"{o}-{cn}", "x{o}--{cn}", "{o}a{cn}a"} {
		tmpl, err := auth.ParseCertTemplate(text, "")
		if err != nil {
			t.Fatal(err)
		}
		whose := map[string]string{}
		for _, o := range values {
			for _, cn := range values {
				name, err := tmpl.Name("device", &x509.Certificate{Subject: pkix.Name{CommonName: cn, Organization: []string{o}}})
				if err != nil {
					if !strings.Contains(err.Error(), "in the template ends it") {
						t.Error(err)
					}
					continue
				}
				me := o + " and " + cn
				if other, taken := whose[name]; taken {
					t.Errorf("%s: %s is the name of %s, and of %s", text, name, other, me)
				}
				whose[name] = me
			}
		}
		if len(whose) < len(values) {
			t.Errorf("%s: only %d names", text, len(whose))
		}
	}
}

// A certificate with two common names stands for neither, wherever they are: Go knows the
// last alone, and who signs it may have looked at the first.
func TestCertTemplate_TwoCommonNames(t *testing.T) {
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	named := func(names ...string) *x509.Certificate {
		var subject pkix.Name
		for _, name := range names {
			subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: cn, Value: name})
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	tmpl, err := auth.ParseCertTemplate("{cn}", "")
	if err != nil {
		t.Fatal(err)
	}
	if name, err := tmpl.Name("device", named("pump-1")); name != "pump-1" || err != nil {
		t.Errorf("one: %q, %v", name, err)
	}
	if name, err := tmpl.Name("device", named("pump-1", "pump-2")); err == nil || !strings.Contains(err.Error(), "2 values of {cn}") {
		t.Errorf("two: %q, %v", name, err)
	}
}

// With a prefix a device is who a URI of that trust domain says, whatever other URIs its
// certificate has, and nobody by those alone.
func TestCertTemplate_URIPrefix(t *testing.T) {
	tmpl, err := auth.ParseCertTemplate("{san.uri.last}", "spiffe://example.org/device/")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uris []string
		name string
	}{
		{[]string{"spiffe://example.org/device/pump-1"}, "pump-1"},
		{[]string{"spiffe://example.org/device/hall/pump-1"}, "pump-1"},
		{[]string{"https://elsewhere/pump-2", "spiffe://example.org/device/pump-1"}, "pump-1"},
		{[]string{"spiffe://example.org/device/pump-1", "spiffe://example.org/device/pump-2"}, ""},
		{[]string{"spiffe://elsewhere/device/pump-1"}, ""},
		{[]string{"spiffe://example.org/operator/pump-1"}, ""},
		{[]string{"spiffe://example.org.evil/device/pump-1"}, ""},
		{[]string{"spiffe://example.org@evil/device/pump-1"}, ""},
		{[]string{"https://example.org/device/pump-1"}, ""},
		{[]string{"spiffe://example.org/device/../operator/pump-1"}, ""},
		{[]string{"spiffe://example.org/device/%2e%2e/operator/pump-1"}, ""},
		{[]string{"spiffe://example.org/device/"}, ""},
		{nil, ""},
	} {
		cert := &x509.Certificate{}
		for _, text := range c.uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		if name, err := tmpl.Name("device", cert); name != c.name || (err == nil) != (c.name != "") {
			t.Errorf("%s: %q, %v, want %q", c.uris, name, err, c.name)
		}
	}
	for _, bad := range []string{"", "/", "spiffe://example.org", "spiffe:///x/", "example.org/", "spiffe://example.org/a", "spiffe://example.org/?a/", "spiffe://example.org/a b/"} {
		if auth.CheckURIPrefix(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if err := auth.CheckURIPrefix("spiffe://example.org/"); err != nil {
		t.Error(err)
	}
}
