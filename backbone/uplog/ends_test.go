package uplog_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/uplog"
)

// Where each device stands is known without asking the store, which would read a
// block for each; and it is what the store would say, also after a restart.
func TestBackbone_LastAsksNobody(t *testing.T) {
	dir := t.TempDir()
	names := []string{"d", `quo"te\`, "d.1", "ü\n", "e"}
	for round := range 3 {
		b := backbonetest.Open(t, backbone.Config{DataDir: dir})
		if !uplog.HasIndex(b.Log) {
			t.Fatal("there is no index")
		}
		same := func() {
			t.Helper()
			for _, name := range append(names, "never") {
				var got uplog.Last
				var err error
				asks := uint64(1)
				for try := 0; asks != 0 && try < 3; try++ { // the node asks for the log's size now and then
					asked := uplog.Asked(b.Log)
					got, err = b.Last(t.Context(), "acme", name)
					asks = uplog.Asked(b.Log) - asked
				}
				if asks != 0 || err != nil {
					t.Errorf("%q: %d questions, %v", name, asks, err)
				}
				want, err := uplog.LastInLog(t.Context(), b.Log, "acme", name)
				if apart := time.Duration(got.At-want.At) * time.Millisecond; apart.Abs() > time.Minute || (got.At == 0) != (got.Position == 0) {
					t.Errorf("round %d, %q: stored at %d, the store says %d", round, name, got.At, want.At)
				}
				got.At = want.At // the store's clock reads earlier than ours
				if got != want || err != nil {
					t.Errorf("round %d, %q: %+v, the store says %+v, %v", round, name, got, want, err)
				}
			}
		}
		same()
		var rs []backbone.Record
		for range 500 {
			r := record(names[rand.IntN(len(names))], 0, nil)
			r.Tenant, r.Epoch = "acme", rand.Uint64N(1<<40)
			switch rand.IntN(3) {
			case 0:
				r.Seq = rand.Uint64N(1 << 53)
			case 1:
				r.High = rand.Uint64N(1 << 53)
				r.Session = fmt.Sprintf("e60 c %d", rand.IntN(1<<16)) // and some have none after it
			}
			rs = append(rs, r)
		}
		backbonetest.Append(t, b, rs)
		same()
		backbonetest.Close(t, b)
	}
}

// An index that may lack something is not used.
func TestBackbone_LastWithoutABlock(t *testing.T) {
	dir := t.TempDir()
	b := backbonetest.Open(t, backbone.Config{DataDir: dir})
	big := record("d", 1, nil)
	big.Data = append(append([]byte{'"'}, make([]byte, 3<<20)...), '"')
	for i := range big.Data[1 : len(big.Data)-1] {
		big.Data[1+i] = 'x'
	}
	for range 6 { // more than one block
		backbonetest.Append(t, b, []backbone.Record{big})
		big.Seq++
	}
	backbonetest.Append(t, b, []backbone.Record{record("e", 7, nil)})
	list, err := filepath.Glob(filepath.Join(dir, "nats/jetstream/$G/streams/EDGELOOP_UP/msgs/*.blk"))
	if err != nil || len(list) < 2 {
		t.Fatalf("blocks %v, %v", list, err)
	}
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(list[0], away); err != nil {
		t.Fatal(err)
	}
	if err := uplog.Scan(t.Context(), b.Log); err == nil {
		t.Error("a scan with a block missing is taken for whole")
	}
	if err := os.Rename(away, list[0]); err != nil {
		t.Fatal(err)
	}
	if err := uplog.Scan(t.Context(), b.Log); err != nil {
		t.Errorf("a scan of all: %v", err)
	}
}

// The index does not grow with devices of which the log holds nothing any more.
func TestBackbone_LastForgetsWhatRetentionTook(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	var rs []backbone.Record
	for n := range 100 {
		rs = append(rs, record(fmt.Sprint("d", n), 5, nil))
	}
	backbonetest.Append(t, b, rs)
	if n := uplog.Indexed(b.Log); n != 100 {
		t.Errorf("%d devices are known", n)
	}
	if err := uplog.PurgeLog(t.Context(), b.Log); err != nil {
		t.Fatal(err)
	}
	backbonetest.Append(t, b, []backbone.Record{record("d7", 6, nil)})
	if err := uplog.ForgetTaken(t.Context(), b.Log); err != nil {
		t.Fatal(err)
	}
	if n := uplog.Indexed(b.Log); n != 1 {
		t.Errorf("%d devices are known", n)
	}
	for device, want := range map[string]uint64{"d7": 6, "d8": 0} {
		if l, err := b.Last(t.Context(), "default", device); err != nil || l.Seq != want {
			t.Errorf("%s: %+v, %v", device, l, err)
		}
	}
}

// Both ways to read a stored line agree, whatever stands in it.
func TestLastOfLine(t *testing.T) {
	for _, r := range []backbone.Record{
		{Tenant: "a", Device: "d", Epoch: 1 << 63, Seq: 1<<53 - 1, Type: "telemetry"},
		{Tenant: `"`, Device: `\"`, High: 9, Type: "alert", Topic: []byte(`,"seq":7`)},
		{Tenant: "ü", Device: "\n", Type: "status", Data: []byte(`{"seq":1}`)},
	} {
		line := uplog.Line(&r)
		got, err := uplog.LastOfLine(line)
		want, err2 := uplog.LastIn(line)
		if got != want || err != nil || err2 != nil {
			t.Errorf("%s: %+v and %+v, %v, %v", line, got, want, err, err2)
		}
		if n := testing.AllocsPerRun(10, func() { _, _ = uplog.LastOfLine(line) }); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
		for cut := range line {
			if _, err := uplog.LastOfLine(line[:cut]); err == nil {
				if _, err := uplog.LastIn(line[:cut]); err != nil {
					t.Errorf("%s is taken for a line", line[:cut])
				}
			}
		}
	}
}
