package soak

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"edgeloop/bench/fault/life"
	"edgeloop/bench/probe"
	"edgeloop/internal/pause"
)

// Tally is how often a node was hurt in one way, and the longest time in
// seconds until all its devices were back and had progressed.
type Tally struct {
	Node          string  `json:"node"`
	Kind          string  `json:"kind"`
	Times         int     `json:"times"`
	WorstRecovery float64 `json:"worst_recovery_s"`
}

// Drift is how one figure of the node that lives on grew, from the median of the
// second quarter of the readings to that of the last.
type Drift struct {
	Name     string  `json:"name"`
	Readings int     `json:"readings"`
	From     float64 `json:"from"`
	To       float64 `json:"to"`
	Highest  float64 `json:"highest"`
	Drifted  bool    `json:"drifted"`
}

// Result is what a soak showed.
type Result struct {
	Began    time.Time     `json:"began"`
	Commit   string        `json:"commit"` // of the node, with "-dirty" where it was changed
	Command  string        `json:"command"`
	Seed     uint64        `json:"seed"`
	Wanted   float64       `json:"wanted_s"`
	Seconds  float64       `json:"seconds"`
	Finished bool          `json:"finished"` // it ran for all of its time
	Checks   int           `json:"checks"`   // of a log, before the last of each
	MaxDrift float64       `json:"max_drift_percent"`
	Faults   []Tally       `json:"faults"`
	Drifts   []Drift       `json:"drifts"`
	Nodes    []life.Result `json:"nodes"`
	Machine  probe.Machine `json:"machine"`
	Failure  string        `json:"failure,omitempty"` // why it could not be carried out
}

// OK says that no promise was broken.
func (r *Result) OK() bool {
	return !slices.ContainsFunc(r.Nodes, func(n life.Result) bool { return !n.OK() })
}

// Verdict is the result in one word or two.
func (r *Result) Verdict() string {
	switch {
	case !r.OK():
		return "BROKEN"
	case !r.Finished:
		return "not finished"
	default:
		return "held"
	}
}

// leftOut says what a soak does not do.
const leftOut = "Nothing in a soak needs root, and so it leaves out what does: full and failing disks, " +
	"power cuts, packet loss and partitions, control groups. Those are in `make faults`."

func (s *soak) result(nodes [2]life.Result) Result {
	r := Result{
		Began: s.began, Commit: cmp.Or(s.o.Commit, commitOf(s.o.Binary), "unknown"), Command: s.o.Command, Seed: s.o.Seed,
		Wanted: s.o.Duration.Seconds(), Seconds: time.Since(s.began).Seconds(),
		Finished: time.Now().After(s.end), Checks: s.checks, MaxDrift: s.o.MaxDrift,
		Drifts: s.drifts(), Nodes: nodes[:], Machine: probe.ReadMachine(),
	}
	for _, kind := range slices.Sorted(maps.Keys(s.tally)) {
		r.Faults = append(r.Faults, *s.tally[kind])
	}
	return r
}

// commitOf is the commit that a program was built from, "" if it does not say.
func commitOf(path string) (commit string) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	dirty := ""
	for _, set := range info.Settings {
		switch {
		case set.Key == "vcs.revision":
			commit = set.Value[:min(12, len(set.Value))]
		case set.Key == "vcs.modified" && set.Value == "true":
			dirty = "-dirty"
		}
	}
	return commit + dirty
}

// print prints a line every minute until ctx ends.
func (s *soak) print(ctx context.Context) {
	if s.o.Out == nil {
		return
	}
	fmt.Fprintln(s.o.Out, leftOut)
	for pause.For(ctx, min(time.Minute, s.o.Duration/10)) == nil {
		fmt.Fprintln(s.o.Out, s.progress())
	}
}

// progress is where the soak stands, in one line.
func (s *soak) progress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%8s", time.Since(s.began).Round(time.Second))
	for _, l := range s.lives {
		_, acked := l.Crew.Totals()
		kept, _ := l.Journal.Violations()
		fmt.Fprintf(&b, "  %s: acked %d, online %d, broken %d", l.Scenario.Name, acked, l.Crew.Online(), len(kept))
	}
	if s.now != nil {
		fmt.Fprintf(&b, "  rss %.0f MiB, heap %.1f MiB, goroutines %.0f, threads %.0f, fds %.0f",
			s.now["rss_bytes"]/(1<<20), s.now["heap_bytes"]/(1<<20), s.now["goroutines"], s.now["threads"], s.now["fds"])
	}
	fmt.Fprintf(&b, "  checks %d ", s.checks)
	for _, kind := range slices.Sorted(maps.Keys(s.tally)) {
		fmt.Fprintf(&b, " | %s %d", kind, s.tally[kind].Times)
	}
	return b.String()
}

// Save appends the result to DATE-soak.json, an object a line, and as a section to
// DATE-soak.md in dir.
func (r *Result) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	date := r.Began.UTC().Format(time.DateOnly)
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := appendTo(filepath.Join(dir, date+"-soak.json"), func(w io.Writer, _ bool) {
		fmt.Fprintf(w, "%s\n", line)
	}); err != nil {
		return err
	}
	return appendTo(filepath.Join(dir, date+"-soak.md"), func(w io.Writer, empty bool) {
		if empty {
			fmt.Fprintf(w, "# Soak, %s\n\nWhat `make soak` (package bench/fault) did to two nodes for hours, and what their logs\n"+
				"held. Raw results, one JSON object a run: [%s-soak.json](%s-soak.json).\n", date, date, date)
		}
		r.Markdown(w)
	})
}

func appendTo(path string, write func(w io.Writer, empty bool)) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	var b strings.Builder
	info, err := f.Stat()
	if err == nil {
		write(&b, info.Size() == 0)
		_, err = io.WriteString(f, b.String())
	}
	return errors.Join(err, f.Close())
}

// Markdown writes the result as a section.
func (r *Result) Markdown(w io.Writer) {
	took := time.Duration(r.Seconds) * time.Second
	fmt.Fprintf(w, "\n## %s, %s: %s\n\n    %s    # %s\n\n", r.Began.UTC().Format("15:04"), took, r.Verdict(), r.Command, r.Commit)
	fmt.Fprintf(w, "%d cores (%s), Linux %s, %s.\n\n", r.Machine.Cores, r.Machine.CPU, r.Machine.Kernel, r.Machine.Go)
	if r.Failure != "" {
		fmt.Fprintf(w, "It could not be carried out to the end: %s\n\n", r.Failure)
	}
	fmt.Fprintln(w, "One node lived through it in one process, with devices that come and go, vanish and read\n"+
		"slowly; the other was killed and started again on its directory. Both logs were held against\n"+
		"what the devices had written down, all of it each time:", r.Checks, "times under load, and at the end.\n"+leftOut)
	fmt.Fprintf(w, "\n| node | devices | kills | other faults | acknowledged | in the log | commands answered | slowest start | broken promises |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d | %d of %d | %.2f s | %d |\n", n.Scenario, n.Devices, n.Kills, n.Faults, n.Acked, n.Logged, n.Answered, n.Commands, n.WorstBoot, len(n.Violations)+n.MoreViolations)
	}
	fmt.Fprintf(w, "\nThe log of %s also holds what floods wrote into it.\n", livesOn)
	fmt.Fprintf(w, "\n| node | fault | times | slowest recovery |\n|---|---|---|---|\n")
	for _, f := range r.Faults {
		fmt.Fprintf(w, "| %s | %s | %d | %.1f s |\n", f.Node, f.Kind, f.Times, f.WorstRecovery)
	}
	fmt.Fprintf(w, "\nRecovery ends when all devices are connected again and have progressed. Growth of %s, from the\n"+
		"median of the second quarter to that of the last; more than %.0f %% is a break, above a floor:\n", livesOn, r.MaxDrift)
	fmt.Fprintf(w, "\n| figure | readings | second quarter | last quarter | growth | highest |\n|---|---|---|---|---|---|\n")
	for _, d := range r.Drifts {
		growth := "-"
		if d.From > 0 {
			growth = fmt.Sprintf("%+.1f %%", 100*(d.To-d.From)/d.From)
		}
		if d.Drifted {
			growth += ", BROKEN"
		}
		fmt.Fprintf(w, "| %s | %d | %.0f | %.0f | %s | %.0f |\n", d.Name, d.Readings, d.From, d.To, growth, d.Highest)
	}
	for _, n := range r.Nodes {
		if !n.OK() {
			fmt.Fprintf(w, "\nBroken by %s, seed %d:\n\n", n.Scenario, n.Seed)
			fmt.Fprintln(w, "```\n"+n.Details()+"```")
		}
	}
}
