package tlsrec

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// named issues a certificate for hosts.
func named(ca *testkit.Authority, file string, hosts ...string) Pair {
	cert, key := ca.Issue(file, func(c *x509.Certificate) { c.DNSNames = hosts })
	return Pair{cert, key}
}

// expired is named for one that was good until yesterday.
func expired(ca *testkit.Authority, file string, hosts ...string) Pair {
	cert, key := ca.Issue(file, func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = hosts, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	return Pair{cert, key}
}

// edwards is named with a key of Ed25519, which not all devices can check.
func edwards(t *testing.T, ca *testkit.Authority, file string, hosts ...string) Pair {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := *ca.Pair("template", func(c *x509.Certificate) { c.DNSNames = hosts }).Leaf
	cert, err := x509.CreateCertificate(rand.Reader, &tmpl, ca.Cert, public, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return Pair{put(file+".crt", "CERTIFICATE", cert), put(file+".key", "PRIVATE KEY", key)}
}

// The certificate with the very name comes before one for its domain, and that before the
// first; what the device cannot check, or what has expired, gives way to what is better.
// [RFC6066 3] [RFC9525 6.3]
func TestPairs_Choose(t *testing.T) {
	ca := testkit.NewAuthority(t)
	p, err := loadPairs([]Pair{
		named(ca, "first", "first.example"),
		named(ca, "domain", "*.example.org", "example.org"),
		named(ca, "exact", "a.example.org"),
		edwards(t, ca, "edwards", "ed.example.org", "both.example"),
		named(ca, "p256", "both.example"),
		expired(ca, "old", "old.example.org", "gone.example"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.twice) > 0 {
		t.Errorf("it warns: %s", p.twice)
	}
	p256 := []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}
	both := append([]tls.SignatureScheme{tls.Ed25519}, p256...)
	for _, c := range []struct {
		name, want string
		checks     []tls.SignatureScheme
	}{
		{"", "first", both},
		{"first.example", "first", both},
		{"stranger.example", "first", both},
		{"a.example.org", "exact", both},
		{"A.Example.ORG", "exact", both},
		{"b.example.org", "domain", both},
		{"example.org", "domain", both},
		{"a.b.example.org", "first", both},
		{"*.example.org", "domain", both},
		{"org", "first", both},
		{"ed.example.org", "edwards", both},
		{"ed.example.org", "domain", p256},
		{"both.example", "edwards", both},
		{"both.example", "p256", p256},
		{"old.example.org", "domain", both},
		{"gone.example", "old", both},
		{"", "edwards", []tls.SignatureScheme{tls.Ed25519}},
		{"a.example.org", "edwards", []tls.SignatureScheme{tls.Ed25519}},
		{"a.example.org", "first", []tls.SignatureScheme{tls.PSSWithSHA256}}, // none at all: crypto/tls says so
	} {
		pair, err := p.choose(&tls.ClientHelloInfo{ServerName: c.name, SignatureSchemes: c.checks, SupportedVersions: []uint16{tls.VersionTLS13}})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range p.all {
			if pair == &p.all[i] {
				got = strings.TrimSuffix(filepath.Base(p.terms[i].CertFile), ".crt")
			}
		}
		if got != c.want {
			t.Errorf("%q, %v: it gets %s, want %s", c.name, c.checks, got, c.want)
		}
	}
}

// A name that only one of two certificates is served for is said, and one that is never
// served is refused.
func TestPairs_Useless(t *testing.T) {
	ca := testkit.NewAuthority(t)
	one, two := named(ca, "one", "a.example", "b.example", "B.example"), named(ca, "two", "c.example", "B.Example")
	p, err := loadPairs([]Pair{one, two})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.twice) != 1 || !strings.Contains(p.twice[0], "b.example is a name in "+one.CertFile+" and in "+two.CertFile) {
		t.Errorf("it says %q", p.twice)
	}
	nameless := named(ca, "nameless")
	if _, err := loadPairs([]Pair{nameless, one}); err != nil {
		t.Errorf("the first needs no name: %v", err)
	}
	if _, err := loadPairs([]Pair{one, nameless}); err == nil || !strings.Contains(err.Error(), nameless.CertFile+": it is not the first one and names no host") {
		t.Errorf("one without a name: %v", err)
	}
	if _, err := loadPairs(make([]Pair, MaxPairs+1)); err == nil || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("too many: %v", err)
	}
}

// All certificates change together, or none: a broken one leaves those before in force.
func TestServer_ReloadsAllPairsOrNone(t *testing.T) {
	ca := testkit.NewAuthority(t)
	one, two := named(ca, "one", "one.example"), named(ca, "two", "two.example")
	s, err := New(Config{CertFile: one.CertFile, KeyFile: one.KeyFile, More: []Pair{two}})
	if err != nil {
		t.Fatal(err)
	}
	before := s.Terms()
	stamp := s.Stamp()
	later := func(c *x509.Certificate) { c.DNSNames, c.NotAfter = []string{"new.example"}, c.NotAfter.Add(time.Hour) }
	testkit.Eventually(t, time.Minute, "somebody to see that the first has changed", func() bool { // the clock of the files may stand for some milliseconds
		ca.Issue("one", later)
		return s.Stamp() != stamp
	})
	stamp = s.Stamp()
	if err := os.WriteFile(two.CertFile, []byte("oh no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Stamp() == stamp {
		t.Error("nobody sees that the second has changed")
	}
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), two.CertFile) {
		t.Errorf("of a broken file: %v", err)
	}
	if got := s.Terms(); &got[0] != &before[0] {
		t.Error("the first is in force")
	}
	ca.Issue("two", later)
	use, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	use()
	if got := s.Terms(); len(got) != 2 || got[1].CertFile != two.CertFile || !got[0].Until.After(before[0].Until) || !got[1].Until.After(before[1].Until) {
		t.Errorf("they are not both in force: %v, before %v", got, before)
	}
	if got := s.Twice(); len(got) != 1 {
		t.Errorf("of new.example in both it says %q", got)
	}
}
