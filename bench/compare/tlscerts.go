package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certs are the files of an authority, a server at 127.0.0.1 and a device, all of P-256.
type certs struct {
	ca, cert, key, both   string // both: certificate and key in one file, as HAProxy wants it
	deviceCert, deviceKey string
}

// makeCerts writes them into dir.
func makeCerts(dir string) (c certs, err error) {
	caKey, caDER, err := issue(template("authority", 1), nil, nil)
	if err != nil {
		return c, err
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return c, err
	}
	at := func(name string, blocks ...*pem.Block) string {
		var text []byte
		for _, b := range blocks {
			text = append(text, pem.EncodeToMemory(b)...)
		}
		path := filepath.Join(dir, name)
		if failed := os.WriteFile(path, text, 0o600); failed != nil {
			err = failed
		}
		return path
	}
	pair := func(name string, serial int64) (cert, key *pem.Block) {
		k, der, failed := issue(template(name, serial), ca, caKey)
		if failed != nil {
			err = failed
			return nil, nil
		}
		keyDER, failed := x509.MarshalPKCS8PrivateKey(k)
		if failed != nil {
			err = failed
		}
		return &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}
	}
	cert, key := pair("server", 2)
	deviceCert, deviceKey := pair("device", 3)
	if err != nil {
		return c, err
	}
	c = certs{
		ca: at("ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: caDER}), cert: at("cert.pem", cert), key: at("key.pem", key),
		both: at("both.pem", cert, key), deviceCert: at("device.pem", deviceCert), deviceKey: at("device.key", deviceKey),
	}
	return c, err
}

func template(name string, serial int64) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		BasicConstraintsValid: true, IsCA: name == "authority", KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// issue makes a key and its certificate, signed by parent, or by itself.
func issue(t, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, signer = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	return key, der, err
}
