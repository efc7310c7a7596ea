package sinks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	Beside  *Peer         `json:"beside,omitempty"` // of mosquitto and Telegraf
}

// write writes the page and the raw results beside it.
func write(o Options, rows []Row, beside *Peer, began time.Time, busy string) error {
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
	fmt.Fprintf(&b, "What leaving costs and brings, from a device's socket to the destination's confirmation: %d devices with\n", o.Connections)
	fmt.Fprintf(&b, "messages of %d B at %d a second, for %s each; a backlog of %d records. Default settings of sinks.\n", o.Size, o.Rate, o.Duration, o.Backlog)
	fmt.Fprintf(&b, "Node, devices and destination share %d cores and a disk; redis-server, nats-server, PostgreSQL and the\n", r.Machine.Cores)
	b.WriteString("broker of Kafka sync what they confirm, mosquitto does not. kafka is kfake, the broker of the client's own\ntests, in a process of its own: no broker by others was to be had. grpc is a service that reads the log by\ngRPC and acknowledges.\n\n")
	b.WriteString("Again: `make bench-sinks`, on a quiet machine")
	fmt.Fprintf(&b, "; this was `%s`.\n\n", command(r.Command))
	leaving(&b, r)
	felt(&b, o, r.Rows)
	for _, row := range r.Rows {
		if row.Failed != "" {
			fmt.Fprintf(&b, "- %s is not measured to its end: %s\n", row.Kind, row.Failed)
		}
		for _, f := range []Felt{row.Alone, row.Well, row.Down, row.Catching} {
			if l := f.middle(); l.Warnings != "" {
				fmt.Fprintf(&b, "- %s: %s\n", row.Kind, l.Warnings)
			}
		}
	}
	besides(&b, r.Beside)
	fmt.Fprintf(&b, "\nIt took %.0f s. Load average before %s, after %s: figures of a busy machine are mostly its own. Commit %s,\nLinux %s, %s, %s. Raw results: [%s](%s).\n",
		r.TookS, r.Load[0], r.Load[1], r.Commit, r.Machine.Kernel, r.Machine.Go, r.Machine.CPU, raw, raw)
	return b.String()
}

// command is what was called, without where on this machine.
func command(args []string) string {
	var short []string
	for _, a := range args {
		name, value, has := strings.Cut(a, "=")
		switch {
		case has && filepath.IsAbs(value):
			a = name + "=" + filepath.Base(value)
		case filepath.IsAbs(a):
			a = filepath.Base(a)
		}
		short = append(short, a)
	}
	return strings.Join(short, " ")
}

// leaving is what sinks bring.
func leaving(b *strings.Builder, r results) {
	b.WriteString("| destination | records/s, backlog worked off | of one core of the node | µs of it for one | worked off | late, p50 ms | p99 ms | at messages/s | waiting at the end |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %.1f | %d | %.0f | %.0f | %d | %d |\n", row.Kind, row.perSecond(), row.perCore(), row.micros(), row.Worked, row.Latency.P50, row.Latency.P99, row.LatencyRate, row.Behind)
	}
	if p := r.Beside; p != nil {
		fmt.Fprintf(b, "| Telegraf behind mosquitto, [see below](#beside-them) | %.0f | %.0f | %.1f | %d | %.0f | %.0f | %d | – |\n",
			p.perSecond(), p.perCore(), p.micros(), p.Worked, p.Latency.P50, p.Latency.P99, r.Options.Rate)
	}
	b.WriteString(`
Late is from the time in the device's message to its arrival at the destination, the way into the log
included (the acks below say how long that takes); of files, until they are seen to grow, of Kafka until a consumer has it. Where more waited
at the end than comes in a second, the sink did not keep up with the rate, and late is of the lower rate
that is said.

`)
}

// felt is what devices feel of sinks.
func felt(b *strings.Builder, o Options, rows []Row) {
	fmt.Fprintf(b, "What devices feel, in %d rounds of %s of each state, in turn: the medians, and of each round the p99 in relation to\nthat while paused in the same round (the median; the least and the most).\n\n", o.Rounds, o.Round)
	b.WriteString("| the sink | messages/s | cores | ack p50 ms | ack p99 ms | p99 to that while paused |\n|---|---:|---:|---:|---:|---:|\n")
	for _, row := range rows {
		for _, one := range []struct {
			what string
			Felt
		}{
			{"paused", row.Alone},
			{"well", row.Well},
			{"down", row.Down},
			{fmt.Sprintf("catching up, of %d are %d left at the end", row.Waited, row.Left), row.Catching},
		} {
			if len(one.Rounds) == 0 {
				continue
			}
			l := one.middle()
			fmt.Fprintf(b, "| %s, %s | %.0f | %.2f | %.1f | %.1f | %.2f (%.2f–%.2f) |\n", row.Kind, one.what, l.PerSecond, l.Cores, l.AckP50, l.AckP99,
				median(one.Ratios), slices.Min(one.Ratios), slices.Max(one.Ratios))
		}
	}
	b.WriteString(`
The file sink is paused for "down", too, and who reads by gRPC is away. Goals: at most 1.5 times while a
sink catches up, and no difference while its destination is down. While it catches up it is held to what
devices bear, and to one and a quarter times what they bring at the least (docs/sinks.md, "Catching up"). "Well"
says what a sink costs that is not behind: less than that no pace can reach.

`)
}

// besides is the same work by others.
func besides(b *strings.Builder, p *Peer) {
	if p == nil {
		b.WriteString("\nTelegraf was not to be had for this run, and Vector is in no package of Debian's: nothing stands beside them.\n")
		return
	}
	fmt.Fprintf(b, "\n## Beside them\n\nmosquitto, and Telegraf posting to a receiver of webhooks: %.0f records/s of a backlog, %.0f of one core of both;\n", p.perSecond(), p.perCore())
	fmt.Fprintf(b, "late %.0f ms (p50) and %.0f ms (p99); both used %.2f cores at %.0f messages/s, PUBACK p50 %.1f ms, p99 %.1f ms;\nwith Telegraf away mosquitto alone %.2f cores, p99 %.1f ms. ",
		p.Latency.P50, p.Latency.P99, p.Steady.Cores, p.Steady.PerSecond, p.Steady.AckP50, p.Steady.AckP99, p.Away.Cores, p.Away.AckP99)
	b.WriteString("A PUBACK there says that the message is in the\nbroker's memory; with the node an acknowledgement says that it is on the disk.\n")
	if p.Failed != "" {
		fmt.Fprintf(b, "It is not measured to its end: %s\n", p.Failed)
	}
}
