package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeloop/bench"
	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
	"edgeloop/bench/report"
)

func write(t *testing.T, name string, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func capacity(t *testing.T, devices float64) string {
	t.Helper()
	h := fleet.NewHistograms()
	for i := range 1000 {
		if err := h[fleet.RoundTrip].RecordValue(int64(time.Millisecond) + int64(i)*10_000); err != nil {
			t.Fatal(err)
		}
	}
	enc, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := bench.Result{
		Schema: bench.Schema, Scenario: "capacity", Machine: probe.Machine{Emulated: true},
		Figures: map[string]float64{
			"connections": devices, "rss_bytes_per_connection": 900, "heap_bytes_per_connection": 700, "kernel_bytes_per_socket": 4000,
			"cpu_us_per_connect": 30, "cpu_us_per_message": 15,
		},
		Phases:   []bench.Phase{{Name: "telemetry", Latency: map[string]bench.Latency{"round_trip": {Count: 1000, HDR: string(enc[fleet.RoundTrip])}}}},
		Timeline: []bench.Sample{{T: 0}, {T: 1, Ready: 5, RSS: 1 << 24, Kernel: 1 << 20}, {T: 2, Ready: int64(devices), RSS: 1 << 25, Kernel: 1 << 21}},
		Warnings: []string{"a <warning>"},
	}
	return write(t, "run.json", r)
}

// One page from everything: the plots are in it, nothing is fetched, text from
// results is escaped, and the same plots are there as PNG.
func TestPage(t *testing.T) {
	run := func(server, measure string, f map[string]float64) map[string]any {
		return map[string]any{"server": server, "measure": measure, "figures": f}
	}
	compare := write(t, "2026-11-21-compare.json", map[string]any{"commit": "abc", "runs": []any{
		run("raw-2", "echo-1", map[string]float64{"cpu_us_per_echo": 8, "cpu_user_us_per_echo": 0.1}),
		run("gws", "echo-1", map[string]float64{"cpu_us_per_echo": 11, "cpu_user_us_per_echo": 2}),
	}})
	in, err := report.Read([]string{capacity(t, 10000), capacity(t, 100000), compare})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	page, err := report.Page(in, dir)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{
		"Echo of 128 B, one in flight", "Memory of one device", "Connections over time", "Memory over time",
		"Latency by percentile", "a &lt;warning&gt;", "In emulation", "<svg",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, bad := range []string{"<script", "src=", "href=\"http", "@import"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q: it is not self-contained", bad)
		}
	}
	pngs, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(pngs) < 6 {
		t.Errorf("PNGs: %v, %v", pngs, err)
	}
}

// What is no result is skipped and named, as long as there is one.
func TestRead_SkipsOtherFiles(t *testing.T) {
	others := []string{
		write(t, "other.json", map[string]any{"a": 1}), write(t, "future.json", map[string]any{"schema": "edgebench.v99"}),
		write(t, "string.json", "x"), filepath.Join(t.TempDir(), "notes.md"),
	}
	if err := os.WriteFile(others[3], []byte("# notes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := report.Read(append(others, capacity(t, 10)))
	if err != nil || len(in.Results) != 1 || len(in.Skipped) != len(others) {
		t.Fatalf("%d results, skipped %q, %v", len(in.Results), in.Skipped, err)
	}
	for i, path := range others {
		if !strings.Contains(in.Skipped[i], path) {
			t.Errorf("%s is skipped as %q", path, in.Skipped[i])
		}
	}
	if _, err := report.Read(others); err == nil {
		t.Error("a report of nothing")
	}
	if _, err := report.Read([]string{filepath.Join(t.TempDir(), "none.json")}); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}
