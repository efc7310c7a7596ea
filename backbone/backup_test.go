package backbone_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/reader"
)

// backUp makes a backup in memory.
func backUp(t *testing.T, b *backbone.Backbone) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := b.Backup(t.Context(), &out, "test"); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A backup that is made while records come has all that was durable before it: the log, over
// several blocks, waiting commands, bans and the places of readers. Restored, the log goes on: the
// old records at their positions, a reader where it was, a device told how far the log has
// come, and one whose sequence is far ahead taken. Its identity is a new one, because positions
// are given out again.
func TestBackup_Restored(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	data := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	seq := uint64(0)
	fill := func(n int) {
		var all []backbone.Record
		for range n {
			seq++
			r := record("d", seq, nil)
			r.Data = slices.Concat([]byte{'"'}, data, []byte{'"'})
			all = append(all, r)
		}
		backbonetest.Append(t, b, all)
	}
	for range 10 {
		fill(15) // 10 MB in all: two blocks
	}
	ban(t, b, "stolen", time.Time{}, "stolen")
	store(t, b, "away", "c1", time.Hour)
	k, err := b.OpenReader(t.Context(), "sink", reader.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if err := k.Read(t.Context(), func(e backbone.Entry) error {
		if e.Position == 10 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if err := k.Keep(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, b, backbone.ReadOptions{})

	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := uint64(1); n <= 5000 && ctx.Err() == nil; n++ {
			if err := b.Append([]backbone.Record{record("busy", n, nil)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	backup := backUp(t, b)
	stop()
	writer.Wait()
	backbonetest.Flush(t, b)

	dir := filepath.Join(t.TempDir(), "restored")
	r, err := backbone.RestoreBackup(t.Context(), backbone.Config{DataDir: dir, Node: "restore"}, bytes.NewReader(backup))
	if err != nil {
		t.Fatal(err)
	}
	v, err := backbone.VerifyLog(backbone.Config{DataDir: dir})
	if err != nil || !v.Sound() || v.Log != r.Log || r.Log == b.Identity() || r.Records < 150 {
		t.Fatalf("%+v, %v; restored %+v", v, err, r)
	}
	n := open(t, backbone.Config{DataDir: dir, OnDamage: backbone.DamageStop})
	after := readAll(t, n, backbone.ReadOptions{})
	if len(after) < len(before) || !slices.Equal(after[:len(before)], before) {
		t.Fatalf("%d records, %d were durable before", len(after), len(before))
	}
	if last, err := n.Last(t.Context(), "default", "d"); err != nil || last.Seq != seq || last.Position != seq {
		t.Errorf("the device is told %+v, %v", last, err)
	}
	if _, banned := n.Banned("acme", "stolen"); !banned {
		t.Error("the ban is gone")
	}
	if got := take(t, n, "away"); got != "c1=1" {
		t.Errorf("waiting commands: %q", got)
	}
	k, err = n.OpenReader(t.Context(), "sink", reader.Newest)
	if err != nil || k.Place().Position != 10 {
		t.Fatalf("the reader is at %+v, %v", k, err)
	}
	end := uint64(len(after))
	backbonetest.Append(t, n, []backbone.Record{record("d", seq+1000, nil)})
	if last, err := n.Last(t.Context(), "default", "d"); err != nil || last.Seq != seq+1000 || last.Position != end+1 {
		t.Errorf("behind %d the device is told %+v, %v", end, last, err)
	}
}

// Of what is not a whole backup nothing is restored, and the reason is said: a byte that is
// another one, an end that is missing, a backup that failed, a newer format. Nor is anything
// restored over what is there; and no node starts where a restore was cut short.
func TestBackup_Refused(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil), record("d", 2, nil)})
	backup := backUp(t, b)
	flipped := bytes.Clone(backup)
	flipped[bytes.LastIndex(backup, []byte("EDGELOOP_UP/000001"))+512+40] ^= 1
	newer := rewriteManifest(t, backup, `"format": 1`, `"format": 9`)
	short := rewriteManifest(t, backup, `"durable": 2`, `"durable": 3`)
	for name, c := range map[string]struct {
		backup []byte
		why    string
	}{
		"a flipped bit":      {flipped, "EDGELOOP_UP"},
		"cut off":            {backup[:len(backup)-4096], "cut off"},
		"a newer format":     {newer, "take a newer one"},
		"less than promised": {short, "3 was acknowledged"},
		"nothing":            {nil, "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			_, err := backbone.RestoreBackup(t.Context(), backbone.Config{DataDir: dir}, bytes.NewReader(c.backup))
			var known *backbone.BackupError
			if !errors.As(err, &known) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something was made of it")
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "restore.unfinished"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backbone.RestoreBackup(t.Context(), backbone.Config{DataDir: dir}, bytes.NewReader(backup)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	if _, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir}); !errors.Is(err, backbone.ErrUnfinished) {
		t.Errorf("a node on what was not finished: %v", err)
	}
}

// rewriteManifest changes what the manifest of a backup says.
func rewriteManifest(t *testing.T, backup []byte, from, to string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(bytes.NewReader(backup)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "manifest.json" {
			if !bytes.Contains(b, []byte(from)) {
				t.Fatalf("no %s in %s", from, b)
			}
			b = bytes.Replace(b, []byte(from), []byte(to), 1)
			h.Size = int64(len(b))
		}
		if err := errors.Join(w.WriteHeader(h), second(w.Write(b))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func second(_ int, err error) error { return err }

// One backup at a time; the second is refused before anything is written.
func TestBackup_OneAtATime(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
	var inner error
	err := b.Backup(t.Context(), writerFunc(func(p []byte) (int, error) {
		if inner == nil {
			inner = b.Backup(t.Context(), io.Discard, "test")
		}
		return len(p), nil
	}), "test")
	if err != nil || !errors.Is(inner, backbone.ErrBackingUp) {
		t.Errorf("%v, the second %v", err, inner)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
