package main

import (
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// The rows of an older edgeloop, each beside the row that it is held against.
const (
	olderLoop = "older-echo"
	olderNode = "older-serve"
)

// withOlder adds the rows of an older binary, each in front of today's. Only the
// program and the names differ.
func withOlder(list []server, binary string) []server {
	if binary == "" {
		return list
	}
	rev := revision(binary)
	var out []server
	for _, s := range list {
		if s.name == loopOnly || s.name == wholeOne {
			old := s
			old.name = map[string]string{loopOnly: olderLoop, wholeOne: olderNode}[s.name]
			old.what = s.what + ", " + rev
			old.args = append([]string{binary}, s.args[1:]...)
			out = append(out, old)
		}
		out = append(out, s)
	}
	return out
}

// revision is the commit of a binary: what the compiler noted, or else what
// follows the last dash of its file's name.
func revision(binary string) string {
	if info, err := buildinfo.ReadFile(binary); err == nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	name := filepath.Base(binary)
	return name[strings.LastIndex(name, "-")+1:]
}

// sides are the lists of servers that run at the same time: one server each, or,
// with an older binary, all in one. Each measure goes through the whole side
// before the next one, so before and after are measured within a minute.
func (p plan) sides(list []server) [][]server {
	if p.older != "" {
		return [][]server{list}
	}
	var out [][]server
	for _, s := range list {
		out = append(out, []server{s})
	}
	return out
}

// turned is list as it is, or backwards when n is even: who comes second on a
// busy machine looks slower, so nobody comes second always.
func turned[T any](list []T, n int) []T {
	out := slices.Clone(list)
	if n%2 == 0 {
		slices.Reverse(out)
	}
	return out
}

// pair is one figure of the older binary and of today's.
type pair struct {
	column
	older, now string
}

// pairs are the rows of the table of before and after.
func (r report) pairs() []pair {
	paced := " at " + thousands(float64(r.plan.rate)) + "/s"
	return []pair{
		{column{title: "ingest, saturated: CPU µs a message", measure: "telemetry", figure: "cpu_us_per_message", digits: 2}, olderNode, wholeOne},
		{column{title: "ingest, saturated: messages/s", measure: "telemetry", figure: "messages_per_s"}, olderNode, wholeOne},
		{column{title: "ingest" + paced + ": CPU µs a message", measure: "telemetry-paced", figure: "cpu_us_per_message", digits: 2}, olderNode, wholeOne},
		{column{title: "ingest" + paced + ": ack p50 ms", measure: "telemetry-paced", figure: "ack_p50_ms", digits: 2}, olderNode, wholeOne},
		{column{title: "ingest" + paced + ": ack p99 ms", measure: "telemetry-paced", figure: "ack_p99_ms", digits: 2}, olderNode, wholeOne},
		{column{title: "idle authenticated device: RSS, B", measure: "idle", figure: "rss_bytes_per_connection"}, olderNode, wholeOne},
		{column{title: "the same ten seconds later: RSS, B", measure: "idle", figure: "rss_after_bytes_per_connection"}, olderNode, wholeOne},
		{column{title: "idle authenticated device: heap, B", measure: "idle", figure: "heap_bytes_per_connection"}, olderNode, wholeOne},
		{column{title: "connect, whole node: CPU µs", measure: "connect", figure: "cpu_us_per_connect", digits: 1, ratio: true}, olderNode, wholeOne},
		{column{title: "connect, loop only: CPU µs", measure: "connect", figure: "cpu_us_per_connect", digits: 1, ratio: true}, olderLoop, loopOnly},
		{column{title: "echo of 128 B: CPU µs", measure: "echo-1", figure: "cpu_us_per_echo", digits: 2, ratio: true}, olderLoop, loopOnly},
		{column{title: "echo of 128 B, eight in flight: CPU µs", measure: "echo-8", figure: "cpu_us_per_echo", digits: 2, ratio: true}, olderLoop, loopOnly},
		{column{title: "broadcast: CPU µs a delivery", measure: "broadcast", figure: "cpu_us_per_delivery", digits: 2, ratio: true}, olderNode, wholeOne},
	}
}

// beforeAfter is the table of both binaries, with the ratio of each round.
func (r report) beforeAfter(b *strings.Builder) {
	if r.plan.older == "" {
		return
	}
	fmt.Fprintf(b, "\n## Before and after\n\nBefore is %s, after %s. Both run at the same time, and each measure goes through the servers in turn, "+
		"forwards and backwards alternately. A ratio is the median of the rounds' ratios, with the smallest and the largest; "+
		"× is the ratio to the raw loop with two threads in the same round.\n\n", revision(r.plan.older), r.Commit)
	head(b, "figure", "before", "after", "after / before", "min–max", "before to raw", "after to raw")
	for _, p := range r.pairs() {
		before, ok1 := r.of(p.older, p.measure, p.figure)
		after, ok2 := r.of(p.now, p.measure, p.figure)
		both := r.over(p.column, p.now, p.older)
		if !ok1 || !ok2 || both.rounds == 0 {
			continue
		}
		cells := []string{p.title, p.show(before.median), p.show(after.median), fmt.Sprintf("%.2f", both.median), fmt.Sprintf("%.2f–%.2f", both.min, both.max), "", ""}
		if p.ratio {
			for i, name := range []string{p.older, p.now} {
				if raw := r.over(p.column, name, physical); raw.rounds > 0 {
					cells[5+i] = fmt.Sprintf("×%.2f", raw.median)
				}
			}
		}
		row(b, cells...)
	}
}

// over is the ratio of one server's figure to another's, round by round.
func (r report) over(c column, server, base string) spread {
	var v []float64
	for n := 1; n <= r.rounds(); n++ {
		a, ok1 := r.inRound(n, server, c)
		b, ok2 := r.inRound(n, base, c)
		if ok1 && ok2 && b > 0 {
			v = append(v, a/b)
		}
	}
	return spreadOf(v)
}

// inRound is one figure of one server in one round.
func (r report) inRound(n int, server string, c column) (float64, bool) {
	for _, one := range r.Runs {
		if f, ok := one.Figures[c.figure]; ok && one.Round == n && one.Server == server && one.Measure == c.measure && one.Error == "" {
			return f, true
		}
	}
	return 0, false
}
