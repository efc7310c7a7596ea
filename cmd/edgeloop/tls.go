package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"edgeloop/auth"
	"edgeloop/pool"
	"edgeloop/tlsrec"
)

// noListen says that no devices connect by WebSocket without TLS.
const noListen = "none"

// planTLS checks the flags of TLS against each other. Files are looked at by openTLS.
func (s *serveCmd) planTLS() error {
	switch {
	case !s.wantsTLS() && len(s.TLSCert)+len(s.TLSKey) > 0:
		return errors.New("--tls-cert and --tls-key are for --tls-listen: give the address where devices connect by TLS")
	case s.wantsTLS() && (len(s.TLSCert) == 0 || len(s.TLSKey) == 0):
		i := slices.IndexFunc(s.doors(), func(d door) bool { return d.tls })
		return fmt.Errorf("%s=%s: give --tls-cert and --tls-key, PEM files of a certificate with its chain and of its key", s.doors()[i].flag, s.doors()[i].addr)
	case slices.Contains(s.Listen, noListen) && (len(s.Listen) > 1 || len(s.doors()) == 0):
		return errors.New("--listen=none is for nodes whose devices connect by --tls-listen, --mqtt-listen or --mqtt-tls-listen alone: give one of them too, and no other --listen")
	case (s.TLSClientAuth == "none") != (s.TLSClientCA == ""):
		return fmt.Errorf("--tls-client-auth=%s: give --tls-client-ca, the authorities that sign the certificates of devices, with optional or required, and only then", s.TLSClientAuth)
	case s.TLSClientAuth == "none" && len(s.TLSCRL) > 0:
		return errors.New("--tls-crl is for --tls-client-auth=optional or required")
	case !s.wantsTLS() && (s.TLSClientAuth != "none" || s.TLSTickets != ""):
		return errors.New("--tls-client-auth and --tls-ticket-keys are for --tls-listen: give the address where devices connect by TLS")
	case s.Auth == "cert" && s.TLSClientAuth == "none":
		return errors.New("--auth=cert: give --tls-client-auth=optional or required, or devices have no certificate")
	case s.Auth == "none" && s.TLSClientAuth != "none":
		return errors.New("--auth=none does not go with --tls-client-auth: devices would name themselves whatever their certificate says; give --auth=cert")
	}
	if err := s.planPairs(); err != nil {
		return err
	}
	_, err := s.identify()
	return err
}

// planPairs checks that each certificate has a key, and is there once.
func (s *serveCmd) planPairs() error {
	switch n := len(s.TLSCert); {
	case n != len(s.TLSKey):
		return fmt.Errorf("--tls-cert is given %d times and --tls-key %d times: give a key for each certificate, in the same order", n, len(s.TLSKey))
	case n > tlsrec.MaxPairs:
		return fmt.Errorf("--tls-cert is given %d times: give 1 to %d certificates; one may have many names", n, tlsrec.MaxPairs)
	}
	for i, file := range s.TLSCert {
		if slices.Contains(s.TLSCert[:i], file) {
			return fmt.Errorf("--tls-cert=%s is given twice: give each certificate once", file)
		}
	}
	return nil
}

// morePairs are the certificates behind the first.
func (s *serveCmd) morePairs() (more []tlsrec.Pair) {
	for i := 1; i < len(s.TLSCert); i++ {
		more = append(more, tlsrec.Pair{CertFile: s.TLSCert[i], KeyFile: s.TLSKey[i]})
	}
	return more
}

// identify is how a certificate names a device.
func (s *serveCmd) identify() (func(*x509.Certificate) (tlsrec.Identity, error), error) {
	if s.TLSURIPrefix != "" {
		if err := auth.CheckURIPrefix(s.TLSURIPrefix); err != nil {
			return nil, fmt.Errorf("--tls-uri-prefix=%w", err)
		}
		if !strings.Contains(s.TLSIdentity+s.TLSTenant, "{san.uri") {
			return nil, errors.New("--tls-uri-prefix is for {san.uri} or {san.uri.last} in --tls-identity or --tls-tenant, and neither has one")
		}
	}
	device, err := auth.ParseCertTemplate(s.TLSIdentity, s.TLSURIPrefix)
	if err != nil {
		return nil, fmt.Errorf("--tls-identity: %w", err)
	}
	if !strings.Contains(s.TLSIdentity, "{") {
		return nil, fmt.Errorf("--tls-identity=%s has no field of a certificate in it, so all would stand for the same device: give text with one, as {cn}", s.TLSIdentity)
	}
	tenant, err := auth.ParseCertTemplate(s.TLSTenant, s.TLSURIPrefix)
	if err != nil {
		return nil, fmt.Errorf("--tls-tenant: %w", err)
	}
	return func(cert *x509.Certificate) (id tlsrec.Identity, err error) {
		var noTenant error
		id.Device, err = device.Name("device", cert)
		id.Tenant, noTenant = tenant.Name("tenant", cert)
		if err = errors.Join(err, noTenant); err != nil {
			err = fmt.Errorf("%w: %w", tlsrec.ErrIdentity, err)
		}
		return id, err
	}, nil
}

// plainListen are the addresses without TLS.
func (s *serveCmd) plainListen() []string {
	if slices.Contains(s.Listen, noListen) {
		return nil
	}
	return s.Listen
}

// openTLS reads the files of TLS; nil where no listener speaks it.
func (s *serveCmd) openTLS(log *zap.Logger) (*tlsrec.Server, error) {
	if !s.wantsTLS() {
		return nil, nil
	}
	identify, err := s.identify()
	if err != nil {
		return nil, err
	}
	server, err := tlsrec.New(tlsrec.Config{
		CertFile: s.TLSCert[0], KeyFile: s.TLSKey[0], More: s.morePairs(), Protocols: []string{alpnHTTP, alpnMQTT},
		OwnRecords: s.TLSRecords == "own",
		MinVersion: map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[s.TLSMinVersion],
		ClientAuth: map[string]tlsrec.ClientAuth{
			"none": tlsrec.ClientAuthNone, "optional": tlsrec.ClientAuthOptional, "required": tlsrec.ClientAuthRequired,
		}[s.TLSClientAuth],
		ClientCAFile: s.TLSClientCA, CRLFiles: s.TLSCRL, Identify: identify, TicketFile: s.TLSTickets,
		OnPanic: func(v any) { log.Error("a TLS handshake panicked", zap.Any("panic", v)) },
	})
	if err != nil {
		return nil, s.tlsFileError(err)
	}
	return server, nil
}

// tlsFileError says which flag has the file that cannot be used, and what to give it.
func (s *serveCmd) tlsFileError(err error) error {
	const pairs = "give files that this user may read, --tls-cert with its chain, leaf first, and --tls-key, the key of that certificate, in the same order where there are several"
	var of *tlsrec.FileError
	if !errors.As(err, &of) {
		return fmt.Errorf("--tls-cert, --tls-key: %w: %s", err, pairs)
	}
	switch file := of.File; {
	case slices.Contains(s.TLSCert, file):
		return fmt.Errorf("--tls-cert=%w: %s", err, pairs)
	case slices.Contains(s.TLSKey, file):
		return fmt.Errorf("--tls-key=%w: %s", err, pairs)
	case file == s.TLSClientCA:
		return fmt.Errorf("--tls-client-ca=%w: give a PEM file that this user may read, with the certificates of those who sign devices'", err)
	case slices.Contains(s.TLSCRL, file):
		return fmt.Errorf("--tls-crl=%w: give PEM or DER files that this user may read, with lists that an authority of --tls-client-ca has signed", err)
	}
	return fmt.Errorf("--tls-ticket-keys=%w: give a file that this user may read and others may not, with 1 to 16 lines of 'openssl rand -base64 32'", err)
}

// warnPlain says that there are ways in that ask for no certificate.
func (n *node) warnPlain() {
	var plain []string
	for _, d := range n.cfg.doors() {
		if !d.tls {
			plain = append(plain, d.flag+"="+d.addr)
		}
	}
	if n.cfg.TLSClientAuth == "required" && len(plain) > 0 {
		n.log.Warn("some listeners are without TLS, and ask for no certificate although --tls-client-auth=required: give --listen=none, unless they are for a proxy that looks at certificates",
			zap.Strings("listeners", plain))
	}
}

// startTLS starts the workers that make handshakes.
func (n *node) startTLS(context.Context) (stopFunc, error) {
	server, err := n.cfg.openTLS(n.log.Logger)
	if server == nil || err != nil {
		return nil, err
	}
	// One for each connection that has not made its handshake, of which there are as
	// many as all listeners let in.
	work, queue, err := tlsWorkers(n.cfg.TLSWorkers, n.cfg.MaxHandshakes)
	if err != nil {
		return nil, err
	}
	n.tls, n.tlsQueue = server, queue
	n.warnTLS(time.Now())
	n.warnPlain()
	return work.Stop, nil
}

// tlsWorkers starts the workers that make handshakes; 0 is half of the cores. waiting is how
// many records may wait for them.
func tlsWorkers(workers, waiting int) (*pool.Pool, *pool.Queue[func()], error) {
	if workers == 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	work, err := pool.New(pool.Config{Workers: workers})
	if err != nil {
		return nil, nil, err
	}
	queue, err := pool.NewQueue(work, waiting, func(do func()) { do() })
	if err != nil {
		return nil, nil, errors.Join(err, work.Stop(context.Background()))
	}
	return work, queue, nil
}
