package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/tlsrec"
)

const (
	// expirySoon is how long before the end of the certificate the node begins to warn.
	expirySoon = 14 * 24 * time.Hour
	// warnEvery is how often it says again what it warned of.
	warnEvery = 12 * time.Hour
)

// loadTLS reads the files of TLS again; use puts them in force, for new connections.
func (n *node) loadTLS() (use func(), err error) {
	if n.tls == nil {
		return func() {}, nil
	}
	put, err := n.tls.Load()
	if err != nil {
		n.tlsReloads[reloadFailed].Add(1)
		err = n.cfg.tlsFileError(err)
	}
	if n.tlsBroken.note(err); err != nil {
		return nil, err
	}
	return func() {
		put()
		n.tlsReloads[reloadDone].Add(1)
		n.warnTLS(time.Now())
	}, nil
}

// broken is why files on the disk cannot be used while those before them are.
type broken struct{ why atomic.Pointer[string] }

// note tells how the last reading of them went.
func (b *broken) note(err error) {
	if err == nil {
		b.why.Store(nil)
		return
	}
	why := err.Error()
	b.why.Store(&why)
}

func (b *broken) warnings() []api.Reason {
	why := b.why.Load()
	if why == nil {
		return nil
	}
	return []api.Reason{{Code: "tls_file_broken", Detail: "what was read before stays in force until the node stops, and it would not start again: " + *why}}
}

// How reloads of files end.
const (
	reloadDone = iota
	reloadFailed
	numReloads
)

var reloadNames = [numReloads]string{"done", "failed"}

// rereadTLS is for files that have changed.
func (n *node) rereadTLS(ctx context.Context) {
	err := n.inTurn(ctx, func() error {
		use, err := n.loadTLS()
		if err == nil {
			use()
		}
		return err
	})
	if err != nil {
		n.log.Error("cannot use the changed files of TLS, the previous ones stay in force", zap.Error(err))
		return
	}
	first := slices.MinFunc(n.tls.Terms(), func(a, b tlsrec.Term) int { return a.Until.Compare(b.Until) })
	n.log.Info("the files of TLS have changed and were read again", zap.Time("certificate_until", first.Until))
}

// tlsWarnings are what an operator should see to.
func (n *node) tlsWarnings(now time.Time) (all []api.Reason) {
	if n.tls == nil {
		return nil
	}
	for _, t := range n.tls.Terms() {
		all = append(all, termWarning(now, t.From, t.Until, "devices", "--tls-cert="+t.CertFile)...)
	}
	for _, twice := range n.tls.Twice() {
		all = append(all, api.Reason{Code: "tls_name_twice", Detail: twice + ": give one of them without the name, or leave it out"})
	}
	if at := n.tls.ListsUntil(); !at.IsZero() && !now.Before(at) {
		all = append(all, api.Reason{Code: "tls_crl_old", Detail: fmt.Sprintf("a list of revoked certificates was to be renewed by %s and is used all the same: renew --tls-crl", at.Format(time.RFC3339))})
	}
	return append(all, n.tlsBroken.warnings()...)
}

// termWarning is what is to be said of a certificate that is valid from and until these
// times; who is to whom it is shown.
func termWarning(now, from, until time.Time, who, flag string) []api.Reason {
	switch left := until.Sub(now); {
	case now.Before(from):
		return []api.Reason{{Code: "tls_certificate_early", Detail: fmt.Sprintf("the TLS certificate is not valid before %s, %s will refuse it: %s", from.Format(time.RFC3339), who, flag)}}
	case left <= 0:
		return []api.Reason{{Code: "tls_certificate_expired", Detail: fmt.Sprintf("THE TLS CERTIFICATE HAS EXPIRED on %s, %s will refuse it: renew %s", until.Format(time.RFC3339), who, flag)}}
	case left < expirySoon:
		return []api.Reason{{Code: "tls_certificate_expires", Detail: fmt.Sprintf("the TLS certificate expires on %s: renew %s", until.Format(time.RFC3339), flag)}}
	}
	return nil
}

// warnTLS logs them.
func (n *node) warnTLS(now time.Time) { n.warn(n.tlsWarnings(now)) }

func (n *node) warn(all []api.Reason) {
	for _, r := range all {
		n.log.Warn(r.Detail, zap.String("code", r.Code))
	}
}

func (n *node) tlsMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	var terms []tlsrec.Term
	if n.tls != nil {
		terms = n.tls.Terms()
	}
	n.certs.metrics(emit, terms)
	if n.tls != nil || len(n.certs.all()) > 0 {
		for outcome, name := range reloadNames {
			emit("edgeloop_tls_reloads_total", float64(n.tlsReloads[outcome].Load()), name)
		}
	}
	if n.tls == nil {
		return
	}
	to(admin.Sample{Name: "edgeloop_tls_handshake_seconds", Histogram: histogramOf(n.tls.Took())})
	for o, count := range n.tls.Outcomes() {
		emit("edgeloop_tls_handshakes_total", float64(count), tlsrec.Outcome(o).String()) //nolint:gosec // small
	}
	emit("edgeloop_tls_queued_records", float64(n.tlsQueue.Stats().Queued))
	for _, t := range terms {
		emit("edgeloop_tls_certificate_expiry_timestamp_seconds", float64(t.Until.Unix()), strings.ToValidUTF8(t.CertFile, "?"))
	}
}
