package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// columns are what all servers are compared in.
func (r report) columns() []column {
	const cpu = "Server CPU, user and system, in µs"
	return []column{
		{
			title: "RSS B/conn", heading: "Memory of an idle connection, RSS in bytes", measure: "idle", unit: "B",
			figure: "rss_bytes_per_connection", part: "heap_bytes_per_connection", partIs: "heap",
		},
		{
			title: "connect µs", heading: cpu + " for one connect", measure: "connect", unit: "µs", digits: 1, ratio: true,
			figure: "cpu_us_per_connect", part: "cpu_user_us_per_connect", partIs: "user",
		},
		{
			title: "echo 128 B µs", heading: cpu + " for one echo of 128 B, one in flight", measure: "echo-1", unit: "µs", digits: 2, ratio: true,
			figure: "cpu_us_per_echo", part: "cpu_user_us_per_echo", partIs: "user",
		},
		{
			title: "8 in flight µs", heading: cpu + " for one echo of 128 B, eight in flight", measure: "echo-8", unit: "µs", digits: 2, ratio: true,
			figure: "cpu_us_per_echo", part: "cpu_user_us_per_echo", partIs: "user",
		},
		{
			title: "echo 1 KiB µs", heading: cpu + " for one echo of 1 KiB, one in flight", measure: "echo-1k", unit: "µs", digits: 2, ratio: true,
			figure: "cpu_us_per_echo", part: "cpu_user_us_per_echo", partIs: "user",
		},
		{
			title: "p50 ms", heading: fmt.Sprintf("Round trip at %s messages/s, 50th percentile in ms", thousands(float64(r.plan.rate))),
			measure: "echo-paced", unit: "ms", digits: 3, ratio: true, figure: "rtt_p50_ms",
		},
		{
			title: "p99 ms", heading: fmt.Sprintf("Round trip at %s messages/s, 99th percentile in ms", thousands(float64(r.plan.rate))),
			measure: "echo-paced", unit: "ms", digits: 2, ratio: true, figure: "rtt_p99_ms", part: "rtt_p99_9_ms", partIs: "p99.9",
		},
		{
			title: "broadcast µs", heading: cpu + " for one delivery of a broadcast", measure: "broadcast", unit: "µs", digits: 2, ratio: true,
			figure: "cpu_us_per_delivery", part: "cpu_user_us_per_delivery", partIs: "user",
		},
	}
}

// nodeColumns are what only a node does: from socket to synced acknowledgement.
func (r report) nodeColumns() []column {
	paced := " at " + thousands(float64(r.plan.rate)) + "/s"
	return []column{
		{title: "messages/s", measure: "telemetry", figure: "messages_per_s"},
		{title: "CPU µs per message", measure: "telemetry", figure: "cpu_us_per_message", digits: 2},
		{title: "of it user", measure: "telemetry", figure: "cpu_user_us_per_message", digits: 2},
		{title: "CPU µs" + paced, measure: "telemetry-paced", figure: "cpu_us_per_message", digits: 2},
		{title: "ack p50 ms" + paced, measure: "telemetry-paced", figure: "ack_p50_ms", digits: 2},
		{title: "ack p99 ms", measure: "telemetry-paced", figure: "ack_p99_ms", digits: 2},
		{title: "ack p99.9 ms", measure: "telemetry-paced", figure: "ack_p99_9_ms", digits: 2},
	}
}

// show is a number with the digits of the column.
func (c column) show(v float64) string {
	if c.digits == 0 {
		return thousands(v)
	}
	return fmt.Sprintf("%.*f", c.digits, v)
}

// between is how far the rounds lie apart.
func (c column) between(s spread) string {
	if s.rounds < 2 {
		return ""
	}
	return c.show(s.min) + "–" + c.show(s.max)
}

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v <= -0.5 {
		s = "-" + s
	}
	return s
}

// overRaw is the ratio to the raw loop, with a sign in front.
func (r report) overRaw(c column, v float64) string {
	base, ok := r.of(physical, c.measure, c.figure)
	if !ok || !c.ratio || base.median <= 0 {
		return ""
	}
	return fmt.Sprintf("×%.2f", v/base.median)
}

// against says how a row stands to edgeloop's: less is better.
func (r report) against(c column, s server, v spread) string {
	ours, ok := r.of(c.ours(s), c.measure, c.figure)
	if !ok || s.own || ours.median <= 0 {
		return ""
	}
	text := fmt.Sprintf("%+.0f %%", 100*(v.median/ours.median-1))
	if v.median > 3*ours.median {
		text = fmt.Sprintf("%.1f times", v.median/ours.median)
	}
	return text + noise(v, ours)
}

// noise is the remark on a difference that the rounds do not carry.
func noise(a, b spread) string {
	switch {
	case a.rounds < 2 || b.rounds < 2:
		return ", one round"
	case !a.apart(b):
		return ", within noise"
	}
	return ""
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func head(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString("|---|" + strings.Repeat("---:|", len(cells)-1) + "\n")
}

// table has a row for each server and a cell for each column that it has.
func (r report) table(b *strings.Builder, rows []server, columns []column, cell func(column, spread) string) {
	titles := []string{"server"}
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	head(b, titles...)
	for _, s := range rows {
		cells := []string{s.what}
		for _, c := range columns {
			text := ""
			if v, ok := r.of(s.name, c.measure, c.figure); ok {
				text = cell(c, v)
			}
			cells = append(cells, text)
		}
		row(b, cells...)
	}
}

// overview is one table of medians.
func (r report) overview(b *strings.Builder, rows []server) {
	r.table(b, rows, r.columns(), func(c column, v spread) string {
		return strings.TrimSpace(c.show(v.median) + " " + r.overRaw(c, v.median))
	})
}

// detail is one column with its spread, and how each row stands to edgeloop.
func (r report) detail(b *strings.Builder, rows []server, c column) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(s server) bool {
		_, ok := r.of(s.name, c.measure, c.figure)
		return !ok
	})
	if len(rows) == 0 {
		return
	}
	titles := []string{"server", "median", "min–max"}
	if c.ratio {
		titles = append(titles, "to the raw loop")
	}
	if c.part != "" {
		titles = append(titles, c.partIs)
	}
	fmt.Fprintf(b, "\n### %s\n\n", c.heading)
	head(b, append(titles, "against edgeloop")...)
	for _, s := range rows {
		v, _ := r.of(s.name, c.measure, c.figure)
		cells := []string{s.what, c.show(v.median), c.between(v)}
		if c.ratio {
			cells = append(cells, r.overRaw(c, v.median))
		}
		if c.part != "" {
			cell := ""
			if part, ok := r.of(s.name, c.measure, c.part); ok {
				cell = c.show(part.median)
			}
			cells = append(cells, cell)
		}
		row(b, append(cells, r.against(c, s, v))...)
	}
}

// nodeTable is the node's own figures, with their spread.
func (r report) nodeTable(b *strings.Builder, nodes []server) {
	r.table(b, nodes, r.nodeColumns(), func(c column, v spread) string {
		if span := c.between(v); span != "" {
			return c.show(v.median) + " (" + span + ")"
		}
		return c.show(v.median)
	})
}

// ahead is the list at the top of the page.
func (r report) ahead(b *strings.Builder) {
	leads, gaps := r.leads(), r.gaps()
	if len(gaps) > 0 {
		fmt.Fprintf(b, "Here edgeloop has no figure, so no peer is compared: %s.\n\n", strings.Join(gaps, "; "))
	}
	if len(leads) == 0 {
		if len(gaps) == 0 && len(r.peers()) > 0 {
			b.WriteString("No peer needs less than edgeloop in any row.\n\n")
		}
		return
	}
	b.WriteString("Where a peer needs less than edgeloop:\n\n")
	for _, l := range leads {
		fmt.Fprintf(b, "- %s: %s has %s %s, edgeloop %s (%+.0f %%%s). %s\n", l.heading, l.peer.name,
			l.show(l.theirs.median), l.unit, l.show(l.ours.median), 100*(l.theirs.median/l.ours.median-1), noise(l.theirs, l.ours), r.reason(l))
	}
	b.WriteString("\n")
}

// markdown is the page.
func (r report) markdown(jsonName string) string {
	if r.plan.tls {
		return r.tlsMarkdown(jsonName)
	}
	var b strings.Builder
	all, nodes := r.rows()
	few := max(1, r.plan.connections/20)
	fmt.Fprintf(&b, "# Side by side, %s\n\n", r.Started.Format("2 January 2006"))
	r.busy(&b)
	r.goals(&b)
	r.ahead(&b)
	if len(r.Absent) > 0 {
		fmt.Fprintf(&b, "Not installed, so not measured: %s.\n\n", strings.Join(r.Absent, ", "))
	}
	fmt.Fprintf(&b, "%s connections, masked binary messages, client and server on loopback sharing the cores. Less is better everywhere. "+
		"µs are the server's CPU time, user and system, for each; × is the ratio to the raw loop with two threads. "+
		"RSS is marginal between %s and %s connections after a forced collection; the raw loop keeps nothing for a connection "+
		"but the kernel's part, so memory has no ratio. p50 and p99 are of round trips at %s messages/s over all connections. "+
		"Medians of %d rounds, %d s for each measurement.\n\n",
		thousands(float64(r.plan.connections)), thousands(float64(few)), thousands(float64(r.plan.connections)),
		thousands(float64(r.plan.rate)), r.rounds(), r.plan.seconds)
	plain := slices.DeleteFunc(slices.Clone(all), func(s server) bool { return s.mqtt })
	nodes = slices.DeleteFunc(nodes, func(s server) bool { return s.mqtt })
	r.overview(&b, plain)
	if len(nodes) > 0 {
		b.WriteString("\n## The whole node\n\nFrom socket to synced acknowledgement, JSON envelope, every device authenticated (HS256) and registered; " +
			"the first three with eight messages of each in flight.\n\n")
		r.nodeTable(&b, nodes)
	}
	r.mqttPart(&b, brokers(all))
	r.beforeAfter(&b)
	b.WriteString("\n## Each figure with its spread\n\n“Within noise” marks a difference to edgeloop that is smaller than the rounds' own: " +
		"the ranges from the smallest to the largest round overlap. Echo servers stand beside `edgeloop echo`; whole products, and broadcasts, " +
		"which `edgeloop echo` does not have, beside `edgeloop serve`. For the broadcast the peers' echo servers keep a list of their " +
		"connections behind a lock, and one process of each is in all its rows: its place there is part of a connection's memory, and of each connect, " +
		"and `edgeloop echo` keeps none.\n")
	for _, c := range r.columns() {
		r.detail(&b, plain, c)
	}
	if list := r.wrong(); len(list) > 0 {
		b.WriteString("\n## What went wrong\n\n- " + strings.Join(list, "\n- ") + "\n")
	}
	r.provenance(&b, jsonName)
	return b.String()
}

func (r report) provenance(b *strings.Builder, jsonName string) {
	var m struct {
		Kernel  string            `json:"kernel"`
		CPU     string            `json:"cpu"`
		Cores   int               `json:"cores"`
		Memory  int64             `json:"memory_bytes"`
		NoFile  uint64            `json:"nofile_hard"`
		Sysctls map[string]string `json:"sysctls"`
	}
	_ = json.Unmarshal(r.machine(), &m) // without a machine the line says so by its zeros
	fmt.Fprintf(b, "\nCommand: `%s`, %.0f min. Commit: %s. Machine: %s, %d cores, %.0f GiB, Linux %s, %s, descriptors %d. Raw numbers: [%s](%s).\n",
		r.Command, r.TookS/60, r.Commit, m.CPU, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, goVersion(), m.NoFile, jsonName, jsonName)
	names := make([]string, 0, len(m.Sysctls))
	for name, v := range m.Sysctls {
		names = append(names, fmt.Sprintf("`%s=%s`", name, v))
	}
	sort.Strings(names)
	fmt.Fprintf(b, "\nSysctls: %s.\n", strings.Join(names, ", "))
}
