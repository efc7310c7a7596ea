package main

import (
	"context"
	"fmt"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/auth"
)

// adminConfig is how the API is served, by whichever server.
func (n *node) adminConfig() (admin.Config, error) {
	if _, _, err := auth.EnsureToken(adminTokenFile(n.cfg.DataDir)); err != nil {
		return admin.Config{}, err
	}
	n.tokens.read = n.cfg.tokensStamp()
	principals, err := n.cfg.readPrincipals()
	return admin.Config{
		Listen:      n.cfg.AdminListen,
		AllowRemote: n.cfg.AdminRemote,
		TLS:         n.certs.admin.config(),
		Principals:  principals,
		Hosts:       n.cfg.AdminHosts,
		CheckName:   auth.CheckName,
		Logger:      n.log.Logger,
		Audit:       n.log.audit,
	}, err
}

// startEarly has probes answered while the node waits for its log: it lives, and is not ready.
func (n *node) startEarly(context.Context) (stopFunc, error) {
	certs, err := n.cfg.readCertificates()
	if err != nil {
		return nil, usageError{err}
	}
	n.certs = certs
	n.warnCertificates(time.Now())
	cfg, err := n.adminConfig()
	if err != nil {
		return nil, err
	}
	early, err := admin.NewEarly(cfg, n.startsFor)
	if err != nil {
		return nil, usageError{err}
	}
	if err := early.Start(); err != nil {
		return nil, err
	}
	n.early = early
	return early.Stop, nil
}

// startsFor is what the node waits for at its start.
func (n *node) startsFor() []api.Reason {
	reasons := []api.Reason{{Code: "starting", Detail: fmt.Sprintf("the node is still starting: %v", n.watch.phase.Load())}}
	if err := n.waits.Load(); err != nil {
		reasons = append(reasons, api.Reason{Code: "log_unreachable", Detail: (*err).Error()})
	}
	return reasons
}
