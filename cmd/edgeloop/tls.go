package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/pool"
	"edgeloop/tlsrec"
)

// noListen says that no devices connect by WebSocket without TLS.
const noListen = "none"

// expirySoon is how long before the end of the certificate the node begins to warn.
const expirySoon = 14 * 24 * time.Hour

// planTLS checks the flags of TLS against each other. Files are looked at by openTLS.
func (s *serveCmd) planTLS() error {
	switch {
	case !s.wantsTLS() && (s.TLSCert != "" || s.TLSKey != ""):
		return errors.New("--tls-cert and --tls-key are for --tls-listen: give the address where devices connect by TLS")
	case s.wantsTLS() && (s.TLSCert == "" || s.TLSKey == ""):
		i := slices.IndexFunc(s.doors(), func(d door) bool { return d.tls })
		return fmt.Errorf("%s=%s: give --tls-cert and --tls-key, PEM files of a certificate with its chain and of its key", s.doors()[i].flag, s.doors()[i].addr)
	case slices.Contains(s.Listen, noListen) && (len(s.Listen) > 1 || len(s.doors()) == 0):
		return errors.New("--listen=none is for nodes whose devices connect by --tls-listen, --mqtt-listen or --mqtt-tls-listen alone: give one of them too, and no other --listen")
	}
	return nil
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
	server, err := tlsrec.New(tlsrec.Config{
		CertFile: s.TLSCert, KeyFile: s.TLSKey, Protocols: []string{"http/1.1", "mqtt"},
		OnPanic: func(v any) { log.Error("a TLS handshake panicked", zap.Any("panic", v)) },
	})
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w: give PEM files that this user may read, the certificate with its chain, leaf first", err)
	}
	return server, nil
}

// warnExpiry says when the certificate is not good now, or not for long.
func warnExpiry(log *zap.Logger, server *tlsrec.Server, now time.Time) {
	from, until := server.Expires()
	switch left := until.Sub(now); {
	case now.Before(from):
		log.Error("the TLS certificate is not valid yet, devices will refuse it", zap.Time("from", from))
	case left <= 0:
		log.Error("THE TLS CERTIFICATE HAS EXPIRED, devices will refuse it: renew --tls-cert", zap.Time("until", until))
	case left < expirySoon:
		log.Warn("the TLS certificate expires soon: renew --tls-cert", zap.Time("until", until))
	}
}

// startTLS starts the workers that make handshakes.
func (n *node) startTLS(context.Context) (stopFunc, error) {
	server, err := n.cfg.openTLS(n.log.Logger)
	if server == nil || err != nil {
		return nil, err
	}
	warnExpiry(n.log.Logger, server, time.Now())
	workers := n.cfg.TLSWorkers
	if workers == 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	work, err := pool.New(pool.Config{Workers: workers})
	if err != nil {
		return nil, err
	}
	// One for each connection that has not made its handshake, of which there are as
	// many as all listeners let in.
	queue, err := pool.NewQueue(work, n.cfg.MaxHandshakes, func(do func()) { do() })
	if err != nil {
		return work.Stop, err
	}
	n.tls, n.tlsQueue = server, queue
	return work.Stop, nil
}

func (n *node) tlsMetrics(emit emitter) {
	if n.tls == nil {
		return
	}
	for o, count := range n.tls.Outcomes() {
		emit("edgeloop_tls_handshakes_total", float64(count), tlsrec.Outcome(o).String()) //nolint:gosec // small
	}
	emit("edgeloop_tls_queued_records", float64(n.tlsQueue.Stats().Queued))
	_, until := n.tls.Expires()
	emit("edgeloop_tls_certificate_expiry_timestamp_seconds", float64(until.Unix()))
}
