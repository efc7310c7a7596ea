package auth

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A CertTemplate makes a name of a certificate: text, with fields of it in braces.
// Immutable.
type CertTemplate struct {
	pieces []string // text and field in turns
	prefix string   // of the URIs that count
}

// certFields are the values that a certificate has of a field.
var certFields = map[string]func(*x509.Certificate) []string{
	"cn":        commonNames,
	"o":         func(c *x509.Certificate) []string { return c.Subject.Organization },
	"ou":        func(c *x509.Certificate) []string { return c.Subject.OrganizationalUnit },
	"san.dns":   func(c *x509.Certificate) []string { return c.DNSNames },
	"san.email": func(c *x509.Certificate) []string { return c.EmailAddresses },
}

// uriFields are what there is of each of its URIs.
var uriFields = map[string]func(*url.URL) string{
	"san.uri": (*url.URL).String,
	// The last segment of the path, as a device of spiffe://example.org/device/NAME is called.
	"san.uri.last": func(u *url.URL) string {
		path := u.EscapedPath()
		return path[strings.LastIndexByte(path, '/')+1:]
	},
}

// CheckURIPrefix says what is wrong with the beginning of URIs: without a / at its end,
// spiffe://example.org would let spiffe://example.org.evil in.
func CheckURIPrefix(prefix string) error {
	u, err := url.Parse(prefix)
	if err != nil || u.Scheme == "" || u.Host == "" || u.RawQuery != "" || !strings.HasSuffix(prefix, "/") || u.String() != prefix {
		return fmt.Errorf("%q: give SCHEME://HOST/ or SCHEME://HOST/PATH/, as in spiffe://example.org/device/", prefix)
	}
	return nil
}

// counts says whether u begins as it has to, and stays below that.
func (t *CertTemplate) counts(u *url.URL) bool {
	return t.prefix == "" || (strings.HasPrefix(u.String(), t.prefix) && !slices.Contains(strings.Split(u.Path, "/"), ".."))
}

// values are those that cert has of a field.
func (t *CertTemplate) values(field string, cert *x509.Certificate) (all []string) {
	of, isURI := uriFields[field]
	if !isURI {
		return certFields[field](cert)
	}
	for _, u := range cert.URIs {
		if t.counts(u) {
			all = append(all, of(u))
		}
	}
	return all
}

// oidCommonName is the type of a common name. [RFC5280 A.1]
var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// commonNames are all of them: Subject.CommonName is the last, whatever stands before it.
func commonNames(c *x509.Certificate) (all []string) {
	if c.Subject.CommonName != "" {
		all = append(all, c.Subject.CommonName)
	}
	for _, a := range c.Subject.Names {
		if a.Type.Equal(oidCommonName) {
			name, _ := a.Value.(string) // what is no text is no name
			all = append(all, name)
		}
	}
	return all
}

// ParseCertTemplate reads a template. Its error says which fields there are. With a prefix
// (CheckURIPrefix) URIs that do not begin with it are as if they were not there.
func ParseCertTemplate(text, prefix string) (*CertTemplate, error) {
	t := &CertTemplate{prefix: prefix}
	for rest := text; ; {
		before, behind, braced := strings.Cut(rest, "{")
		t.pieces = append(t.pieces, before)
		if !braced {
			break
		}
		if before == "" && len(t.pieces) > 1 {
			return nil, fmt.Errorf("%q: two fields stand side by side: put text between them, or where one ends would be the certificate's own choice", text)
		}
		field, after, closed := strings.Cut(behind, "}")
		_, known := certFields[field]
		if _, isURI := uriFields[field]; (!known && !isURI) || !closed {
			return nil, fmt.Errorf("%q: {%s} is no field of a certificate: give text with {cn}, {o}, {ou}, {san.dns}, {san.email}, {san.uri} or {san.uri.last}", text, field)
		}
		t.pieces = append(t.pieces, field)
		rest = after
	}
	if len(t.pieces) == 1 && text == "" {
		return nil, errors.New("the template is empty: give text with fields such as {cn}")
	}
	return t, nil
}

// Name is what the template makes of cert, checked as names of kind are. A field that
// the certificate does not have, or has several times, makes no name: which of them is
// meant would be the certificate's own choice. So does a field before another one, where
// the text between them is in it already: {o}-{cn} of "a-b" and "c" would be that of "a" and
// "b-c".
func (t *CertTemplate) Name(kind string, cert *x509.Certificate) (string, error) {
	var b strings.Builder
	for i, piece := range t.pieces {
		if i%2 == 0 {
			b.WriteString(piece)
			continue
		}
		values := slices.Compact(slices.Sorted(slices.Values(t.values(piece, cert))))
		if len(values) != 1 {
			return "", fmt.Errorf("the certificate has %d values of {%s}, want one", len(values), piece)
		}
		if i+2 < len(t.pieces) && strings.Index(values[0]+t.pieces[i+1], t.pieces[i+1]) < len(values[0]) {
			return "", fmt.Errorf("{%s} has the text %q in it, which in the template ends it", piece, t.pieces[i+1])
		}
		b.WriteString(values[0])
	}
	if err := CheckName(kind, b.String()); err != nil {
		return "", err
	}
	return b.String(), nil
}
