package main

import (
	"cmp"
	"context"
	"sync/atomic"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	"edgeloop/auth"
	"edgeloop/internal/filemode"
)

// tokens are those of the admin API, as far as they are read again.
type tokens struct {
	// Owned by the goroutine that starts and stops the node.
	read string // stamp of the tokens file before it was read

	// Atomic.
	reloads [numReloads]atomic.Uint64
	broken  atomic.Pointer[error] // why the file that is there is not in force; nil: it is
}

// tokensStamp changes when the tokens file does.
func (s *serveCmd) tokensStamp() string {
	return filemode.Stamp(cmp.Or(s.AdminTokensFile, adminTokensFile(s.DataDir)))
}

// loadTokens does as loadKeys for the admin tokens.
func (n *node) loadTokens() (use func(), err error) {
	path := adminTokenFile(n.cfg.DataDir)
	if auth.Moved(path) {
		if _, _, err := auth.EnsureToken(path); err != nil {
			return nil, err
		}
		n.log.Info("created a new admin token, the previous one stays valid", zap.String("file", path))
	}
	principals, err := n.cfg.readPrincipals()
	if err != nil {
		n.tokens.reloads[reloadFailed].Add(1)
		n.tokens.broken.Store(&err)
		return nil, err
	}
	return func() {
		_ = n.admin.SetPrincipals(principals...) // there is one at least
		n.tokens.reloads[reloadDone].Add(1)
		n.tokens.broken.Store(nil)
	}, nil
}

// rereadTokens is for a tokens file that has changed. What is broken leaves the tokens
// before in force: with none of them nobody could ask what is wrong.
func (n *node) rereadTokens(ctx context.Context) {
	err := n.inTurn(ctx, func() error {
		use, err := n.loadTokens()
		if err == nil {
			use()
		}
		return err
	})
	if err != nil {
		n.log.Error("cannot use the changed tokens file, the previous tokens stay in force, even those taken back", zap.Error(err))
		return
	}
	n.log.Info("the tokens file has changed and was read again")
}

// tokenWarnings are what an operator should see to.
func (n *node) tokenWarnings() []api.Reason {
	if err := n.tokens.broken.Load(); err != nil {
		return []api.Reason{{Code: "admin_tokens_broken", Detail: "the previous tokens stay in force, even those taken back: " + (*err).Error()}}
	}
	return nil
}

func (n *node) tokenMetrics(emit emitter) {
	for outcome, name := range reloadNames {
		emit("edgeloop_admin_token_reloads_total", float64(n.tokens.reloads[outcome].Load()), name)
	}
}
