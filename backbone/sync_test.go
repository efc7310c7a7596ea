package backbone_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/backbone"
)

// A node with --durability=power says what it knows of the servers' syncs: asked of
// them where the account may ask, unknown otherwise, and it warns unless they sync.
func TestSync_OfAnExternalServer(t *testing.T) {
	const asks = `accounts {
  SYS { users [{user: sys, password: p}], exports [{service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream}] }
  APP { users [{user: app, password: p}], jetstream: enabled, imports [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}}] }
}
system_account: SYS
`
	for name, c := range map[string]struct {
		interval, accounts string
		want               backbone.Sync
	}{
		"nobody may ask":     {"always", "", backbone.SyncUnknown},
		"it syncs":           {"always", asks, backbone.Synced},
		"every two minutes":  {"2m", asks, backbone.Unsynced},
		"process durability": {"2m", asks, backbone.Unsynced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "nats.conf")
			text := fmt.Sprintf("listen: 127.0.0.1:-1\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: %s }\n%s", dir, c.interval, c.accounts)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			opts, err := server.ProcessConfigFile(file)
			if err != nil {
				t.Fatal(err)
			}
			opts.NoSigs, opts.NoLog = true, true
			ext := &external{t: t, opts: *opts}
			ext.start()
			t.Cleanup(ext.stop)
			url := ext.srv.ClientURL()
			if c.accounts != "" {
				url = fmt.Sprintf("nats://app:p@%s", ext.srv.Addr())
			}
			seen, lines := observer.New(zapcore.WarnLevel)
			cfg := backbone.Config{NATSURL: url, Logger: zap.New(seen)}
			if name == "process durability" {
				cfg.Durability = backbone.Process
			}
			b := openWith(t, cfg, backbone.Seams{Timeout: time.Minute}) // for an answer, which comes soon
			if got := b.LogInfo().Sync; got != c.want {
				t.Errorf("sync is %s, want %s", got, c.want)
			}
			warned := lines.FilterMessageSnippet("may be lost with the power").Len() == 1
			if want := c.want != backbone.Synced && cfg.Durability == backbone.Power; warned != want {
				t.Errorf("warned: %v, want %v", warned, want)
			}
		})
	}
}
