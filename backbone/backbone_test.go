package backbone_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

func TestBackbone_AppendReadLast(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	var seen heard
	for i := 1; i <= 10; i++ {
		if err := b.Append([]backbone.Record{record("d", uint64(i), &seen)}); err != nil {
			t.Fatal(err)
		}
	}
	backbonetest.Flush(t, b)
	if got := seen.String(); got != "1 2 3 4 5 6 7 8 9 10" {
		t.Errorf("durable: %s", got)
	}
	last, err := b.Last(t.Context(), "default", "d")
	if err != nil || last.Seq != 10 {
		t.Errorf("Last = %+v, %v; want 10", last, err)
	}
	lines := readAll(t, b, backbone.ReadOptions{})
	if len(lines) != 10 {
		t.Fatalf("%d lines, want 10", len(lines))
	}
	want := `{"tenant":"default","device":"d","epoch":3,"seq":1,"type":"telemetry","topic":"temp","ts":1795234836000,"received":1795234836001,"data":{"c":1}}`
	if lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}
}

// Where the servers are and who writes are two questions: the server in this process
// takes the appender of several nodes as well, and syncs by itself.
func TestBackbone_SeveralWritersOnTheServerInThisProcess(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir(), Writers: backbone.Several}
	b := open(t, cfg)
	var seen heard
	if err := b.Append([]backbone.Record{record("d", 1, &seen), record("d", 2, &seen)}); err != nil {
		t.Fatal(err)
	}
	backbonetest.Flush(t, b)
	backbonetest.Close(t, b)
	b = open(t, cfg)
	last, err := b.Last(t.Context(), "default", "d")
	if err != nil || last.Seq != 2 || last.Position != 2 || seen.String() != "1 2" {
		t.Errorf("heard %q; Last = %+v, %v", seen.String(), last, err)
	}
	if lines := readAll(t, b, backbone.ReadOptions{}); len(lines) != 2 {
		t.Errorf("read %q", lines)
	}
	if _, err := backbone.Open(t.Context(), backbone.Config{NATSURL: "nats://127.0.0.1:1", Writers: backbone.Alone}); err == nil {
		t.Error("alone on servers that others reach")
	}
}

func open(t testing.TB, cfg backbone.Config) *backbone.Backbone {
	t.Helper()
	return openWith(t, cfg, backbone.Seams{})
}

func record(device string, seq uint64, done backbone.Completion) backbone.Record {
	return backbone.Record{
		Tenant: "default", Device: device, Epoch: 3, Seq: seq, Type: "telemetry",
		Topic: []byte("temp"), TS: 1795234836000, Received: 1795234836001,
		Data: fmt.Appendf(nil, `{"c":%d}`, seq), Done: alone(done),
	}
}

// single has a Completion hear of one record at a time.
type single struct{ backbone.Completion }

func alone(done backbone.Completion) backbone.Completion {
	if done == nil {
		return nil
	}
	return &single{done}
}

// readAll reads the log. A store that is being opened again is asked once more.
func readAll(t testing.TB, b *backbone.Backbone, o backbone.ReadOptions) []string {
	t.Helper()
	var lines []string
	eventually(t, "the log to be read", func() bool {
		lines = nil
		err := b.Read(t.Context(), o, func(_ uint64, line []byte) error {
			lines = append(lines, string(line))
			return nil
		})
		var away *backbone.UnavailableError
		if err != nil && !errors.As(err, &away) {
			t.Fatal(err)
		}
		return err == nil
	})
	return lines
}

// heard is a Completion that writes down what it hears, with a cross for what was
// overtaken. After that it wants nothing more.
type heard struct {
	mu   sync.Mutex
	seqs []string
	lost bool
}

func (h *heard) Overtaken(seq uint64, _ int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seqs, h.lost = append(h.seqs, fmt.Sprint("x", seq)), true
}

func (h *heard) Wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.lost
}

func (h *heard) Durable(seq uint64, _ int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seqs = append(h.seqs, fmt.Sprint(seq))
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.seqs, " ")
}

// unrivalled is of Completions that no other node writes for.
type unrivalled struct{}

func (unrivalled) Overtaken(seq uint64, _ int) { panic(fmt.Sprint("overtaken at sequence ", seq)) }
func (unrivalled) Wanted() bool                { return true }

// counter is a Completion that counts.
type counter struct {
	unrivalled
	n atomic.Int64
}

func (c *counter) Durable(_ uint64, n int) { c.n.Add(int64(n)) }

func openWith(t testing.TB, cfg backbone.Config, s backbone.Seams) *backbone.Backbone {
	t.Helper()
	b, err := backbone.OpenWith(t.Context(), cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backbonetest.Close(t, b) })
	return b
}
