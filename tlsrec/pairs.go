package tlsrec

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxPairs is how many certificates a Server may have: each is parsed at every reload, and
// is a series of metrics.
const MaxPairs = 1000

var (
	// errNameless says that a certificate would never be served.
	errNameless = errors.New("it is not the first one and names no host by DNS, so that no device could ask for it: put it first, or give one with DNS names")
	errPairs    = fmt.Errorf("more than %d certificates", MaxPairs)
)

// A Pair is a certificate and its key.
type Pair struct {
	// CertFile and KeyFile are PEM files: the certificate with its chain, leaf first, and
	// its key.
	CertFile, KeyFile string
}

// A Term is from when until when a certificate is good.
type Term struct {
	CertFile    string
	From, Until time.Time
}

// pairs are the certificates of a Server, in the order of its Config. Immutable.
type pairs struct {
	all   []tls.Certificate
	terms []Term
	named map[string][]int // by DNS name in lower case, of all; those for a whole domain have their "*."
	twice []string         // what is said of names of which one certificate hides another
}

func loadPairs(files []Pair) (*pairs, error) {
	if len(files) > MaxPairs {
		return nil, errPairs
	}
	p := &pairs{all: make([]tls.Certificate, len(files)), named: map[string][]int{}}
	for i, f := range files {
		pair, err := loadPair(f.CertFile, f.KeyFile)
		if err != nil {
			return nil, err
		}
		if i > 0 && len(pair.Leaf.DNSNames) == 0 {
			return nil, &FileError{f.CertFile, errNameless}
		}
		p.all[i] = pair
		p.terms = append(p.terms, Term{f.CertFile, pair.Leaf.NotBefore, pair.Leaf.NotAfter})
		p.name(i)
	}
	return p, nil
}

// name files pair i under its names. Those that share one have keys of different kinds, or
// one of them is never served for it.
func (p *pairs) name(i int) {
	leaf := p.all[i].Leaf
	for _, name := range leaf.DNSNames {
		name = strings.ToLower(name)
		if slices.Contains(p.named[name], i) {
			continue
		}
		for _, o := range p.named[name] {
			if p.all[o].Leaf.PublicKeyAlgorithm == leaf.PublicKeyAlgorithm {
				p.twice = append(p.twice, fmt.Sprintf("%s is a name in %s and in %s, whose keys are of one kind: the first is served for it, until it expires", name, p.terms[o].CertFile, p.terms[i].CertFile))
				break
			}
		}
		p.named[name] = append(p.named[name], i)
	}
}

// choose is the pair for a handshake: one for the very name that the peer asks for, one for
// all of its domain, or the first of all; of these one that the peer can check, and that has
// not expired, if there is one. [RFC6066 3] [RFC9525 6.3]
func (p *pairs) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name, now := strings.ToLower(hello.ServerName), time.Now()
	_, domain, _ := strings.Cut(name, ".")
	nameless := *hello
	nameless.ServerName = "" // names are looked at here
	var expired *tls.Certificate
	for _, i := range slices.Concat(p.named[name], p.named["*."+domain]) {
		pair := &p.all[i]
		switch {
		case nameless.SupportsCertificate(pair) != nil:
		case inTerm(pair.Leaf, now):
			return pair, nil
		case expired == nil:
			expired = pair
		}
	}
	if expired != nil {
		return expired, nil
	}
	for i := range p.all {
		if nameless.SupportsCertificate(&p.all[i]) == nil {
			return &p.all[i], nil
		}
	}
	return &p.all[0], nil // and crypto/tls finds the alert
}

func inTerm(cert *x509.Certificate, now time.Time) bool {
	return !now.Before(cert.NotBefore) && !now.After(cert.NotAfter)
}

// serve has a Config serve the pairs.
func (p *pairs) serve(c *tls.Config) {
	if len(p.all) == 1 {
		c.Certificates = p.all
		return
	}
	c.GetCertificate = p.choose
}
