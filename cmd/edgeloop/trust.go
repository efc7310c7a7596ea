package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// trust says by which certificates a command and a node know each other.
type trust struct {
	AdminCA   string `name:"admin-ca" default:"" type:"path" placeholder:"FILE" help:"Authorities that sign the certificate of the admin API: a PEM file. Default: the certificate itself where the data directory names it, else those of the system (SSL_CERT_FILE)."`
	AdminCert string `name:"admin-cert" default:"" type:"path" placeholder:"FILE" help:"Certificate to show to the admin API, for a node with --admin-tls-client-ca: a PEM file."`
	AdminKey  string `name:"admin-key" default:"" type:"path" placeholder:"FILE" help:"Key of --admin-cert: a PEM file."`
}

// over is what speaks to a node. With pinned, a file of the machine that both are on, the
// node is who has that very certificate, by whatever name it is called.
func (t *trust) over(pinned string) (*http.Client, error) {
	if (t.AdminCert == "") != (t.AdminKey == "") {
		return nil, usageError{errors.New("--admin-cert and --admin-key go together: give both, or none")}
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	switch {
	case t.AdminCA != "":
		if cfg.RootCAs, err = readAuthorities("--admin-ca", t.AdminCA); err != nil {
			return nil, usageError{err}
		}
	case pinned != "":
		cfg.InsecureSkipVerify = true // VerifyConnection asks for more
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return isThat(pinned, state.PeerCertificates[0]) }
	}
	if t.AdminCert != "" {
		pair, err := tls.LoadX509KeyPair(t.AdminCert, t.AdminKey)
		if err != nil {
			return nil, usageError{fmt.Errorf("--admin-cert=%s, --admin-key=%s: %w", t.AdminCert, t.AdminKey, err)}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the library's own
	transport.TLSClientConfig = cfg
	return &http.Client{Transport: transport}, nil
}

// encrypted refuses a URL without TLS to who has said by which certificates it is to speak TLS.
func (t *trust) encrypted(url string) error {
	if t.AdminCA == "" && t.AdminCert == "" || !strings.HasPrefix(strings.ToLower(url), "http://") {
		return nil
	}
	return usageError{fmt.Errorf("%s speaks no TLS, and --admin-ca and --admin-cert ask for it: give --admin-url with https://, or leave them out", url)}
}

// errOther says that somebody else answers than the node whose data directory it is.
var errOther = errors.New("its certificate is another one than in the node's file")

// isThat holds a certificate against the first of a file.
func isThat(file string, cert *x509.Certificate) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errOther, err)
	}
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			if bytes.Equal(block.Bytes, cert.Raw) {
				return nil
			}
			break
		}
	}
	return fmt.Errorf("%w, %s", errOther, file)
}

// wantsTLS is how Go's server answers who speaks HTTP where TLS is spoken.
const wantsTLS = "Client sent an HTTP request to an HTTPS server"

// mistrusts says what to do about a node that was reached, and whose TLS does not fit; ""
// for other errors.
func mistrusts(err error) string {
	var name x509.HostnameError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks no TLS there: give --admin-url with http://"
	case errors.Is(err, errOther):
		return "while it is being renewed, try again in some seconds; else give --admin-url with https:// and a name of the certificate, and --admin-ca"
	case errors.As(err, &name):
		return "give --admin-url with a name that is in the certificate"
	case errors.As(err, &unverified):
		return "give --admin-ca, a file of the authorities that sign the node's certificate"
	case strings.Contains(err.Error(), "tls: certificate required"), strings.Contains(err.Error(), "remote error: tls: bad certificate"), strings.Contains(err.Error(), "remote error: tls: unknown certificate authority"):
		return "it asks for a certificate of --admin-tls-client-ca: give --admin-cert and --admin-key"
	}
	return ""
}
