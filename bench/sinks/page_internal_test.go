package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// The page says of each destination what its sink brings, what it costs, and what devices felt.
func TestPage(t *testing.T) {
	row := Row{
		Kind: "webhook", Worked: 90_000, WorkedS: 3, WorkCPUS: 2, Behind: 7, Waited: 1_000_000, Left: 12_345, Latency: Latency{P50: 110, P99: 230}, LatencyRate: 20_000,
	}
	for i, paused := range []Load{{AckP99: 10}, {AckP99: 1000}, {AckP99: 20}} { // something else had the machine in the second round
		row.Alone.add(paused, paused)
		row.Down.add(paused, Load{AckP99: paused.AckP99, Warnings: "a warning"})
		row.Catching.add(paused, Load{AckP99: []float64{14, 900, 30}[i]})
	}
	broken := Row{Kind: "nats", Failed: "there was no more time"}
	broken.Alone.add(Load{AckP99: 9}, Load{AckP99: 9})
	text := page(results{Options: Options{Rounds: 3, Round: 2 * time.Second, Rate: 20_000}, Beside: &Peer{Row: Row{Worked: 1000, WorkedS: 2, WorkCPUS: 4, Latency: Latency{P50: 8, P99: 9}}}, Rows: []Row{row, broken}, Command: []string{"/somewhere/bin/edgebench", "sinks", "--nats=/somewhere/bin/nats-server"}}, "raw.json")
	for _, want := range []string{
		"| webhook | 30000 | 45000 | 22.2 | 90000 | 110 | 230 | 20000 | 7 |", "| webhook, catching up, of 1000000 are 12345 left at the end | 0 | 0.00 | 0.0 | 30.0 | 1.40 (0.90–1.50) |",
		"`edgebench sinks --nats=nats-server`", "- nats is not measured to its end: there was no more time", "| nats, paused | 0 | 0.00 | 0.0 | 9.0 | 1.00 (1.00–1.00) |", "in 3 rounds of 2s of each",
		"| Telegraf behind mosquitto, [see below](#beside-them) | 500 | 250 | 4000.0 | 1000 | 8 | 9 | 20000 | – |",
		"| webhook, down | 0 | 0.00 | 0.0 | 20.0 | 1.00 (1.00–1.00) |", "- webhook: a warning", "(raw.json)",
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

// One destination that fails takes no figure of another, nor its own that were there before.
func TestOne_Fails(t *testing.T) {
	var said strings.Builder
	row := one(t.Context(), &said, time.Now(), "redis", func(_ context.Context, row *Row) error {
		row.Behind = 3
		return errors.New("no\nserver")
	})
	if row.Kind != "redis" || row.Failed != "no server" || row.Behind != 3 || !strings.Contains(said.String(), "no server") {
		t.Errorf("%+v, %q", row, said.String())
	}
	over, end := context.WithCancel(t.Context())
	end()
	row = one(over, io.Discard, time.Now(), "nats", func(context.Context, *Row) error { t.Error("it begins although its time is over"); return nil })
	if !strings.HasPrefix(row.Failed, "there was no more time") {
		t.Errorf("%+v", row)
	}
}
