package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/auth"
	"edgeloop/auth/jwks"
)

func (n *node) startAuth(ctx context.Context) (stopFunc, error) {
	if n.cfg.Auth == "none" {
		n.log.Warn("AUTHENTICATION IS OFF: anyone who reaches this node can be any device (--auth=none)")
		return nil, nil
	}
	cfg := auth.Config{
		SecretFile: n.cfg.SecretFile, PublicKeyFile: n.cfg.PublicKeyFile, KeySetFile: n.cfg.JWKSFile, CacheSize: n.cfg.TokenCache,
		Audiences: n.cfg.TokenAudience, Issuers: n.cfg.TokenIssuer, Leeway: n.cfg.TokenLeeway,
	}
	if !n.cfg.given() {
		path, created, err := auth.EnsureSecret(n.cfg.DataDir)
		if err != nil {
			return nil, err
		}
		if created {
			n.log.Info("created a secret for device tokens, print a token with 'edgeloop token --device ID'", zap.String("file", path))
		}
		cfg.SecretFile, n.ownSecret = path, path
	}
	if n.cfg.JWKSURL != "" {
		cfg.AskKeys = func() bool { return n.published.Asked() }
	}
	n.keyStamp = stampOf(n.cfg.JWKSFile)
	var err error
	n.verifier, err = auth.New(cfg)
	if err != nil && n.cfg.given() {
		return nil, usageError{fmt.Errorf("--secret-file, --public-key-file, --jwks-file: %w", err)}
	}
	if err != nil || n.cfg.JWKSURL == "" {
		return nil, err
	}
	return n.startPublished(ctx)
}

// startPublished begins to fetch the keys of --jwks-url, and waits for the first answer.
// A node starts without one: its devices are told to come back.
func (n *node) startPublished(ctx context.Context) (stopFunc, error) {
	roots, err := n.cfg.rootCAs()
	if err != nil {
		return nil, usageError{err}
	}
	n.published, err = jwks.New(jwks.Config{
		URL: n.cfg.JWKSURL, Networks: networks("jwks-networks", n.cfg.JWKSNetworks), RootCAs: roots,
		MaxStale: n.cfg.JWKSMaxStale, MaxBody: auth.MaxKeySet,
		Use: n.verifier.SetKeys, Drop: n.verifier.DropKeys, Logger: n.log.Named("jwks"),
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("--jwks-url: %w", err)}
	}
	stop := inBackground(n.published.Run)
	select {
	case <-n.published.First():
	case <-ctx.Done():
	}
	return stop, nil
}

// loadKeys reads the keys of device tokens; use puts them in force. A secret of
// the node's own that was moved out of the way is made anew.
func (n *node) loadKeys() (use func(), err error) {
	if n.verifier == nil {
		return func() {}, nil
	}
	if n.ownSecret != "" && auth.Moved(n.ownSecret) {
		if _, _, err := auth.EnsureSecret(n.cfg.DataDir); err != nil {
			return nil, err
		}
		n.log.Info("created a new secret for device tokens, tokens of the previous one stay valid", zap.String("file", n.ownSecret))
	}
	put, left, err := n.verifier.Load()
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		n.log.Info("some keys of --jwks-file are not used", zap.Strings("keys", left))
	}
	return func() {
		put()
		if n.published != nil {
			n.published.Fetch()
		}
	}, nil
}

// rereadKeys is for a --jwks-file that has changed.
func (n *node) rereadKeys(ctx context.Context) {
	err := n.inTurn(ctx, func() error {
		use, err := n.loadKeys()
		if err == nil {
			use()
		}
		return err
	})
	if err != nil {
		n.log.Error("cannot use the changed --jwks-file, the previous keys stay in force", zap.Error(err))
		return
	}
	n.log.Info("--jwks-file has changed and was read again")
}

// stampOf changes when the file does, or another has its name, or who may read it.
func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	return fmt.Sprint(inode, info.Size(), info.ModTime().UnixNano(), info.Mode())
}

// keyWarnings are about the keys of --jwks-url.
func (n *node) keyWarnings() []api.Reason {
	if n.published == nil {
		return nil
	}
	st := n.published.Stats()
	switch {
	case !st.Known:
		return []api.Reason{{Code: "jwks_missing", Detail: fmt.Sprintf("THERE ARE NO KEYS OF --jwks-url, devices with such tokens are told to come back: %v", st.Err)}}
	case st.Err != nil:
		return []api.Reason{{Code: "jwks_old", Detail: fmt.Sprintf("the keys of --jwks-url are %s old and cannot be fetched again, they are good until they are %s old: %v", st.Age.Truncate(time.Second), n.cfg.JWKSMaxStale, st.Err)}}
	}
	return nil
}

// keyMetrics are those of --jwks-url.
func (n *node) keyMetrics(to func(admin.Sample)) {
	if n.published == nil {
		return
	}
	emit, st := emitTo(to), n.published.Stats()
	for o, count := range st.Outcomes {
		emit("edgeloop_auth_jwks_fetches_total", float64(count), jwks.Outcome(o).String()) //nolint:gosec // small
	}
	emit("edgeloop_auth_jwks_keys", float64(n.verifier.Stats().SetKeys))
	if st.Known {
		emit("edgeloop_auth_jwks_age_seconds", st.Age.Seconds())
	}
}
