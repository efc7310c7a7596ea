package tricks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Doors are the ways into a node, as host:port, and what its attackers know of it. An attacker
// has good tokens of devices of his own: the worst strangers are those who were let in.
type Doors struct {
	WS, WSS, MQTT, MQTTS, Admin, GRPC, Health string

	Secret    string // of the tokens
	PublicKey string // PEM, as it stands in the node's file
	Reader    string // admin token: reads everything, changes nothing
	Bound     string // admin token: everything, of the tenant other alone
	Dir       string // certificates: see below
}

// Files in Dir.
const (
	nodeFile   = "node"   // the node's certificate
	deviceFile = "device" // a device's, by the authority of devices
	forgedFile = "forged" // the same by an authority that only has the same name
	oldFile    = "old"    // a device's that is over
	caFile     = "ca"     // both authorities of the node
)

// Addresses is how many addresses Fit needs beside those of --listen and --admin-listen.
const Addresses = 5

// Fit makes keys, certificates and tokens below dir, and says with which flags a node opens all
// its doors. The first two of addrs are those of --listen and --admin-listen.
func Fit(dir string, addrs []string, records string) (*Doors, []string, error) {
	if len(addrs) != 2+Addresses {
		return nil, nil, errors.New("fault: the wrong number of addresses")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	d := &Doors{
		WS: addrs[0], Admin: addrs[1], WSS: addrs[2], MQTT: addrs[3], MQTTS: addrs[4], GRPC: addrs[5], Health: addrs[6],
		Secret: "the secret of a node that is attacked, " + rand.Text(), Reader: rand.Text(), Bound: rand.Text(), Dir: dir,
	}
	public, err := d.certify()
	if err != nil {
		return nil, nil, err
	}
	d.PublicKey = string(public)
	admins := fmt.Sprintf(`{"name":"reader","sha256":%q,"scopes":["read"]}`+"\n"+`{"name":"bound","sha256":%q,"scopes":["read","command","admin"],"tenant":%q}`+"\n",
		hash(d.Reader), hash(d.Bound), otherTenant)
	for name, text := range map[string]string{"secret": d.Secret, "public.pem": d.PublicKey, "admin.tokens": admins} {
		if err := os.WriteFile(d.file(name), []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	return d, []string{
		"--auth=jwt", "--secret-file=" + d.file("secret"), "--public-key-file=" + d.file("public.pem"), "--admin-tokens-file=" + d.file("admin.tokens"),
		"--tls-listen=" + d.WSS, "--mqtt-listen=" + d.MQTT, "--mqtt-tls-listen=" + d.MQTTS, "--tls-records=" + records,
		"--tls-cert=" + d.file(nodeFile+".crt"), "--tls-key=" + d.file(nodeFile+".key"),
		"--tls-client-ca=" + d.file(caFile+".crt"), "--tls-client-auth=optional",
		"--grpc-listen=" + d.GRPC, "--health-listen=" + d.Health, "--proxy-protocol=127.0.9.0/24,127.0.10.0/24", "--trusted-proxies=127.0.8.0/24,127.0.10.0/24",
		"--handshake-timeout=" + Patience.String(), "--compression", "--free-takeovers=1000000",
	}, nil
}

// otherTenant is the tenant of which Bound is the administrator. Innocent devices are not of it.
const otherTenant = "other"

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func (d *Doors) file(name string) string { return filepath.Join(d.Dir, name) }

// Token is a good one of a device.
func (d *Doors) Token(device string) string {
	return d.signed(fmt.Sprintf(`{"sub":%q,"tenant":"default","exp":%d}`, device, time.Now().Add(time.Hour).Unix()))
}

// signed has these claims signed with the secret.
func (d *Doors) signed(claims string) string {
	return signHS(`{"alg":"HS256","typ":"JWT"}`, claims, d.Secret)
}

// signHS is a JWT with a MAC.
func signHS(header, claims, secret string) string {
	text := encode(header) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// certify writes all certificates, and returns a public key of tokens.
func (d *Doors) certify() (public []byte, err error) {
	authority := func() (*x509.Certificate, *ecdsa.PrivateKey, error) {
		tmpl := template("edgeloop attacked authority")
		tmpl.IsCA, tmpl.KeyUsage = true, x509.KeyUsageCertSign
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		if err != nil {
			return nil, nil, err
		}
		cert, err := x509.ParseCertificate(der)
		return cert, key, err
	}
	ca, caKey, err := authority()
	if err != nil {
		return nil, err
	}
	forger, forgerKey, err := authority()
	if err != nil {
		return nil, err
	}
	if err := writePEM(d.file(caFile+".crt"), "CERTIFICATE", ca.Raw); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		file   string
		ended  bool
		issuer *x509.Certificate
		key    *ecdsa.PrivateKey
	}{
		{nodeFile, false, ca, caKey}, {deviceFile, false, ca, caKey}, {forgedFile, false, forger, forgerKey}, {oldFile, true, ca, caKey},
	} {
		if err := d.issue(c.file, c.ended, c.issuer, c.key); err != nil {
			return nil, err
		}
	}
	der, err := x509.MarshalPKIXPublicKey(&caKey.PublicKey)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

func (d *Doors) issue(file string, ended bool, issuer *x509.Certificate, by *ecdsa.PrivateKey) error {
	tmpl := template(file)
	if ended {
		tmpl.NotBefore, tmpl.NotAfter = tmpl.NotBefore.Add(-48*time.Hour), tmpl.NotBefore.Add(-24*time.Hour)
	}
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, &key.PublicKey, by)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(writePEM(d.file(file+".crt"), "CERTIFICATE", der), writePEM(d.file(file+".key"), "PRIVATE KEY", secret))
}

func template(name string) *x509.Certificate {
	now := time.Now()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// Trust is what an innocent device knows of TLS.
func (d *Doors) Trust() (*tls.Config, error) {
	ca, err := os.ReadFile(d.file(caFile + ".crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("fault: %s has no certificate", caFile)
	}
	host, _, _ := strings.Cut(d.WSS, ":")
	return &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}, nil
}
