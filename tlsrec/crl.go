package tlsrec

import (
	"crypto/x509"
	"errors"
	"time"
)

var (
	errRevoked   = errors.New("tlsrec: the certificate is revoked")
	errStranger  = errors.New("a list of revoked certificates that none of the client authorities has signed")
	errNoList    = errors.New("no list of revoked certificates in it: give a CRL in PEM or DER")
	errDelta     = errors.New("a delta list: give whole lists")
	errIndirects = errors.New("an indirect list, with certificates of other authorities: give each authority's own")
)

const (
	// oidDelta marks a list that only says what has changed. [RFC5280 5.2.4]
	oidDelta = "2.5.29.27"
	// oidIssuer marks what another than the list's own issuer has issued. [RFC5280 5.3.3]
	oidIssuer = "2.5.29.29"
)

// revoked is which certificates are not to be believed any more. Immutable.
type revoked struct {
	serials map[string]map[string]struct{} // by the issuer's name, as encoded
	until   time.Time
}

// loadRevoked reads lists, which count only with the signature of an authority.
func loadRevoked(files []string, authorities []*x509.Certificate) (*revoked, error) {
	r := &revoked{serials: map[string]map[string]struct{}{}}
	for _, name := range files {
		raw, err := readFile(name)
		if err != nil {
			return nil, err
		}
		lists, err := blocks(raw, "X509 CRL")
		if err != nil {
			return nil, &FileError{name, err}
		}
		if len(lists) == 0 && len(raw) > 0 && raw[0] == 0x30 {
			lists = append(lists, raw)
		}
		if len(lists) == 0 {
			return nil, &FileError{name, errNoList}
		}
		for _, der := range lists {
			if err := r.add(der, authorities); err != nil {
				return nil, &FileError{name, err}
			}
		}
	}
	return r, nil
}

func (r *revoked) add(der []byte, authorities []*x509.Certificate) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return err //nolint:wrapcheck // the caller names the file
	}
	for _, e := range list.Extensions {
		if e.Id.String() == oidDelta {
			return errDelta
		}
	}
	if !signedByOne(list, authorities) {
		return errStranger
	}
	set := r.serials[string(list.RawIssuer)]
	if set == nil {
		set = map[string]struct{}{}
		r.serials[string(list.RawIssuer)] = set
	}
	for i := range list.RevokedCertificateEntries {
		for _, e := range list.RevokedCertificateEntries[i].Extensions {
			if e.Id.String() == oidIssuer {
				return errIndirects
			}
		}
		set[string(list.RevokedCertificateEntries[i].SerialNumber.Bytes())] = struct{}{}
	}
	if !list.NextUpdate.IsZero() && (r.until.IsZero() || list.NextUpdate.Before(r.until)) {
		r.until = list.NextUpdate
	}
	return nil
}

func signedByOne(list *x509.RevocationList, authorities []*x509.Certificate) bool {
	for _, a := range authorities {
		if string(a.RawSubject) == string(list.RawIssuer) && list.CheckSignatureFrom(a) == nil {
			return true
		}
	}
	return false
}

// check wants one chain in which nothing is revoked.
func (r *revoked) check(chains [][]*x509.Certificate) error {
	if len(r.serials) == 0 {
		return nil
	}
	for _, chain := range chains {
		good := true
		for _, cert := range chain {
			if _, bad := r.serials[string(cert.RawIssuer)][string(cert.SerialNumber.Bytes())]; bad {
				good = false
			}
		}
		if good {
			return nil
		}
	}
	return errRevoked
}
