package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// An Authority signs certificates for tests.
type Authority struct {
	// File is its own certificate, in PEM.
	File string
	// Cert and Key are what it signs with.
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey

	t   testing.TB
	dir string
}

var serial atomic.Int64

// NewAuthority makes an authority whose files lie in a directory of the test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	tmpl := template("edgeloop test authority")
	tmpl.IsCA, tmpl.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	a.Key = a.newKey()
	a.Cert, a.File = a.write("ca", tmpl, tmpl, &a.Key.PublicKey, a.Key)
	return a
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// Issue makes a certificate for 127.0.0.1 and its key, as PEM files called after name;
// change may be nil.
func (a *Authority) Issue(name string, change func(*x509.Certificate)) (certFile, keyFile string) {
	a.t.Helper()
	tmpl := template(name)
	tmpl.IPAddresses, tmpl.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, []string{"localhost"}
	if change != nil {
		change(tmpl)
	}
	key := a.newKey()
	_, certFile = a.write(name, tmpl, a.Cert, &key.PublicKey, a.Key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return certFile, a.file(name+".key", "PRIVATE KEY", der)
}

// Expired is Issue for a certificate that was good until yesterday.
func (a *Authority) Expired(name string) (certFile, keyFile string) {
	return a.Issue(name, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.Add(-48*time.Hour), c.NotBefore.Add(-24*time.Hour)
	})
}

// Pair is a certificate that Issue made.
func (a *Authority) Pair(name string, change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.Issue(name, change))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// Revoke makes a list of certificates that this authority takes back, in PEM.
func (a *Authority) Revoke(name string, until time.Time, certs ...*x509.Certificate) (crlFile string) {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(serial.Add(1)), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: list.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.file(name+".crl", "X509 CRL", der)
}

// Pool is who trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

func (a *Authority) write(name string, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, string) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, a.file(name+".crt", "CERTIFICATE", der)
}

func (a *Authority) file(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}
