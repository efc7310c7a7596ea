package life

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// WriteTable writes the results as Markdown: a row for each scenario in the order of appearance, a
// row for all, and the notes of the lives.
func WriteTable(w io.Writer, lives []Result) error {
	var b strings.Builder
	b.WriteString(`| scenario | devices | seeds | lives | kills | other faults | acknowledged | in the logs | slowest start | slowest settling | memory at the end, at most | lives broken |
|---|---|---|---|---|---|---|---|---|---|---|---|
`)
	var names []string
	of := map[string][]Result{}
	for _, r := range lives {
		if of[r.Scenario] == nil {
			names = append(names, r.Scenario)
		}
		of[r.Scenario] = append(of[r.Scenario], r)
	}
	for _, name := range names {
		b.WriteString(row(name, of[name]))
	}
	if len(names) > 1 {
		b.WriteString(row("all", lives))
	}
	b.WriteString("\n")
	for _, r := range lives {
		for _, v := range r.Violations {
			fmt.Fprintf(&b, "- **%s, seed %d, BROKEN: %s**\n", r.Scenario, r.Seed, v)
		}
	}
	for _, r := range lives {
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "- %s, seed %d: %s\n", r.Scenario, r.Seed, n)
		}
	}
	for _, r := range lives {
		if len(r.Tricks) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s", r.Scenario, sufferings(r.Tricks))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sufferings is a row for each trick.
func sufferings(all []Suffered) string {
	var b strings.Builder
	b.WriteString(`| trick | what is tried | peers | what it came to | devices' ack p99, before > meanwhile | ping p99 | memory grew by | descriptors | |
|---|---|---|---|---|---|---|---|---|
`)
	cell := func(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
	for _, s := range all {
		verdict := "ok"
		if len(s.Broken) > 0 {
			verdict = "**" + strings.Join(s.Broken, "; ") + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %.1f > %.1f ms | %.1f > %.1f ms | %.1f MiB | %d | %s |\n",
			s.Trick, cell(s.About), s.Peers, cell(s.Spoils), s.AckQuiet, s.Ack, s.PingQuiet, s.Ping, float64(s.Grew)/(1<<20), s.FDs, cell(verdict))
	}
	return b.String()
}

func row(name string, lives []Result) string {
	var total Result
	var devices, seeds []uint64
	broken := 0
	for _, r := range lives {
		devices = append(devices, uint64(r.Devices)) //nolint:gosec // a count
		seeds = append(seeds, r.Seed)
		total.Kills += r.Kills
		total.Faults += r.Faults
		total.Acked += r.Acked
		total.Logged += r.Logged
		total.WorstBoot = max(total.WorstBoot, r.WorstBoot)
		total.Settle = max(total.Settle, r.Settle)
		total.RSS = max(total.RSS, r.RSS)
		if !r.OK() {
			broken++
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %d | %d | %d | %d | %.2f s | %.1f s | %d MiB | %d |\n",
		name, fromTo(devices), fromTo(seeds), len(lives), total.Kills, total.Faults, total.Acked, total.Logged,
		total.WorstBoot, total.Settle, total.RSS>>20, broken)
}

// fromTo is "5", or "5 to 9".
func fromTo(n []uint64) string {
	if lo, hi := slices.Min(n), slices.Max(n); lo != hi {
		return fmt.Sprintf("%d to %d", lo, hi)
	}
	return strconv.FormatUint(n[0], 10)
}
