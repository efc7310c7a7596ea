package tlsrec_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// mutual is who a certificate stands for in these tests.
func mutual(ca *testkit.Authority, auth tlsrec.ClientAuth, crls ...string) func(*tlsrec.Config) {
	return func(c *tlsrec.Config) {
		c.ClientAuth, c.ClientCAFile, c.CRLFiles = auth, ca.File, crls
		c.Identify = func(cert *x509.Certificate) (tlsrec.Identity, error) {
			if cert.Subject.CommonName == "nobody" {
				return tlsrec.Identity{}, fmt.Errorf("%w: nobody", tlsrec.ErrIdentity)
			}
			return tlsrec.Identity{Tenant: "t", Device: cert.Subject.CommonName}, nil
		}
	}
}

// A client without a certificate that is good here does not get in, in each version, and why is
// counted.
func TestServer_ClientCertificates(t *testing.T) {
	ca, other := testkit.NewAuthority(t), testkit.NewAuthority(t)
	good, bad := ca.Pair("good", nil), ca.Pair("taken-back", nil)
	old, err := tls.LoadX509KeyPair(ca.Expired("old"))
	if err != nil {
		t.Fatal(err)
	}
	serverOnly := ca.Pair("a-server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	crl := ca.Revoke("list", time.Now().Add(time.Hour), bad.Leaf)
	for _, c := range []struct {
		name    string
		auth    tlsrec.ClientAuth
		certs   []tls.Certificate
		outcome tlsrec.Outcome
		device  string
	}{
		{"none wanted, none given", tlsrec.ClientAuthNone, nil, tlsrec.OutcomeFull, ""},
		{"optional, none given", tlsrec.ClientAuthOptional, nil, tlsrec.OutcomeFull, ""},
		{"optional, given", tlsrec.ClientAuthOptional, []tls.Certificate{good}, tlsrec.OutcomeFull, "good"},
		{"required, none given", tlsrec.ClientAuthRequired, nil, tlsrec.OutcomeCert, ""},
		{"required, given", tlsrec.ClientAuthRequired, []tls.Certificate{good}, tlsrec.OutcomeFull, "good"},
		{"of another authority", tlsrec.ClientAuthOptional, []tls.Certificate{other.Pair("good", nil)}, tlsrec.OutcomeCert, ""},
		{"expired", tlsrec.ClientAuthOptional, []tls.Certificate{old}, tlsrec.OutcomeCert, ""},
		{"of a server", tlsrec.ClientAuthOptional, []tls.Certificate{serverOnly}, tlsrec.OutcomeCert, ""},
		{"of nobody", tlsrec.ClientAuthOptional, []tls.Certificate{ca.Pair("nobody", nil)}, tlsrec.OutcomeCert, ""},
		{"revoked", tlsrec.ClientAuthRequired, []tls.Certificate{bad}, tlsrec.OutcomeRevoked, ""},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprintf("%s, %x", c.name, version), func(t *testing.T) {
				s := server(t, ca, mutual(ca, c.auth, crl))
				given := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // whoever asks for whom
					if len(c.certs) == 0 {
						return &tls.Certificate{}, nil
					}
					return &c.certs[0], nil
				}
				conn, f := dial(t, s, &tls.Config{RootCAs: ca.Pool(), GetClientCertificate: given, MinVersion: version, MaxVersion: version})
				if c.outcome == tlsrec.OutcomeFull {
					echo(t, conn, "hello")
					conn.Close()
				} else if err := errors.Join(conn.Handshake(), read(conn)); err == nil {
					t.Error("it is in")
				}
				f.ended <- testkit.Receive(t, patience, "the end", f.ended)
				if got := s.Outcomes()[c.outcome]; got != 1 {
					t.Errorf("outcomes %v, want one of %s", s.Outcomes(), c.outcome)
				}
				device := ""
				if p := f.session.Peer(); p != nil {
					device = p.Device
				}
				if device != c.device {
					t.Errorf("the device is %q", device)
				}
			})
		}
	}
}

func read(c *tls.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

// resuming is a client that keeps its tickets.
func resuming(ca *testkit.Authority, certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), Certificates: certs, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

// visit makes one connection, and says whether it was resumed.
func visit(t *testing.T, s *tlsrec.Server, cfg *tls.Config) (resumed bool, err error) {
	t.Helper()
	conn, _ := dial(t, s, cfg)
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		return false, err
	}
	if err := read(conn); err != nil { // and the ticket
		return false, err
	}
	return conn.ConnectionState().DidResume, nil
}

func wantVisit(t *testing.T, s *tlsrec.Server, cfg *tls.Config, resumed bool) {
	t.Helper()
	if got, err := visit(t, s, cfg); err != nil || got != resumed {
		t.Errorf("resumed: %v, want %v; %v", got, resumed, err)
	}
}

// Tickets are good for as long as keys are, and are counted; nodes may share keys.
func TestServer_Tickets(t *testing.T) {
	ca := testkit.NewAuthority(t)
	s := server(t, ca, nil)
	cfg := resuming(ca)
	wantVisit(t, s, cfg, false)
	wantVisit(t, s, cfg, true)
	kept := resuming(ca)
	wantVisit(t, s, kept, false)
	now := time.Now()
	for i := 1; i <= 2; i++ {
		s.Rotate(now.Add(time.Duration(i) * 13 * time.Hour))
		s.Rotate(now.Add(time.Duration(i)*13*time.Hour + time.Minute)) // not due
	}
	wantVisit(t, s, cfg, true) // by an old key, and a new ticket comes
	s.Rotate(now.Add(39 * time.Hour))
	wantVisit(t, s, cfg, true)
	wantVisit(t, s, kept, false) // its key is gone
	if got := s.Outcomes(); got[tlsrec.OutcomeResumed] != 3 || got[tlsrec.OutcomeFull] != 3 {
		t.Errorf("outcomes %v", got)
	}
	use, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	use()
	wantVisit(t, s, cfg, true) // a reload keeps the keys

	file := filepath.Join(t.TempDir(), "tickets")
	put(t, file, "# shared\n"+tlsrec.WriteTicketKey()+tlsrec.WriteTicketKey())
	shared := func(c *tlsrec.Config) { c.TicketFile = file }
	one, two := server(t, ca, shared), server(t, ca, shared)
	cfg = resuming(ca)
	wantVisit(t, one, cfg, false)
	wantVisit(t, two, cfg, true)
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A new certificate is for those who come from then on; a broken one changes nothing, and
// is named. A revoked one stays out with a ticket, too.
func TestServer_Reload(t *testing.T) {
	ca := testkit.NewAuthority(t)
	device := ca.Pair("device", nil)
	crl := ca.Revoke("list", time.Now().Add(time.Hour))
	s := server(t, ca, mutual(ca, tlsrec.ClientAuthRequired, crl))
	until := s.Terms()[0].Until
	before := resuming(ca, device)
	stays, _ := dial(t, s, before)
	echo(t, stays, "before")
	stamp := s.Stamp()

	var cert string
	testkit.Eventually(t, patience, "somebody to see that the files have changed", func() bool { // the clock of the files may stand for some milliseconds
		cert, _ = ca.Issue("node", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Hour) })
		return s.Stamp() != stamp
	})
	use, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Terms()[0].Until; !got.Equal(until) {
		t.Error("it is in force too early")
	}
	use()
	if got := s.Terms()[0].Until; got.Equal(until) {
		t.Error("it is not in force")
	}
	echo(t, stays, "after")
	wantVisit(t, s, before, true)

	stamp = s.Stamp()
	if err := os.Chmod(cert, 0o640); err != nil {
		t.Fatal(err)
	}
	if s.Stamp() == stamp {
		t.Error("nobody sees that a file may be read by others now")
	}

	put(t, cert, "not a certificate")
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("of a broken file: %v", err)
	}
	wantVisit(t, s, before, true)
	ca.Issue("node", nil)

	ca.Revoke("list", time.Now().Add(time.Hour), device.Leaf)
	if use, err = s.Load(); err != nil {
		t.Fatal(err)
	}
	use()
	if _, err := visit(t, s, before); err == nil {
		t.Error("who is revoked came in with a ticket")
	}
	if got := s.Outcomes()[tlsrec.OutcomeRevoked]; got != 1 {
		t.Errorf("%d revoked", got)
	}
	echo(t, stays, "who is in stays in")
	if got := s.ListsUntil(); time.Until(got) > time.Hour || time.Until(got) < 50*time.Minute {
		t.Errorf("the list is good until %s", got)
	}
}

// What is wrong with a file is said with its name, and nothing of what is in it.
func TestServer_WrongFiles(t *testing.T) {
	ca, other := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	_, otherKey := ca.Issue("other", nil)
	dir := t.TempDir()
	file := func(name, text string) string {
		put(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	open := func(name string) string {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	_, openKey := ca.Issue("open", nil)
	const secret = "c2VjcmV0LXNlY3JldA=="
	for say, change := range map[string]func(*tlsrec.Config){
		"/no/such.crt: no such file":   func(c *tlsrec.Config) { c.CertFile = "/no/such.crt" },
		"do not go together":           func(c *tlsrec.Config) { c.KeyFile = otherKey },
		"empty.key do not go together": func(c *tlsrec.Config) { c.KeyFile = file("empty.key", secret) },
		"is a directory":               func(c *tlsrec.Config) { c.KeyFile = dir },
		"open.key: it has mode 0644":   func(c *tlsrec.Config) { c.KeyFile = open(openKey) },
		"run \"chmod 0640":             func(c *tlsrec.Config) { c.TicketFile = open(file("open", tlsrec.WriteTicketKey())) },
		"ca.txt: no certificate in it": func(c *tlsrec.Config) {
			mutual(ca, tlsrec.ClientAuthOptional)(c)
			c.ClientCAFile = file("ca.txt", "hello")
		},
		"none of the client authorities": func(c *tlsrec.Config) {
			mutual(ca, tlsrec.ClientAuthOptional, other.Revoke("x", time.Now().Add(time.Hour)))(c)
		},
		"crl.txt: no list":   mutual(ca, tlsrec.ClientAuthOptional, file("crl.txt", "hello")),
		"der.crl: ":          mutual(ca, tlsrec.ClientAuthOptional, file("der.crl", "0hello")),
		"tickets: line 1: g": func(c *tlsrec.Config) { c.TicketFile = file("tickets", secret) },
		"none: give 1 to 16": func(c *tlsrec.Config) { c.TicketFile = file("none", "# none") },
	} {
		cfg := tlsrec.Config{CertFile: cert, KeyFile: key}
		change(&cfg)
		if _, err := tlsrec.New(cfg); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", say, err)
		}
	}
	der, _ := pem.Decode([]byte(contents(t, ca.Revoke("list", time.Now().Add(time.Hour)))))
	cfg := tlsrec.Config{CertFile: cert, KeyFile: key}
	mutual(ca, tlsrec.ClientAuthOptional, file("list.der", string(der.Bytes)))(&cfg)
	if _, err := tlsrec.New(cfg); err != nil {
		t.Errorf("a list in DER: %v", err)
	}
}

// A bundle whose second half is missing, as on a full disk, is broken: it is not taken for
// the first half, which would let in who is revoked by the second. Neither is a list that
// speaks of the certificates of other authorities.
func TestServer_HalfABundle(t *testing.T) {
	ca, other := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	dir := t.TempDir()
	both := func(name, one, two string) string {
		file := filepath.Join(dir, name)
		put(t, file, contents(t, one)+contents(t, two))
		return file
	}
	cfg := tlsrec.Config{CertFile: cert, KeyFile: key}
	until := time.Now().Add(time.Hour)
	cas, crls := both("cas", ca.File, other.File), both("crls", ca.Revoke("a", until), other.Revoke("b", until, other.Cert))
	mutual(ca, tlsrec.ClientAuthRequired, crls)(&cfg)
	cfg.ClientCAFile = cas
	s, err := tlsrec.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{cas, crls} {
		whole := contents(t, file)
		for say, text := range map[string]string{
			"cut":     whole[:len(whole)-100],
			"garbled": whole[:len(whole)-100] + "!" + whole[len(whole)-99:],
		} {
			put(t, file, text)
			if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), file+": a block of it") {
				t.Errorf("%s, %s: %v", file, say, err)
			}
		}
		put(t, file, whole)
	}
	if _, err := s.Load(); err != nil {
		t.Error(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: until, RevokedCertificateEntries: []x509.RevocationListEntry{{
		SerialNumber: big.NewInt(7), RevocationTime: time.Now(),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: other.Cert.RawSubject}},
	}}}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Cert, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, crls, string(der))
	if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), "an indirect list") {
		t.Errorf("of other authorities: %v", err)
	}
}

func contents(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
