package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
)

// report is everything measured; it is also the JSON file.
type report struct {
	Started  time.Time `json:"started"`
	Commit   string    `json:"commit"`
	Command  string    `json:"command"`
	Runs     []record  `json:"runs"`
	Problems []string  `json:"problems,omitempty"`
	plan     plan
}

// MarshalJSON adds the machine, once for all runs.
func (r report) MarshalJSON() ([]byte, error) {
	type plain report
	return json.Marshal(struct {
		plain
		Machine json.RawMessage `json:"machine"`
	}{plain(r), r.machine()})
}

func (r report) machine() json.RawMessage {
	for _, one := range r.Runs {
		if one.machine != nil {
			return one.machine
		}
	}
	return json.RawMessage("{}")
}

// median of one figure over the rounds; ok is false where it was not measured.
func (r report) median(server, measure, figure string) (float64, bool) {
	var v []float64
	for _, one := range r.Runs {
		if f, ok := one.Figures[figure]; ok && one.Server == server && one.Measure == measure && one.Error == "" {
			v = append(v, f)
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (mid + v[len(v)/2-1]) / 2
	}
	return mid, true
}

// column is one column of a table: a figure, and what its ratio is taken to.
type column struct {
	title   string
	measure string
	figure  string
	user    string // figure of the user part, shown in brackets
	digits  int
	ratio   bool   // to the raw loop with two threads
	against string // the ratio is to this measure of the raw loop instead
}

// physical is the row that ratios are taken to: as many threads as the Go
// servers use on the two cores they are given.
const physical = "raw-2"

func echoColumns(p plan) []column {
	return []column{
		{title: "RSS B/conn", measure: "idle", figure: "rss_bytes_per_connection"},
		{title: "heap B/conn", measure: "idle", figure: "heap_bytes_per_connection"},
		{title: "connect µs", measure: "connect", figure: "cpu_us_per_connect", digits: 1, ratio: true},
		{title: "echo µs (user)", measure: "echo-1", figure: "cpu_us_per_echo", user: "cpu_user_us_per_echo", digits: 2, ratio: true},
		{title: "8 in flight µs (user)", measure: "echo-8", figure: "cpu_us_per_echo", user: "cpu_user_us_per_echo", digits: 2, ratio: true},
		{title: "1 KiB µs (user)", measure: "echo-1k", figure: "cpu_us_per_echo", user: "cpu_user_us_per_echo", digits: 2, ratio: true},
		{title: fmt.Sprintf("p50 ms at %d/s", p.rate), measure: "echo-paced", figure: "rtt_p50_ms", digits: 2},
		{title: "p99 ms", measure: "echo-paced", figure: "rtt_p99_ms", digits: 2},
		{title: "broadcast µs", measure: "broadcast", figure: "cpu_us_per_delivery", digits: 2, ratio: true},
	}
}

func nodeColumns(p plan) []column {
	return []column{
		{title: "messages/s", measure: "telemetry", figure: "messages_per_s"},
		{title: "CPU µs per message (user)", measure: "telemetry", figure: "cpu_us_per_message", user: "cpu_user_us_per_message", digits: 2, against: "echo-8"},
		{title: fmt.Sprintf("CPU µs at %d/s", p.rate), measure: "telemetry-paced", figure: "cpu_us_per_message", digits: 2},
		{title: fmt.Sprintf("ack p50 ms at %d/s", p.rate), measure: "telemetry-paced", figure: "ack_p50_ms", digits: 2},
		{title: "ack p99 ms", measure: "telemetry-paced", figure: "ack_p99_ms", digits: 2},
		{title: "ack p99.9 ms", measure: "telemetry-paced", figure: "ack_p99_9_ms", digits: 2},
	}
}

func (r report) cell(server string, c column) string {
	v, ok := r.median(server, c.measure, c.figure)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("%.*f", c.digits, v)
	if c.digits == 0 {
		text = thousands(v)
	}
	if user, ok := r.median(server, c.measure, c.user); ok && c.user != "" {
		text += fmt.Sprintf(" (%.*f)", c.digits, user)
	}
	against, figure := c.measure, c.figure
	if c.against != "" {
		against, figure = c.against, "cpu_us_per_echo"
	}
	if base, ok := r.median(physical, against, figure); ok && (c.ratio || c.against != "") && base > 0 {
		text += fmt.Sprintf(" ×%.2f", v/base)
	}
	if c.measure == "idle" && !collects(server) {
		text += " †"
	}
	return text
}

// collects says whether the server could be told to collect its garbage, or has
// none.
func collects(name string) bool {
	for _, s := range servers() {
		if s.name == name {
			return s.control || s.mqtt || strings.HasPrefix(s.name, "raw")
		}
	}
	return true
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

func (r report) table(b *strings.Builder, rows []server, cols []column) {
	b.WriteString("| server |")
	for _, c := range cols {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(cols)) + "\n")
	for _, s := range rows {
		b.WriteString("| " + s.what + " |")
		for _, c := range cols {
			b.WriteString(" " + r.cell(s.name, c) + " |")
		}
		b.WriteString("\n")
	}
}

// behind lists where a peer needs less than edgeloop's echo server.
func (r report) behind() []string {
	var out []string
	for _, c := range echoColumns(r.plan) {
		ours, ok := r.median("edgeloop-echo", c.measure, c.figure)
		if c.measure == "broadcast" {
			ours, ok = r.median("edgeloop-serve", c.measure, c.figure)
		}
		if !ok {
			continue
		}
		for _, s := range servers() {
			if strings.HasPrefix(s.name, "raw") || strings.HasPrefix(s.name, "edgeloop") {
				continue
			}
			if v, ok := r.median(s.name, c.measure, c.figure); ok && v < ours {
				out = append(out, fmt.Sprintf("%s: %s has %.*f, edgeloop %.*f", c.title, s.name, c.digits, v, c.digits, ours))
			}
		}
	}
	return out
}

// unsound lists runs in which a server lost or spoiled messages, and failures.
func (r report) unsound() []string {
	out := slices.Clone(r.Problems)
	for _, one := range r.Runs {
		if one.Unsound > 0 {
			out = append(out, fmt.Sprintf("round %d, %s %s: %d messages lost or spoiled", one.Round, one.Server, one.Measure, one.Unsound))
		} else if one.Error != "" {
			out = append(out, fmt.Sprintf("round %d, %s %s: %s", one.Round, one.Server, one.Measure, one.Error))
		}
	}
	return out
}

func (r report) rows() (all, nodes []server) {
	measured := make(map[string]bool)
	for _, one := range r.Runs {
		measured[one.Server] = true
	}
	for _, s := range servers() {
		if measured[s.name] {
			all = append(all, s)
			if s.node {
				nodes = append(nodes, s)
			}
		}
	}
	return all, nodes
}

// markdown is the page.
func (r report) markdown(jsonName string) string {
	var b strings.Builder
	all, nodes := r.rows()
	fmt.Fprintf(&b, "# Side by side, %s\n\n", r.Started.Format("2 January 2006"))
	if list := r.behind(); len(list) > 0 {
		b.WriteString("Where a peer needs less than edgeloop:\n\n- " + strings.Join(list, "\n- ") + "\n\n")
	}
	fmt.Fprintf(&b, "%s connections, %d B masked binary messages, client and server on loopback sharing the cores. "+
		"“µs” is the server's CPU time, user and system, for each; × is the ratio to the raw loop with two threads. "+
		"RSS and heap are marginal between %d and %d connections after a forced collection. Medians of %d rounds, %d s for each measurement.\n\n",
		thousands(float64(r.plan.connections)), 128, max(1, r.plan.connections/20), r.plan.connections, r.plan.rounds, r.plan.seconds)
	r.table(&b, all, echoColumns(r.plan))
	if strings.Contains(b.String(), "†") {
		b.WriteString("\n† Without a forced collection: the process offers none.\n")
	}
	if len(nodes) > 0 {
		b.WriteString("\nFrom socket to synced acknowledgement, JSON envelope, every device authenticated (HS256) and registered, " +
			"eight messages of each in flight; × is the ratio to the raw loop's echo with eight in flight:\n\n")
		r.table(&b, nodes, nodeColumns(r.plan))
	}
	if list := r.unsound(); len(list) > 0 {
		b.WriteString("\nWhat went wrong:\n\n- " + strings.Join(list, "\n- ") + "\n")
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
	fmt.Fprintf(b, "\nCommand: `%s`. Commit: %s. Machine: %s, %d cores, %.0f GiB, Linux %s, %s, descriptors %d. Raw numbers: [%s](%s).\n",
		r.Command, r.Commit, m.CPU, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, goVersion(), m.NoFile, jsonName, jsonName)
	names := make([]string, 0, len(m.Sysctls))
	for name, v := range m.Sysctls {
		names = append(names, fmt.Sprintf("`%s=%s`", name, v))
	}
	sort.Strings(names)
	fmt.Fprintf(b, "\nSysctls: %s.\n", strings.Join(names, ", "))
}
