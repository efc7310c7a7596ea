package uplog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/uplog"
)

// No record is confirmed before the sync that follows it has returned.
func TestBackbone_ConfirmsAfterTheSync(t *testing.T) {
	var done counter
	syncing, release := make(chan struct{}), make(chan struct{})
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir(), Seams: backbone.Seams{
		Sync: func(next func() error) error {
			syncing <- struct{}{}
			<-release
			return next()
		},
	}})
	if err := b.Append([]backbone.Record{record("d", 1, &done), record("d", 2, &done)}); err != nil {
		t.Fatal(err)
	}
	<-syncing
	if last, err := uplog.LastInLog(t.Context(), b.Log, "default", "d"); err != nil || last.Seq != 2 {
		t.Errorf("Last = %+v, %v: the batch is in the log while it is synced", last, err)
	}
	if last, err := b.Last(t.Context(), "default", "d"); err != nil || last.Seq != 0 {
		t.Errorf("Last = %+v, %v, before the sync", last, err)
	}
	if got := done.n.Load(); got != 0 {
		t.Errorf("%d confirmed before the sync", got)
	}
	close(release)
	backbonetest.Flush(t, b)
	if got := done.n.Load(); got != 2 {
		t.Errorf("%d confirmed, want 2", got)
	}
}

// The blocks that are synced are those the store writes, also when it goes on to
// new ones: what libraries do with their files is pinned here.
func TestBackbone_SyncsTheStoresBlocks(t *testing.T) {
	dir := t.TempDir()
	b := backbonetest.Open(t, backbone.Config{DataDir: dir})
	r := record("d", 1, nil)
	r.Data = fmt.Appendf(nil, `{"c":"%0200000d"}`, 1)
	for n := range 120 {
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
		r.Seq++
		if n%30 != 29 {
			continue
		}
		backbonetest.Flush(t, b)
		path, synced := uplog.SyncedBlock(b.Log)
		if info, err := os.Stat(path); err != nil || info.Size() != synced {
			t.Fatalf("after %d: synced %d bytes of %s: %v, %v", n+1, synced, path, info, err)
		}
		blocks, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.blk"))
		if err != nil || len(blocks) == 0 {
			t.Fatalf("no blocks beside %s: %v", path, err)
		}
		for _, other := range blocks {
			if len(other) > len(path) || len(other) == len(path) && other > path {
				t.Errorf("after %d: %s is synced, %s is newer", n+1, path, other)
			}
		}
	}
	if path, _ := uplog.SyncedBlock(b.Log); filepath.Base(path) == "1.blk" {
		t.Errorf("24 MB fit one block: %s", path)
	}
}
