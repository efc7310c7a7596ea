package backbone_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

const (
	wrote     = 24      // records in the log that is harmed, seven to a block
	wroteSize = 4 << 10 // of each
	smallLog  = 127_000 // with this as its bound the store makes blocks of 32 kB
)

func blocksOf(dir string) string {
	return filepath.Join(dir, "nats", "jetstream", "$G", "streams", backbone.StreamUp, "msgs")
}

// writeLog fills a log with wrote records of one device, in several blocks.
func writeLog(t *testing.T, dir string) {
	t.Helper()
	b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}})
	if err != nil {
		t.Fatal(err)
	}
	appendMore(t, b, 1, wrote)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func appendMore(t *testing.T, b *backbone.Backbone, from, to int) {
	t.Helper()
	data := `"` + strings.Repeat("x", wroteSize) + `"`
	for i := from; i <= to; i++ {
		r := record("d", uint64(i), nil) //nolint:gosec // small
		r.Data = []byte(data)
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	backbonetest.Flush(t, b)
}

func flipBit(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// harms are what can become of a log that was closed in order. lost is how many of the
// acknowledged records must be said to be missing at least, kept how many must be
// readable at least, with what the store throws away by itself.
var harms = []struct {
	name       string
	do         func(t *testing.T, dir string)
	lost, kept int
	kind       string
}{
	{"a bit flipped in an old block", func(t *testing.T, dir string) { flipBit(t, filepath.Join(blocksOf(dir), "1.blk"), 3*wroteSize) }, 1, wrote - 1, "unreadable"},
	{"a bit flipped in the newest block", func(t *testing.T, dir string) { flipBit(t, filepath.Join(blocksOf(dir), "4.blk"), 2*wroteSize) }, 1, wrote - 1, "unreadable"},
	{"a bit flipped in the length of a record", func(t *testing.T, dir string) { flipBit(t, filepath.Join(blocksOf(dir), "2.blk"), 1) }, 1, wrote - 1, "unreadable"},
	{"a bit flipped in the last record", func(t *testing.T, dir string) {
		info, err := os.Stat(filepath.Join(blocksOf(dir), "4.blk"))
		must(t, err)
		flipBit(t, filepath.Join(blocksOf(dir), "4.blk"), info.Size()-100)
	}, 1, wrote - 1, "unreadable"},
	{"the first block gone", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(blocksOf(dir), "1.blk"))) }, 7, wrote - 7, "missing"},
	{"a block in the middle gone", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(blocksOf(dir), "2.blk"))) }, 7, wrote - 7, "missing"},
	{"the newest block gone", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(blocksOf(dir), "4.blk"))) }, 3, wrote - 3, "short"},
	{"a block emptied", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(blocksOf(dir), "2.blk"), 0)) }, 7, wrote - 7, "missing"},
	{"the newest block emptied", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(blocksOf(dir), "4.blk"), 0)) }, 3, wrote - 3, "short"},
	{"a block cut", func(t *testing.T, dir string) {
		must(t, os.Truncate(filepath.Join(blocksOf(dir), "2.blk"), 4*wroteSize))
	}, 4, wrote - 4, "unreadable"},
	{"the newest block cut", func(t *testing.T, dir string) {
		must(t, os.Truncate(filepath.Join(blocksOf(dir), "4.blk"), 2*wroteSize))
	}, 1, wrote - 2, "unreadable"},
	{"all blocks gone", func(t *testing.T, dir string) {
		must(t, os.RemoveAll(blocksOf(dir)))
		must(t, os.MkdirAll(blocksOf(dir), 0o700))
	}, wrote, 0, "no_stream"},
	{"the stream gone", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Dir(blocksOf(dir)))) }, wrote, 0, "no_stream"},
	{"the store gone", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "nats"))) }, wrote, 0, "no_stream"},
	{"the stream's description gone", func(t *testing.T, dir string) {
		must(t, os.Remove(filepath.Join(filepath.Dir(blocksOf(dir)), "meta.inf")))
	}, 0, wrote, "no_stream"},
	{"the stream's description damaged", func(t *testing.T, dir string) {
		flipBit(t, filepath.Join(filepath.Dir(blocksOf(dir)), "meta.inf"), 10)
	}, 0, wrote, "no_stream"},
	{"the mark damaged", func(t *testing.T, dir string) {
		must(t, os.WriteFile(filepath.Join(dir, "log.mark"), make([]byte, 5000), 0o600))
	}, 0, wrote, "bad_mark"},
	{"the mark gone", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "log.mark"))) }, 0, wrote, "bad_mark"},
	{"another log in its place", func(t *testing.T, dir string) {
		other := t.TempDir()
		writeLog(t, other)
		must(t, os.RemoveAll(filepath.Join(dir, "nats")))
		must(t, os.Rename(filepath.Join(other, "nats"), filepath.Join(dir, "nats")))
	}, 0, wrote, "other_log"},
	{"an older store restored", func(t *testing.T, dir string) {
		older := filepath.Join(t.TempDir(), "older")
		backbonetest.CopyDir(t, filepath.Join(dir, "nats"), older)
		b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}})
		must(t, err)
		appendMore(t, b, wrote+1, wrote+5)
		must(t, b.Close(t.Context()))
		must(t, os.RemoveAll(filepath.Join(dir, "nats")))
		must(t, os.Rename(older, filepath.Join(dir, "nats")))
	}, 5, wrote, "short"},
	{"an older copy of the whole data directory restored", func(t *testing.T, dir string) {
		older := filepath.Join(t.TempDir(), "older")
		backbonetest.CopyDir(t, dir, older)
		b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}})
		must(t, err)
		appendMore(t, b, wrote+1, wrote+5)
		must(t, b.Close(t.Context()))
		must(t, os.RemoveAll(dir))
		must(t, os.Rename(older, dir))
	}, 0, wrote, "restored"},
}

// Whatever becomes of a log: a node says so when it starts, says which, keeps a copy,
// loses nothing beside what is lost, and says so at each start until somebody decides.
func TestDamage_IsNoticedAtTheStart(t *testing.T) {
	for i, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			writeLog(t, dir)
			h.do(t, dir)

			// An operator who does not want to go on finds everything as it is.
			before := snapshot(t, blocksOf(dir))
			_, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}, OnDamage: backbone.DamageStop})
			var damaged *backbone.DamageError
			if !errors.As(err, &damaged) || damaged.Damages[0].Kind.String() != h.kind {
				t.Fatalf("Open with DamageStop: %v, want %s", err, h.kind)
			}
			if h.kind != "bad_mark" && h.kind != "other_log" && snapshot(t, blocksOf(dir)) != before {
				t.Error("the log was changed")
			}

			for range 2 {
				b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}})
				must(t, err)
				if err := b.Damage(); !errors.As(err, &damaged) {
					t.Fatalf("Damage() = %v", err)
				}
				if lost := b.Custody().Undecided; lost < uint64(h.lost) || lost > uint64(h.lost)+1 { //nolint:gosec // small
					t.Errorf("%d records are said to be missing, want %d: %v", lost, h.lost, damaged.Damages)
				}
				if n := len(readAll(t, b, backbone.ReadOptions{})); n < h.kept {
					t.Errorf("%d records are left, want %d", n, h.kept)
				}
				must(t, b.Close(t.Context()))
			}

			// One decides by the flag, the other by the command.
			policy := backbone.DamageServe
			if i%2 == 0 {
				policy = backbone.DamageStop
				if n, err := backbone.AcceptDamage(dir); n == 0 || err != nil {
					t.Errorf("AcceptDamage: %d, %v", n, err)
				}
			}
			b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}, OnDamage: policy})
			must(t, err)
			if err := b.Damage(); err != nil {
				t.Errorf("decided, and still: %v", err)
			}
			appendMore(t, b, 1000, 1002)
			must(t, b.Close(t.Context()))
			b, err = backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}, OnDamage: backbone.DamageStop})
			must(t, err)
			if n := len(readAll(t, b, backbone.ReadOptions{})); n < h.kept+3 {
				t.Errorf("%d records, want %d", n, h.kept+3)
			}
			must(t, b.Close(t.Context()))
		})
	}
}

// Damage that kept a node from starting does so no more once somebody has decided.
func TestDamage_AcceptedBeforeTheStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	writeLog(t, dir)
	must(t, os.Remove(filepath.Join(blocksOf(dir), "2.blk")))
	cfg := backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}, OnDamage: backbone.DamageStop}
	for range 2 {
		if _, err := backbone.Open(t.Context(), cfg); !errors.As(err, new(*backbone.DamageError)) {
			t.Fatalf("Open: %v", err)
		}
	}
	if n, err := backbone.AcceptDamage(dir); n != 1 || err != nil {
		t.Fatalf("AcceptDamage: %d reports, %v", n, err)
	}
	b, err := backbone.Open(t.Context(), cfg)
	must(t, err)
	must(t, b.Close(t.Context()))
	v, err := backbone.VerifyLog(cfg)
	if err != nil || !v.Sound() || v.Lost != 7 {
		t.Errorf("VerifyLog: %+v, %v", v, err)
	}
}

// Verify says of a harmed log what a start would say, and changes nothing.
func TestVerifyLog_SaysWhatAStartWouldSay(t *testing.T) {
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			writeLog(t, dir)
			cfg := backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}}
			if v, err := backbone.VerifyLog(cfg); err != nil || !v.Sound() || v.Last != wrote {
				t.Fatalf("before: %+v, %v", v, err)
			}
			h.do(t, dir)
			before := snapshot(t, blocksOf(dir)) + snapshot(t, dir)
			v, err := backbone.VerifyLog(cfg)
			must(t, err)
			if after := snapshot(t, blocksOf(dir)) + snapshot(t, dir); before != after {
				t.Errorf("it changed\n%s\nto\n%s", before, after)
			}
			if h.name == "the mark gone" || h.name == "another log in its place" {
				return // which log it is, only the store can say
			}
			if v.Sound() || v.Damages[0].Kind.String() != h.kind {
				t.Errorf("found %+v, want %s", v.Damages, h.kind)
			}
		})
	}
}

// What is no damage is not taken for any: a log that is new, one of a version that
// kept no mark, one that was purged, and one whose node was killed, with what a write
// that was under way has left behind it.
func TestDamage_IsNotSeenWhereThereIsNone(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, dir string){
		"a new directory":         func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) },
		"a node that has stopped": func(*testing.T, string) {},
		"a node that was killed": func(t *testing.T, dir string) {
			killChild(t, dir, 500, new([killDevices]uint64))
		},
		"a node that was killed while it wrote": func(t *testing.T, dir string) {
			killChild(t, dir, 500, new([killDevices]uint64))
			tear(t, dir, []byte{200, 0, 0, 0, 9, 9, 9})
		},
		"zeros behind the end": func(t *testing.T, dir string) {
			killChild(t, dir, 500, new([killDevices]uint64))
			tear(t, dir, make([]byte, 700))
		},
		"retention that took the oldest": func(t *testing.T, dir string) {
			b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}})
			must(t, err)
			appendMore(t, b, wrote+1, 3*wrote)
			must(t, b.Close(t.Context()))
		},
		"a smaller bound than before": func(t *testing.T, dir string) {
			b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog / 2}})
			must(t, err)
			must(t, b.Close(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			writeLog(t, dir)
			do(t, dir)
			for range 2 {
				b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}, OnDamage: backbone.DamageStop})
				must(t, err)
				if err := b.Damage(); err != nil {
					t.Error(err)
				}
				must(t, b.Close(t.Context()))
			}
			if all, err := os.ReadDir(filepath.Join(dir, "damaged")); len(all) > 0 {
				t.Errorf("reports %v, %v", all, err)
			}
		})
	}
}

// tear appends to the newest block.
func tear(t *testing.T, dir string, b []byte) {
	t.Helper()
	newest := 0
	entries, err := os.ReadDir(blocksOf(dir))
	must(t, err)
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%d.blk", &n); err == nil {
			newest = max(newest, n)
		}
	}
	f, err := os.OpenFile(filepath.Join(blocksOf(dir), fmt.Sprintf("%d.blk", newest)), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.Write(b)
	must(t, errors.Join(err, f.Close()))
}

// After kill -9 the store reads its blocks anew and cuts them off where it does not
// like them, in silence. One flipped bit costs one record, and is said.
func TestDamage_AfterAKillOneBitCostsOneRecord(t *testing.T) {
	dir := t.TempDir()
	var confirmed [killDevices]uint64
	killChild(t, dir, 500, &confirmed)
	total := uint64(0)
	for _, n := range confirmed {
		total += n
	}
	flipBit(t, filepath.Join(blocksOf(dir), "1.blk"), 20_000)
	b := open(t, backbone.Config{DataDir: dir})
	var damaged *backbone.DamageError
	if err := b.Damage(); !errors.As(err, &damaged) || len(damaged.Damages) != 1 || damaged.Damages[0].Records != 1 || len(damaged.Damages[0].Devices) != 1 {
		t.Fatalf("Damage() = %v", err)
	}
	if n := uint64(len(readAll(t, b, backbone.ReadOptions{}))); n < total-1 {
		t.Errorf("%d records, %d had been confirmed", n, total)
	}
	copied, err := os.ReadFile(filepath.Join(damaged.Copies[0], backbone.StreamUp+"-1.blk"))
	if err != nil || len(copied) == 0 {
		t.Errorf("copy of the block: %d bytes, %v", len(copied), err)
	}
}

// A log of a version that kept no mark is taken as it is.
func TestDamage_AdoptsALogWithoutAMark(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	backbone.WriteOldLog(t.Context(), t, dir, wrote)
	b := open(t, backbone.Config{DataDir: dir, OnDamage: backbone.DamageStop})
	if n := len(readAll(t, b, backbone.ReadOptions{})); n != wrote || b.Damage() != nil {
		t.Errorf("%d records, %v", n, b.Damage())
	}
}

// snapshot is what the blocks in dir are, in short.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		fmt.Fprintln(&out, e.Name(), info.Size(), info.ModTime())
	}
	return out.String()
}

// A start that is called off while the log is read has changed nothing: the next one
// finds the same damage.
func TestDamage_AStartThatIsCalledOffChangesNothing(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir)
	flipBit(t, filepath.Join(blocksOf(dir), "1.blk"), 9000)
	cfg := backbone.Config{DataDir: dir, BatchBytes: 50_000, MaxRecord: 10_000, LogSettings: backbone.LogSettings{MaxBytes: smallLog}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := backbone.Open(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "damaged")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("copies were made: %v", err)
	}
	v, err := backbone.VerifyLog(cfg)
	must(t, err)
	if v.Sound() {
		t.Error("the damage is not there any more")
	}
}
