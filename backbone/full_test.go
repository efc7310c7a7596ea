package backbone_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	stores "edgeloop/backbone/store"
	"edgeloop/internal/testkit"
)

// The disk fills up under a running log. Appends stall and say why; when there is
// room again they go on by themselves, and nothing is lost or doubled.
func TestBackbone_FullDiskStallsAndResumes(t *testing.T) {
	t.Run("the reserve stops it before the disk is full", func(t *testing.T) {
		fullDisk(t, 8<<20, func(err error) bool {
			var full *backbone.DiskFullError
			return errors.As(err, &full)
		})
	})
	t.Run("without a reserve the store breaks and is opened again", func(t *testing.T) {
		fullDisk(t, -1, func(error) bool { return true })
	})
}

func fullDisk(t *testing.T, reserve int64, cause func(error) bool) {
	const size = 48 << 20
	dir := mountTmpfs(t, size)
	b := openWith(t, backbone.Config{DataDir: dir, DiskReserve: reserve}, backbone.Seams{Timeout: 200 * time.Millisecond})
	var done counter
	append1 := func(n int) {
		r := record("d", uint64(n), &done)
		r.Data = fmt.Appendf(nil, `{"c":"%0100000d"}`, n)
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Error(err)
		}
	}
	append1(1)
	backbonetest.Flush(t, b)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, size-12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	const records = 200
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		for n := 2; n <= records; n++ {
			append1(n)
		}
	}()
	eventually(t, "a stall", func() bool { return !b.State().OK() })
	if err := b.State().Cause; !cause(err) {
		t.Errorf("stalled by %v", err)
	}
	if done.n.Load() >= records {
		t.Fatal("nothing was held back")
	}
	if reserve < 0 {
		eventually(t, "the store to be opened again", func() bool { return b.Stats().Reopened > 0 })
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	<-appended
	backbonetest.Flush(t, b)
	if !b.State().OK() {
		t.Errorf("state %+v after the disk has room", b.State())
	}
	wantSequence(t, b, records)
}

// The disk is full when a command is to be stored, with no reserve and nothing
// else going on. When it has room again, so has the store.
func TestCommands_FullDiskResumes(t *testing.T) {
	const size = 32 << 20
	dir := mountTmpfs(t, size)
	b := openWith(t, backbone.Config{DataDir: dir, DiskReserve: -1}, backbone.Seams{Timeout: 200 * time.Millisecond})
	eventually(t, "the first to be stored", func() bool { return b.StoreCommand(t.Context(), "acme", "d", "1", []byte("1"), 0) == nil })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, size), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	big := bytes.Repeat([]byte("x"), 100_000)
	eventually(t, "the store to be opened again", func() bool {
		if err := b.StoreCommand(t.Context(), "acme", "d", "2", big, 0); err == nil {
			t.Fatal("stored on a full disk")
		}
		return b.Stats().Reopened > 0
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a command to be stored", func() bool {
		return b.StoreCommand(t.Context(), "acme", "d", "2", []byte("1"), 0) == nil
	})
	if got := take(t, b, "d"); got != "1=1 2=1" {
		t.Errorf("took %q", got)
	}
}

// So it is when a Will is to be kept, or what is retained, and nothing else goes on.
func TestKept_FullDiskResumes(t *testing.T) {
	const size = 32 << 20
	for name, of := range map[string]func(b *backbone.Backbone) (keep func(data []byte) error){
		"retained": func(b *backbone.Backbone) func([]byte) error {
			r := b.Retained()
			return func(data []byte) error {
				_, err := r.Keep(t.Context(), []stores.RetainedMessage{{Tenant: "acme", Topic: "t", Position: 1, Line: data}}, backbone.Place{Log: "l", Position: 1})
				return err
			}
		},
		"a Will": func(b *backbone.Backbone) func([]byte) error {
			return func(data []byte) error {
				_, err := b.KeepWills(t.Context(), []backbone.Will{{Tenant: "acme", Device: "d", Payload: data}}, nil)
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := mountTmpfs(t, size)
			b := openWith(t, backbone.Config{DataDir: dir, DiskReserve: -1}, backbone.Seams{Timeout: 200 * time.Millisecond})
			keep := of(b)
			eventually(t, "the first to be kept", func() bool { return keep([]byte("1")) == nil })
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, size), 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk is not full: %v", err)
			}
			eventually(t, "the store to be opened again", func() bool {
				if err := keep(bytes.Repeat([]byte("x"), 100_000)); err == nil {
					t.Fatal("kept on a full disk")
				}
				return b.Stats().Reopened > 0
			})
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it to be kept", func() bool { return keep([]byte("2")) == nil })
		})
	}
}

// wantSequence checks that the log holds 1 to n of device d, once and in order.
func wantSequence(t *testing.T, b *backbone.Backbone, n int) {
	t.Helper()
	lines := readAll(t, b, backbone.ReadOptions{})
	if len(lines) != n {
		t.Errorf("%d records in the log, want %d", len(lines), n)
	}
	for i, line := range lines {
		if last, err := backbone.LastIn([]byte(line)); err != nil || last.Seq != uint64(i+1) {
			t.Fatalf("record %d has sequence %d, %v", i+1, last.Seq, err)
		}
	}
}

// A log that must not drop what was confirmed stops at MaxBytes until the
// operator makes room.
func TestBackbone_FullLogStopsUntilPurged(t *testing.T) {
	b := open(t, tinyLog(t, backbone.Stop))
	var done counter
	r := record("d", 1, &done)
	r.Data = fmt.Appendf(nil, `{"c":"%0100000d"}`, 1)
	for range 20 {
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
		r.Seq++
	}
	eventually(t, "a stall", func() bool { return !b.State().OK() })
	if got := b.State().Cause.Error(); got != "backbone: the stream is full: maximum bytes exceeded" {
		t.Errorf("stalled by %q, want the bound", got)
	}
	confirmed := int(done.n.Load())
	if got := len(readAll(t, b, backbone.ReadOptions{})); got != confirmed || confirmed == 0 || confirmed == 20 {
		t.Errorf("%d in the log, %d confirmed, of 20", got, confirmed)
	}
	if err := backbone.PurgeLog(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	backbonetest.Flush(t, b)
	if got := len(readAll(t, b, backbone.ReadOptions{})); got != 20-confirmed {
		t.Errorf("%d in the log after the purge, want %d", got, 20-confirmed)
	}
	if last, err := b.Last(t.Context(), "default", "d"); err != nil || last.Seq != 20 {
		t.Errorf("Last = %+v, %v", last, err)
	}
}

// A log with bounds and nothing said drops its oldest and goes on.
func TestBackbone_FullLogDropsOldest(t *testing.T) {
	b := open(t, tinyLog(t, backbone.AsItIs))
	r := record("d", 1, nil)
	r.Data = fmt.Appendf(nil, `{"c":"%0100000d"}`, 1)
	for range 40 {
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
		r.Seq++
	}
	backbonetest.Flush(t, b)
	lines := readAll(t, b, backbone.ReadOptions{})
	if len(lines) < 5 || len(lines) > 11 {
		t.Errorf("%d records of 100 kB in a log of 1 MiB", len(lines))
	}
	if last, err := backbone.LastIn([]byte(lines[len(lines)-1])); err != nil || last.Seq != 40 {
		t.Errorf("the newest has sequence %d, %v", last.Seq, err)
	}
}

// A failed sync leaves it open what is on the disk: nothing is confirmed any
// more, whatever later syncs say.
func TestBackbone_FailedSyncConfirmsNothing(t *testing.T) {
	var done counter
	failing := errors.New("input/output error")
	b, err := backbone.OpenWith(t.Context(), backbone.Config{DataDir: t.TempDir()}, backbone.Seams{
		Sync: func(next func() error) error {
			if done.n.Load() == 1 {
				return failing
			}
			return next()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := b.Append([]backbone.Record{record("d", uint64(n+1), &done)}); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			backbonetest.Flush(t, b)
		}
	}
	eventually(t, "a stall", func() bool { return !b.State().OK() })
	if err := b.State().Cause; !errors.Is(err, backbone.ErrDisk) || !errors.Is(err, failing) {
		t.Errorf("stalled by %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v, want that records are left", err)
	}
	if got := done.n.Load(); got != 1 {
		t.Errorf("%d confirmed, want 1", got)
	}
}

// A process without a free descriptor cannot sync, but that is no verdict of the
// disk: the log goes on when descriptors are back, and stores nothing twice.
func TestBackbone_SyncWithoutDescriptorsIsTriedAgain(t *testing.T) {
	var done counter
	refusals := 3
	b := openWith(t, backbone.Config{DataDir: t.TempDir()}, backbone.Seams{
		Sync: func(next func() error) error {
			if done.n.Load() == 1 && refusals > 0 {
				refusals--
				return &os.PathError{Op: "open", Path: "2.blk", Err: syscall.EMFILE}
			}
			return next()
		},
	})
	for n := range 3 {
		if err := b.Append([]backbone.Record{record("d", uint64(n+1), &done)}); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			backbonetest.Flush(t, b)
		}
	}
	backbonetest.Flush(t, b)
	if got, lines := done.n.Load(), readAll(t, b, backbone.ReadOptions{}); got != 3 || len(lines) != 3 || refusals != 0 {
		t.Errorf("%d confirmed, %d stored, want 3; %d refusals left", got, len(lines), refusals)
	}
	if !b.State().OK() {
		t.Errorf("stalled by %v", b.State().Cause)
	}
}

func TestOpen_RefusesDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, backbone.Config{DataDir: dir})
	if b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir}); !errors.Is(err, backbone.ErrInUse) {
		t.Errorf("Open twice: %v, %v", b, err)
	}
}

func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI has to show this: mount a small file system (as root): %v", err)
		}
		t.Skipf("cannot mount a small file system, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// eventually polls until ok, for at most half a minute.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testkit.Eventually(t, time.Minute, what, ok)
}

// tinyLog is a log of 1 MiB, with batches that fit it.
func tinyLog(t *testing.T, full backbone.WhenFull) backbone.Config {
	return backbone.Config{
		DataDir: t.TempDir(), BatchBytes: 256 << 10, MaxRecord: 256 << 10,
		LogSettings: backbone.LogSettings{MaxBytes: 1 << 20, WhenFull: full},
	}
}
