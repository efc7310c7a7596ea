package store_test

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/store"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { backbonetest.Main(m) }

// config is what a node of these tests is made of.
type config struct {
	DataDir           string
	Node              string
	Shared            bool
	CommandsPerDevice int
	CommandBytes      int64
	Quota             func(tenant string) int64
	Revocations       int64
}

// node has the small stores on a server of its own.
type node struct {
	*store.Commands
	*store.BanList
	*store.RevocationList
	*store.Presences
	srv  *servers.Servers
	once sync.Once
}

func open(t *testing.T, cfg config) *node {
	t.Helper()
	n := &node{}
	var err error
	n.srv, err = servers.New(servers.Config{DataDir: cfg.DataDir, Node: cfg.Node, Shared: cfg.Shared, Logger: zap.NewNop()})
	t.Cleanup(func() { closeNow(t, n) })
	if err == nil {
		err = n.srv.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	most := cfg.CommandsPerDevice
	if most == 0 {
		most = 64
	}
	var errs [4]error
	n.Commands, errs[0] = store.OpenCommands(t.Context(), n.srv, store.CommandConfig{MaxAge: 24 * time.Hour, PerDevice: most, Bytes: cmp.Or(cfg.CommandBytes, 256<<20), Quota: cfg.Quota})
	n.BanList, errs[1] = store.OpenBans(t.Context(), n.srv, nil)
	n.Presences, errs[2] = store.OpenPresences(t.Context(), n.srv, store.PresenceConfig{Node: cfg.Node, Bytes: 256 << 20, Logger: zap.NewNop()})
	n.RevocationList, errs[3] = store.OpenRevocations(t.Context(), n.srv, max(cfg.Revocations, 5), nil)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return n
}

// closeNow ends n; a second time it does nothing.
func closeNow(t *testing.T, n *node) {
	t.Helper()
	n.once.Do(func() {
		if n.Presences != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			n.Settle(ctx)
			n.Close()
		}
		n.srv.Stop()
		if err := n.srv.Unlock(); err != nil {
			t.Error(err)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Eventually(t, time.Minute, what, ok)
}

func deviceName(d int) string { return "d" + strconv.Itoa(d) }
