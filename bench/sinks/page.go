package sinks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"edgeloop/bench/probe"
)

// results are the raw figures of one run.
type results struct {
	Started time.Time     `json:"started"`
	TookS   float64       `json:"took_s"`
	Commit  string        `json:"commit"`
	Command []string      `json:"command"`
	Load    [2]string     `json:"load_average"` // before and after
	Machine probe.Machine `json:"machine"`
	Options Options       `json:"options"`
	Rows    []Row         `json:"rows"`
	Beside  *Row          `json:"beside,omitempty"` // of mosquitto and Telegraf
}

// write writes the page and the raw results beside it.
func write(o Options, rows []Row, beside *Row, began time.Time, busy string) error {
	r := results{
		Started: began, TookS: time.Since(began).Seconds(), Commit: o.Commit, Command: os.Args,
		Load: [2]string{busy, loadAverage()}, Machine: probe.ReadMachine(), Options: o, Rows: rows, Beside: beside,
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	raw := strings.TrimSuffix(o.Page, ".md") + ".json"
	if err := os.WriteFile(raw, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(o.Page, []byte(page(r, filepath.Base(raw))), 0o644)
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil || len(strings.Fields(string(b))) < 3 {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

func page(r results, raw string) string {
	var b strings.Builder
	o := r.Options
	fmt.Fprintf(&b, "# Sinks, %s\n\n", r.Started.Format("2 January 2006"))
	fmt.Fprintf(&b, "What a sink brings and costs, by `make bench-sinks`: %d devices with messages of %d B at %d a second,\n", o.Connections, o.Size, o.Rate)
	fmt.Fprintf(&b, "for %s each; a backlog of %d records. Default settings of sinks. Node, devices and destination share\n", o.Duration, o.Backlog)
	fmt.Fprintf(&b, "%d cores and a disk; redis-server and nats-server sync each confirmation. One run.\n\n", r.Machine.Cores)

	b.WriteString("| destination | records/s, backlog worked off | of one core of the node | late, p50 ms | p99 ms | waiting at the end |\n|---|---:|---:|---:|---:|---:|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %.0f | %d |\n", row.Kind, row.perSecond(), row.perCore(), row.Latency.P50, row.Latency.P99, row.Behind)
	}
	b.WriteString("\nLate is from the time in the device's message to its arrival at the destination; of files, until they\nare seen to grow. Where more records wait at the end than come in a second, the sink does not keep up\nwith this rate, and is as late as the measurement was long.\n\n")

	b.WriteString("| the sink | messages/s | cores | ack p50 ms | ack p99 ms | p99 to that while paused |\n|---|---:|---:|---:|---:|---:|\n")
	for _, row := range r.Rows {
		for _, one := range []struct {
			what string
			Load
		}{{"paused", row.Alone}, {"well", row.Steady}, {"down", row.Down}, {fmt.Sprintf("catching up, %d left at the end", row.Left), row.Catching}} {
			fmt.Fprintf(&b, "| %s, %s | %.0f | %.2f | %.1f | %.1f | %.2f |\n", row.Kind, one.what, one.PerSecond, one.Cores, one.AckP50, one.AckP99, ratio(one.AckP99, row.Alone.AckP99))
		}
	}
	b.WriteString("\nThe file sink is paused for \"down\", too: a directory does not go away. Goals: at most 1.5 times while a sink\ncatches up, and no difference while its destination is down.\n\n")
	for _, row := range r.Rows {
		for _, l := range []Load{row.Alone, row.Steady, row.Down, row.Catching} {
			if l.Warnings != "" {
				fmt.Fprintf(&b, "- %s: %s\n", row.Kind, l.Warnings)
			}
		}
	}
	if p := r.Beside; p != nil {
		fmt.Fprintf(&b, "\n## Beside them\n\nmosquitto, and Telegraf posting to a receiver of webhooks: %.0f records/s of a backlog, %.0f of one core of both;\n", p.perSecond(), p.perCore())
		fmt.Fprintf(&b, "late %.0f ms (p50) and %.0f ms (p99); both used %.2f cores at %.0f messages/s, PUBACK p50 %.1f ms, p99 %.1f ms;\nwith Telegraf away mosquitto alone %.2f cores, p99 %.1f ms. ",
			p.Latency.P50, p.Latency.P99, p.Steady.Cores, p.Steady.PerSecond, p.Steady.AckP50, p.Steady.AckP99, p.Down.Cores, p.Down.AckP99)
		b.WriteString("A PUBACK there says that the message is in the\nbroker's memory; with the node an acknowledgement says that it is on the disk.\n")
	}
	fmt.Fprintf(&b, "\nLoad average before %s, after %s: figures of a busy machine are mostly its own. Commit %s, Linux %s,\n%s, %s. Raw results: [%s](%s).\n",
		r.Load[0], r.Load[1], r.Commit, r.Machine.Kernel, r.Machine.Go, r.Machine.CPU, raw, raw)
	return b.String()
}
