package backbone_test

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// streamOf gives the log's stream on an external server, as an operator sees it.
func streamOf(t *testing.T, ext *external) (jetstream.JetStream, jetstream.StreamConfig) {
	t.Helper()
	nc, err := nats.Connect(ext.url, nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), backbone.StreamUp)
	if err != nil {
		t.Fatal(err)
	}
	return js, s.CachedInfo().Config
}

// A shared log belongs to all who use it. The node that makes it gives it its flags;
// every other one says where it differs and changes nothing, whatever its flags, and
// what the operator has set stays. Only SetLog changes it, and only what is chosen.
func TestSettings_SharedLogStaysAsItIs(t *testing.T) {
	ext := startExternal(t)
	chosen := backbone.LogSettings{MaxBytes: 1 << 30, MaxAge: 48 * time.Hour, WhenFull: backbone.Stop}
	open(t, backbone.Config{NATSURL: ext.url, Node: "maker", LogSettings: chosen})
	js, made := streamOf(t, ext)
	if made.MaxBytes != 1<<30 || made.MaxAge != 48*time.Hour || made.Discard != jetstream.DiscardNew {
		t.Errorf("made with %+v", made)
	}
	made.Compression = jetstream.S2Compression
	made.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
	made.Description, made.Metadata["owner"] = "ours", "ops"
	if _, err := js.UpdateStream(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	_, want := streamOf(t, ext)

	for i, other := range []struct {
		flags   backbone.LogSettings
		differs []backbone.Difference
	}{
		{backbone.LogSettings{}, nil},
		{
			backbone.LogSettings{MaxBytes: -1, MaxAge: 2 * time.Minute, WhenFull: backbone.DropOldest},
			[]backbone.Difference{
				{Stream: backbone.StreamUp, Setting: "max-bytes", Has: "1073741824", Flags: "none"},
				{Stream: backbone.StreamUp, Setting: "max-age", Has: "48h0m0s", Flags: "2m0s"},
				{Stream: backbone.StreamUp, Setting: "when-full", Has: "stop", Flags: "drop-oldest"},
			},
		},
	} {
		seen, lines := observer.New(zapcore.WarnLevel)
		b := open(t, backbone.Config{NATSURL: ext.url, Node: fmt.Sprint("other", i), LogSettings: other.flags, Logger: zap.New(seen)})
		if diff := cmp.Diff(other.differs, b.LogInfo().Differences); diff != "" {
			t.Error(diff)
		}
		if n := lines.FilterMessageSnippet("differs from this node's flags").Len(); n != len(other.differs) {
			t.Errorf("%d lines say so, want %d", n, len(other.differs))
		}
		if _, now := streamOf(t, ext); cmp.Diff(want, now) != "" {
			t.Errorf("a node changed the log: %s", cmp.Diff(want, now))
		}
	}

	c := backbone.Config{NATSURL: ext.url}
	before, after, err := backbone.SetLog(t.Context(), c, backbone.LogSettings{MaxAge: time.Minute})
	if err != nil || before.MaxAge != 48*time.Hour || after.MaxAge != time.Minute || after.MaxBytes != before.MaxBytes || after.WhenFull != backbone.Stop {
		t.Errorf("set: %+v, then %+v, %v", before, after, err)
	}
	want.MaxAge, want.Duplicates = time.Minute, time.Minute // which the server wants
	if _, now := streamOf(t, ext); cmp.Diff(want, now) != "" {
		t.Error(cmp.Diff(want, now))
	}
	if _, _, err := backbone.SetLog(t.Context(), c, backbone.LogSettings{MaxBytes: 10}); err == nil {
		t.Error("a log of 10 bytes was taken")
	}
}

// The stream of a shared log vanishes under a node. It is made again as it was, with
// what its operator had set, and loudly.
func TestSettings_LostLogIsMadeAgainAsItWas(t *testing.T) {
	ext := startExternal(t)
	open(t, backbone.Config{NATSURL: ext.url, Node: "maker", LogSettings: backbone.LogSettings{MaxBytes: 1 << 30}})
	js, made := streamOf(t, ext)
	made.Compression = jetstream.S2Compression
	if _, err := js.UpdateStream(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	_, want := streamOf(t, ext)
	seen, lines := observer.New(zapcore.ErrorLevel)
	b := open(t, backbone.Config{NATSURL: ext.url, Node: "other", Logger: zap.New(seen)})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
	if err := backbone.DeleteLog(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	backbonetest.Append(t, b, []backbone.Record{record("d", 2, nil)})
	if _, now := streamOf(t, ext); cmp.Diff(want, now) != "" {
		t.Error(cmp.Diff(want, now))
	}
	if lines.FilterMessageSnippet("is gone").Len() == 0 {
		t.Errorf("nobody said so: %v", lines.All())
	}
}

// A log of this node alone has half of its disk where nobody has chosen, gets what
// flags say at every start, and keeps what they do not name.
func TestSettings_OwnLog(t *testing.T) {
	dir := t.TempDir()
	start := func(s backbone.LogSettings) backbone.LogSettings {
		t.Helper()
		b := open(t, backbone.Config{DataDir: dir, LogSettings: s})
		defer func() {
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		return b.LogInfo().LogSettings
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	half := int64(fs.Blocks) * fs.Bsize / 2
	for i, step := range []struct{ flags, want backbone.LogSettings }{
		{backbone.LogSettings{}, backbone.LogSettings{MaxBytes: half, MaxAge: -1, WhenFull: backbone.DropOldest, Replicas: 1}},
		{backbone.LogSettings{MaxAge: time.Hour, WhenFull: backbone.Stop}, backbone.LogSettings{MaxBytes: half, MaxAge: time.Hour, WhenFull: backbone.Stop, Replicas: 1}},
		{backbone.LogSettings{MaxBytes: -1}, backbone.LogSettings{MaxBytes: -1, MaxAge: time.Hour, WhenFull: backbone.Stop, Replicas: 1}},
		{backbone.LogSettings{MaxAge: -1}, backbone.LogSettings{MaxBytes: -1, MaxAge: -1, WhenFull: backbone.Stop, Replicas: 1}},
	} {
		if got := start(step.flags); got != step.want {
			t.Errorf("start %d with %+v: %+v, want %+v", i, step.flags, got, step.want)
		}
	}
}

// What was acknowledged is in the log, in the smallest that may be: a batch never
// pushes out its own records.
func TestSettings_SmallestLogKeepsWhatItConfirms(t *testing.T) {
	cfg := tinyLog(t, backbone.DropOldest)
	cfg.MaxBytes = int64(cfg.BatchBytes + cfg.MaxRecord)
	b := open(t, cfg)
	seq := uint64(0)
	for round := range 5 {
		var rs []backbone.Record
		for size := 0; size < cfg.BatchBytes; {
			seq++
			r := record("d", seq, nil)
			r.Data = fmt.Appendf(nil, `"%s"`, strings.Repeat("x", (cfg.MaxRecord-1000)>>(seq%6)))
			rs, size = append(rs, r), size+len(r.Data)
		}
		backbonetest.Append(t, b, rs) // which waits until all are confirmed
		lines := readAll(t, b, backbone.ReadOptions{})
		if last := lines[len(lines)-1]; !bytes.Contains([]byte(last), fmt.Appendf(nil, `"seq":%d,`, seq)) {
			t.Errorf("round %d: the last record confirmed is not in the log", round)
		}
	}
	for _, bad := range []backbone.LogSettings{{MaxBytes: 10}, {MaxBytes: cfg.MaxBytes - 1}, {MaxAge: time.Millisecond}} {
		cfg := tinyLog(t, backbone.DropOldest)
		cfg.LogSettings = bad
		if _, err := backbone.Open(t.Context(), cfg); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
