package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	"edgeloop/internal/filemode"
	"edgeloop/tlsrec"
)

// A certificate is that of a listener for people and programs, read again while it is in use.
type certificate struct {
	// Immutable after construction.
	flags             [3]string // of the files below
	certFile, keyFile string
	caFile            string // of those who must show a certificate; "": nobody
	protocol          string // that is spoken inside, as ALPN names it

	// Atomic.
	now    atomic.Pointer[certified]
	broken broken
}

// certified is what the files say.
type certified struct {
	config *tls.Config
	leaf   *x509.Certificate
	stamp  string // of the files, before they were read
}

// certificates are those of a node; nil where a listener is without TLS.
type certificates struct {
	admin, grpc *certificate
}

func (c *certificates) all() (all []*certificate) {
	for _, one := range []*certificate{c.admin, c.grpc} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}

// readCertificates reads them.
func (s *serveCmd) readCertificates() (out certificates, err error) {
	if s.AdminTLSCert != "" {
		out.admin = &certificate{
			flags:    [3]string{"--admin-tls-cert", "--admin-tls-key", "--admin-tls-client-ca"},
			certFile: s.AdminTLSCert, keyFile: s.AdminTLSKey, caFile: s.AdminTLSClientCA, protocol: "http/1.1",
		}
	}
	if s.GRPCCert != "" {
		out.grpc = &certificate{
			flags:    [3]string{"--grpc-cert", "--grpc-key"},
			certFile: s.GRPCCert, keyFile: s.GRPCKey, protocol: "h2",
		}
	}
	for _, c := range out.all() {
		use, err := c.load()
		if err != nil {
			return certificates{}, err
		}
		use()
	}
	return out, nil
}

func (c *certificate) stamp() string { return filemode.Stamp(c.certFile, c.keyFile, c.caFile) }

// load reads the files again; use puts them in force, for new connections.
func (c *certificate) load() (use func(), err error) {
	defer func() { c.broken.note(err) }()
	const how = "give files that this user may read, the certificate with its chain, leaf first, and its key"
	fresh := &certified{stamp: c.stamp()}
	info, err := os.Stat(c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", c.flags[1], err, how)
	}
	if open := filemode.Open(info, 0o027); info.Mode().IsRegular() && open != 0 {
		mode := info.Mode().Perm()
		return nil, fmt.Errorf("%s=%s has mode %04o, which lets others have the key: run \"chmod %04o %s\"", c.flags[1], c.keyFile, mode, mode&^open, c.keyFile)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s=%s, %s=%s: %w: %s", c.flags[0], c.certFile, c.flags[1], c.keyFile, err, how)
	}
	fresh.leaf = pair.Leaf
	fresh.config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{c.protocol}}
	if c.caFile != "" {
		if fresh.config.ClientCAs, err = readAuthorities(c.flags[2], c.caFile); err != nil {
			return nil, err
		}
		fresh.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return func() { c.now.Store(fresh) }, nil
}

// readAuthorities reads the file of a flag.
func readAuthorities(flag, file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s=%s: it holds no certificate: give a PEM file of authorities", flag, file)
	}
	return pool, nil
}

// config is for a listener; nil where it is without TLS. Tickets of sessions belong to what
// was read: none outlives the authorities that it was given under.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{c.protocol},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.now.Load().config, nil },
	}
}

// loadCertificates reads all of them again; use puts them in force.
func (n *node) loadCertificates() (use func(), err error) {
	var uses []func()
	for _, c := range n.certs.all() {
		use, err := c.load()
		if err != nil {
			n.tlsReloads[reloadFailed].Add(1)
			return nil, err
		}
		uses = append(uses, use)
	}
	return func() {
		for _, use := range uses {
			use()
			n.tlsReloads[reloadDone].Add(1)
		}
	}, nil
}

// rereadCertificate is for files that have changed.
func (n *node) rereadCertificate(ctx context.Context, c *certificate) {
	err := n.inTurn(ctx, func() error {
		use, err := c.load()
		if err == nil {
			use()
		}
		return err
	})
	if err != nil {
		n.tlsReloads[reloadFailed].Add(1)
		n.log.Error("cannot use a changed certificate, the previous one stays in force", zap.Error(err))
		return
	}
	n.tlsReloads[reloadDone].Add(1)
	n.log.Info("a certificate has changed and was read again", zap.String("flag", c.flags[0]), zap.Time("certificate_until", c.now.Load().leaf.NotAfter))
}

// warnings are what an operator should see to.
func (c *certificates) warnings(now time.Time) (all []api.Reason) {
	for _, one := range c.all() {
		leaf := one.now.Load().leaf
		all = append(all, termWarning(now, leaf.NotBefore, leaf.NotAfter, "programs", one.flags[0]+"="+one.certFile)...)
		all = append(all, one.broken.warnings()...)
	}
	return all
}

// warnCertificates logs them.
func (n *node) warnCertificates(now time.Time) { n.warn(n.certs.warnings(now)) }

// metrics leaves out files that the listeners of devices have too.
func (c *certificates) metrics(emit emitter, told []tlsrec.Term) {
	said := make(map[string]bool)
	for _, t := range told {
		said[t.CertFile] = true
	}
	for _, one := range c.all() {
		if said[one.certFile] {
			continue
		}
		said[one.certFile] = true
		emit("edgeloop_tls_certificate_expiry_timestamp_seconds", float64(one.now.Load().leaf.NotAfter.Unix()), strings.ToValidUTF8(one.certFile, "?"))
	}
}
