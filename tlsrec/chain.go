package tlsrec

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
)

// chainMost is how many certificates a device may send: its own and four in between.
const chainMost = 5

// errLongChain says that a device sent more.
var errLongChain = errors.New("tlsrec: more than 5 certificates: send that of the device and what lies between it and the authority")

// authorities are who signs the certificates of devices. Immutable.
type authorities struct {
	all  []*x509.Certificate
	pool *x509.CertPool // nil without any
}

func trusting(all []*x509.Certificate) authorities {
	a := authorities{all, x509.NewCertPool()}
	for _, cert := range all {
		a.pool.AddCert(cert)
	}
	return a
}

// verify finds the chains from the peer's certificates, its own first, to an authority.
//
// It goes down from the authorities: keys of strangers check nothing. x509 alone goes up
// from the peer, through whatever the peer has made itself, and tries a hundred signatures
// of the dearest kind before it gives up, some 40 ms. Here those in between are believed
// one by one, each by the key of one that is, and x509 is asked with those alone.
func (a *authorities) verify(certs []*x509.Certificate) ([][]*x509.Certificate, error) {
	if len(certs) > chainMost {
		return nil, errLongChain
	}
	between := x509.NewCertPool()
	for _, cert := range a.believed(certs[1:]) {
		between.AddCert(cert)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{
		Roots: a.pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return chains, nil
}

// believed are those of certs that an authority has signed, or one of them that is believed.
func (a *authorities) believed(certs []*x509.Certificate) (all []*x509.Certificate) {
	rest := slices.Clone(certs)
	for signers := a.all; len(signers) > 0 && len(rest) > 0; {
		from := len(all)
		rest = slices.DeleteFunc(rest, func(cert *x509.Certificate) bool {
			signed := signedBy(cert, signers)
			if signed {
				all = append(all, cert)
			}
			return signed
		})
		signers = all[from:]
	}
	return all
}

// signedBy says whether one of those who may sign has signed cert.
func signedBy(cert *x509.Certificate, who []*x509.Certificate) bool {
	return slices.ContainsFunc(who, func(one *x509.Certificate) bool {
		return bytes.Equal(one.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(one) == nil
	})
}
