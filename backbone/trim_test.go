package backbone_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/reader"
)

// A trim takes the oldest records up to a position or a time, and says how many. What a named
// reader has not read, and the last record of a device, which has its sequence, stay unless it
// is told to take them; the newest record always does. It is no damage, also at the next start.
func TestTrim(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir(), OnDamage: backbone.DamageStop}
	b := open(t, cfg)
	for i := uint64(1); i <= 10; i++ {
		backbonetest.Append(t, b, []backbone.Record{record("old", i, nil)})
	}
	for i := uint64(1); i <= 10; i++ {
		backbonetest.Append(t, b, []backbone.Record{record("new", i, nil)})
	}
	if _, err := b.OpenReader(t.Context(), "lake", reader.Oldest); err != nil {
		t.Fatal(err)
	}
	trim := func(o backbone.Trim) (backbone.Trimmed, error) { return b.Trim(t.Context(), o) }
	left := func(want int) {
		t.Helper()
		if lines := readAll(t, b, backbone.ReadOptions{}); len(lines) != want {
			t.Errorf("%d records are left, want %d", len(lines), want)
		}
	}
	var behind *backbone.BehindError
	if _, err := trim(backbone.Trim{To: 5}); !errors.As(err, &behind) || !strings.Contains(err.Error(), "lake (at "+b.Identity()+"-0)") {
		t.Errorf("past a reader: %v", err)
	}
	var position *backbone.PositionError
	for _, o := range []backbone.Trim{{To: 21}, {To: 5, Log: "other"}} {
		if _, err := trim(o); !errors.As(err, &position) {
			t.Errorf("to %s %d: %v", o.Log, o.To, err)
		}
	}
	left(20)
	got, err := trim(backbone.Trim{To: 5, Log: b.Identity(), PastReaders: true})
	if err != nil || got.Records != 5 || got.First != 6 || got.Bytes < 5*100 || got.Bytes > 5*400 {
		t.Errorf("%+v, %v", got, err)
	}
	left(15)
	if again, err := trim(backbone.Trim{To: 5, PastReaders: true}); err != nil || again.Records != 0 || again.First != 6 {
		t.Errorf("again: %+v, %v", again, err)
	}
	var forgets *backbone.ForgetsError
	if _, err := trim(backbone.Trim{To: 12, PastReaders: true}); !errors.As(err, &forgets) || forgets.Devices != 1 {
		t.Errorf("a device's last record: %v", err)
	}
	if last, err := b.Last(t.Context(), "default", "old"); err != nil || last.Seq != 10 {
		t.Errorf("the device is told %+v, %v", last, err)
	}
	if none, err := trim(backbone.Trim{Before: time.Now().Add(-time.Hour)}); err != nil || none.Records != 0 {
		t.Errorf("of an hour ago: %+v, %v", none, err)
	}
	if got, err = trim(backbone.Trim{Before: time.Now().Add(time.Hour), PastReaders: true, ForgetDevices: true}); err != nil || got.Records != 14 || got.First != 20 {
		t.Errorf("all: %+v, %v", got, err)
	}
	left(1)
	if last, err := b.Last(t.Context(), "default", "old"); err != nil || last.Position != 0 {
		t.Errorf("the forgotten device is told %+v, %v", last, err)
	}
	backbonetest.Append(t, b, []backbone.Record{record("new", 11, nil)})
	backbonetest.Close(t, b)
	if v, err := backbone.VerifyLog(cfg); err != nil || !v.Sound() || v.First != 20 {
		t.Errorf("verify: %+v, %v", v, err)
	}
	b = open(t, cfg)
	left(2)
	if err := b.Damage(); err != nil {
		t.Error(err)
	}
}

// Blocks that a trim removed are not missed by a node that was killed right after it, before a
// record was written that would have noted where the log begins.
func TestTrim_IsNoDamageAfterAKill(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir()}
	b := open(t, cfg)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	for i := uint64(1); i <= 200; i++ {
		r := record("d", i, nil)
		r.Data = slices.Concat([]byte{'"'}, data, []byte{'"'})
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	backbonetest.Flush(t, b) // 13 MB: two blocks
	if got, err := b.Trim(t.Context(), backbone.Trim{To: 180}); err != nil || got.Records != 180 {
		t.Fatalf("%+v, %v", got, err)
	}
	killed := filepath.Join(t.TempDir(), "data")
	backbonetest.CopyDir(t, cfg.DataDir, killed)
	v, err := backbone.VerifyLog(backbone.Config{DataDir: killed})
	if err != nil {
		t.Fatal(err)
	}
	for i := range v.Damages {
		if text := v.Damages[i].String(); !strings.HasPrefix(text, "restored: ") { // which a copy is
			t.Error(text)
		}
	}
}
