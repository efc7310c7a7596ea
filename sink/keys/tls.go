package keys

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// A TLS is the files of TLS to a server: ca_file, cert_file and key_file.
type TLS struct{ ca, cert, key string }

// TLS reads the keys of the files, which must be readable now. on says whether TLS is spoken at
// all, and how is what turns it on: without it the files are refused.
func (m *Map) TLS(on bool, how string) TLS {
	f := TLS{m.Text("ca_file", ""), m.Text("cert_file", ""), m.Text("key_file", "")}
	if !on && f != (TLS{}) {
		m.fail("ca_file", "ca_file, cert_file and key_file are of TLS: give "+how+", or leave them out")
		return f
	}
	if (f.cert == "") != (f.key == "") {
		m.fail("cert_file", "goes with key_file: give both or none")
		return f
	}
	if _, err := f.Config(""); err != nil {
		m.fail("ca_file", err.Error())
	}
	return f
}

// Config reads the files, so that what was put right counts from the next attempt. host is the
// name that the server's certificate must have; "": the one that is connected to.
func (f TLS) Config(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("%w: give a file that the node may read", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate: give a file of certificates in PEM", f.ca)
		}
	}
	if f.cert == "" && f.key == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("cert_file and key_file go together: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// Advise adds what to check to an error of TLS.
func Advise(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var other x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return fmt.Errorf("%w: ca_file must name the file of who signed the server's certificate", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w: connect by a name, or an address, that is in the server's certificate", err)
	case errors.As(err, &other) && other.Reason == x509.Expired:
		return fmt.Errorf("%w: renew the server's certificate, and check the clocks", err)
	}
	return err
}
