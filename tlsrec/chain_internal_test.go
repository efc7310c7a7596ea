package tlsrec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// A link is a certificate and its key.
type link struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// under makes a certificate that l signs.
func (l link) under(t *testing.T, name string, isCA bool, curve elliptic.Curve) link {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: isCA, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if isCA {
		tmpl.KeyUsage = x509.KeyUsageCertSign
	}
	if l.key == nil {
		l = link{tmpl, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, l.cert, &key.PublicKey, l.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return link{cert, key}
}

// Four certificates may lie between a device's and an authority, in any order, with others
// among them. More are refused unlooked at. Keys of those who are not believed check
// nothing: of what a stranger makes, called as the authority is, none is given to x509.
func TestAuthorities_Verify(t *testing.T) {
	root := link{}.under(t, "root", true, elliptic.P256())
	one := root.under(t, "one", true, elliptic.P256())
	two := one.under(t, "two", true, elliptic.P256())
	three := two.under(t, "three", true, elliptic.P256())
	four := three.under(t, "four", true, elliptic.P256())
	deep := four.under(t, "d", false, elliptic.P256())
	flat := root.under(t, "d", false, elliptic.P256())
	notCA := root.under(t, "four", false, elliptic.P256())
	stranger := link{}.under(t, "root", true, elliptic.P521())
	other := stranger.under(t, "root", true, elliptic.P521())
	false1 := other.under(t, "root", true, elliptic.P521())
	theirs := false1.under(t, "d", false, elliptic.P521())
	a := trusting([]*x509.Certificate{root.cert})
	for name, c := range map[string]struct {
		certs    []link
		chain    int // its length, 0 for none
		believed int
	}{
		"no more than its own":         {[]link{flat}, 2, 0},
		"four in between":              {[]link{deep, four, three, two, one}, 6, 4},
		"in another order":             {[]link{deep, two, one, four, three}, 6, 4},
		"with the authority":           {[]link{flat, root}, 2, 1},
		"beside a stranger's":          {[]link{flat, stranger, other}, 2, 0},
		"one is missing":               {[]link{deep, four, three, one}, 0, 1},
		"signed by one that may not":   {[]link{notCA.under(t, "d", false, elliptic.P256()), notCA}, 0, 1},
		"a stranger's, with its chain": {[]link{theirs, false1, other, stranger, other}, 0, 0},
	} {
		certs := make([]*x509.Certificate, len(c.certs))
		for i := range c.certs {
			certs[i] = c.certs[i].cert
		}
		if got := a.believed(certs[1:]); len(got) != c.believed {
			t.Errorf("%s: %d are believed, want %d", name, len(got), c.believed)
		}
		chains, err := a.verify(certs)
		var refused *tls.CertificateVerificationError
		switch {
		case c.chain == 0 && !errors.As(err, &refused):
			t.Errorf("%s: %v", name, err)
		case c.chain > 0 && (err != nil || !slices.ContainsFunc(chains, func(all []*x509.Certificate) bool { return len(all) == c.chain })):
			t.Errorf("%s: %v, %v", name, chains, err)
		}
	}
	if _, err := a.verify([]*x509.Certificate{flat.cert, one.cert, two.cert, three.cert, four.cert, one.cert}); !errors.Is(err, errLongChain) {
		t.Errorf("six certificates: %v", err)
	}
}

// A client that sends many certificates is sent away, and counted.
func TestServer_LongChain(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	s, err := New(Config{CertFile: cert, KeyFile: key, ClientAuth: ClientAuthOptional, ClientCAFile: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]Outcome{chainMost: OutcomeFull, chainMost + 1: OutcomeTooLong} {
		pair := ca.Pair("d", nil)
		for len(pair.Certificate) < n {
			pair.Certificate = append(pair.Certificate, ca.Cert.Raw)
		}
		before := s.Outcomes()[want]
		_, _ = handshake(s, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}}, "")
		if got := s.Outcomes()[want] - before; got != 1 {
			t.Errorf("%d certificates: outcomes %v, want one of %s", n, s.Outcomes(), want)
		}
	}
}

// At a door one protocol is spoken. A client that names others alone is refused, one that names none is
// taken at its word. [RFC7301 3.2]
func TestServer_OneProtocolADoor(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	s, err := New(Config{CertFile: cert, KeyFile: key, Protocols: []string{"http/1.1", "mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Rotate(time.Now().Add(2 * ticketEvery)) // of all doors
	for _, c := range []struct {
		door    string
		offered []string
		agreed  string
		in      bool
	}{
		{"mqtt", []string{"mqtt"}, "mqtt", true},
		{"mqtt", []string{"http/1.1", "mqtt"}, "mqtt", true},
		{"mqtt", []string{"http/1.1"}, "", false},
		{"mqtt", []string{"h2"}, "", false},
		{"mqtt", nil, "", true},
		{"http/1.1", []string{"h2", "http/1.1"}, "http/1.1", true},
		{"http/1.1", []string{"mqtt"}, "", false},
		{"http/1.1", nil, "", true},
	} {
		before := s.Outcomes()[OutcomeALPN]
		st, err := handshake(s, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", NextProtos: c.offered}, c.door)
		if counted := s.Outcomes()[OutcomeALPN] - before; (counted == 1) == c.in {
			t.Errorf("%v at the door of %s: counted %d times as such", c.offered, c.door, counted)
		}
		if (err == nil) != c.in || st.NegotiatedProtocol != c.agreed {
			t.Errorf("%v at the door of %s: agreed on %q, %v", c.offered, c.door, st.NegotiatedProtocol, err)
		}
	}
}

// handshake makes one, in memory.
func handshake(s *Server, cfg *tls.Config, door string) (tls.ConnectionState, error) {
	n, p := s.NewSession(door), &pipe{}
	conn := tls.Client(p, cfg)
	pass := func() {
		for size := Cut(p.out); size > 0; size = Cut(p.out) {
			record := slices.Clone(p.out[:size])
			p.out = p.out[size:]
			n.Advance(record)
		}
		p.in = append(p.in, n.Reply()...)
	}
	p.more = func() bool {
		pass()
		return len(p.in) > 0
	}
	err := conn.Handshake()
	pass()
	_, ours := n.Done()
	n.Close()
	return conn.ConnectionState(), errors.Join(err, ours)
}
