package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"edgeloop/bench/fleet"
)

// ReadResult reads a result that edgebench wrote.
func ReadResult(path string) (*Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s: schema %q, want %q", path, r.Schema, Schema)
	}
	return &r, nil
}

// CapacityTable shows capacity runs side by side as Markdown, the smallest first,
// and under the table what each run warned of and why it ended early.
func CapacityTable(results []*Result) string {
	results = slices.SortedFunc(slices.Values(results), func(a, b *Result) int {
		return cmp.Compare(connections(a), connections(b))
	})
	var b strings.Builder
	b.WriteString("| |")
	for _, r := range results {
		fmt.Fprintf(&b, " %.0f devices |", connections(r))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(results)) + "\n")
	for _, row := range capacityRows() {
		b.WriteString("| " + row.title + " |")
		for _, r := range results {
			b.WriteString(" " + row.show(r) + " |")
		}
		b.WriteString("\n")
	}
	for _, r := range results {
		for _, w := range append(slices.Clone(r.Warnings), r.Error) {
			if w != "" {
				fmt.Fprintf(&b, "\n%.0f devices: %s\n", connections(r), w)
			}
		}
	}
	return b.String()
}

// connections is the number of devices asked for, also where the run ended
// before they were there.
func connections(r *Result) float64 {
	if n, ok := r.Params["Connections"].(float64); ok {
		return n
	}
	return r.Figures["connections"]
}

type capacityRow struct {
	title string
	show  func(r *Result) string
}

func figureRow(title, format, figure string, divide float64) capacityRow {
	return capacityRow{title, func(r *Result) string {
		v, ok := r.Figures[figure]
		if !ok {
			return ""
		}
		return fmt.Sprintf(format, v/divide)
	}}
}

func capacityRows() []capacityRow {
	return []capacityRow{
		figureRow("let in, devices/s", "%.0f", "connects_per_s", 1),
		figureRow("RSS, B a device (marginal)", "%.0f", "rss_bytes_per_connection", 1),
		figureRow("heap, B a device (marginal)", "%.0f", "heap_bytes_per_connection", 1),
		figureRow("RSS of the node, idle, MiB", "%.1f", "rss_idle_bytes", 1<<20),
		figureRow("kernel slab, B a socket end", "%.0f", "kernel_bytes_per_socket", 1),
		figureRow("ended while held idle", "%.0f", "ended_while_held", 1),
		figureRow("idle CPU, µs a device and second", "%.2f", "cpu_us_per_connection_s", 1),
		figureRow("CPU, µs a connect", "%.1f", "cpu_us_per_connect", 1),
		figureRow("telemetry acknowledged", "%.0f", "messages", 1),
		figureRow("CPU, µs a telemetry message", "%.1f", "cpu_us_per_message", 1),
		figureRow("ack p50, ms", "%.2f", "ack_p50_ms", 1),
		figureRow("ack p99, ms", "%.2f", "ack_p99_ms", 1),
		figureRow("broadcast at the last, s", "%.2f", "last_max_ms", 1000),
		figureRow("CPU, µs a delivery", "%.1f", "cpu_us_per_delivery", 1),
		figureRow("storm: all back, s", "%.1f", "all_back_s", 1),
		figureRow("storm: attempts a return", "%.2f", "attempts_per_return", 1),
		figureRow("storm: control group's p99, ms", "%.1f", "control_storm_p99_ms", 1),
		figureRow("storm: peak RSS, MiB", "%.1f", "peak_rss_bytes", 1<<20),
		figureRow("RSS after the storm, MiB", "%.1f", "rss_after_storm_bytes", 1<<20),
		figureRow("drain: all sent away, s", "%.1f", "drain_s", 1),
		{"drain: told to go away", func(r *Result) string {
			return figureRow("", "%.0f", "drained_with_1001", 1).show(r) + figureRow("", "%.0f", "drained_with_139", 1).show(r)
		}},
		figureRow("drain: process gone, s", "%.1f", "exit_s", 1),
		{"lost, doubled, reordered, corrupted", func(r *Result) string { return fmt.Sprint(r.Unsound) }},
		{"refused / failed attempts", func(r *Result) string {
			return fmt.Sprintf("%d / %d", r.Counts[fleet.Refused], r.Counts[fleet.Failed])
		}},
		{"whole run, s", func(r *Result) string { return fmt.Sprintf("%.0f", r.TookS) }},
		{"emulated", func(r *Result) string {
			if r.Machine.Emulated {
				return "yes: CPU and latency are not the hardware's"
			}
			return "no"
		}},
	}
}
