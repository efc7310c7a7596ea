package sinks

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The page says of each destination what its sink brings, what it costs, and what devices felt.
func TestPage(t *testing.T) {
	row := Row{
		Kind: "webhook", Worked: 90_000, WorkedS: 3, WorkCPUS: 2, Behind: 7, Left: 12_345, Latency: Latency{P50: 110, P99: 230},
		Alone: Load{AckP99: 10}, Catching: Load{AckP99: 14}, Down: Load{AckP99: 10, Warnings: "a warning"},
	}
	text := page(results{Rows: []Row{row}}, "raw.json")
	for _, want := range []string{
		"| webhook | 30000 | 45000 | 110 | 230 | 7 |", "| webhook, catching up, 12345 left at the end | 0 | 0.00 | 0.0 | 14.0 | 1.40 |",
		"| webhook, down | 0 | 0.00 | 0.0 | 10.0 | 1.00 |", "- webhook: a warning", "(raw.json)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q:\n%s", want, text)
		}
	}
}

// A record is as late as its device says, and the slowest of a hundred is their p99.
func TestLateness(t *testing.T) {
	sent := time.UnixMilli(1_700_000_000_000)
	var late []float64
	for i := range 101 {
		ms, err := lateness(sent.Add(time.Duration(i)*time.Millisecond), fmt.Appendf(nil, `{"ts":%d}`, sent.UnixMilli()))
		if err != nil {
			t.Fatal(err)
		}
		late = append(late, ms)
	}
	if got := sum(late); got.Records != 101 || got.P50 != 50 || got.P99 != 99 {
		t.Errorf("%+v", got)
	}
}
