package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var records = flag.String("conformance.tls", "", "own or std: all dialogues over TLS 1.3, with such records")

// trust is what clients know of the nodes' certificate; nil without TLS.
var trust *tls.Config

// programEnv names the program, for who has built it already.
const programEnv = "EDGELOOP_CONFORMANCE_PROGRAM"

// secured makes a certificate in dir, and says with which flags nodes serve it.
func secured(dir string) (args []string, err error) {
	if *records == "" {
		return nil, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	trust = &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return []string{"--tls-cert=" + certFile, "--tls-key=" + keyFile, "--tls-records=" + *records}, errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// overTLS is a connection as the nodes want it.
func overTLS(conn net.Conn) (net.Conn, error) {
	if trust == nil {
		return conn, nil
	}
	s := tls.Client(conn, trust)
	if err := s.SetDeadline(time.Now().Add(patience())); err != nil {
		return nil, err
	}
	return s, s.Handshake()
}

// What does not take long of it over TLS, by either kind of records; -conformance.tls has all.
func TestOverTLS(t *testing.T) {
	if *records != "" {
		return // it is what runs now
	}
	for kind, sections := range map[string]string{"own": "^TestSection(1|2|3|5|14|20)_", "std": "^TestSection(1|2|5)_"} {
		t.Run(kind, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run="+sections, "-conformance.tls="+kind)
			cmd.Env = append(os.Environ(), programEnv+"="+program)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
