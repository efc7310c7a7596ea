package life

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Result is what one life showed.
type Result struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Devices  int     `json:"devices"`
	Seconds  float64 `json:"seconds"`
	Kills    int     `json:"kills"`
	Faults   int     `json:"faults"` // other than kills
	Sent     uint64  `json:"sent"`
	Acked    uint64  `json:"acked"`
	Logged   int     `json:"logged"`
	Commands int     `json:"commands"`
	Answered int     `json:"answered"`

	WorstBoot float64        `json:"worst_boot_s"`
	Settle    float64        `json:"settle_s"`
	RSSBefore int64          `json:"rss_before"`
	RSS       int64          `json:"rss_after"`
	FDsBefore int            `json:"fds_before"`
	FDs       int            `json:"fds_after"`
	Ends      map[string]int `json:"ends"`
	Notes     []string       `json:"notes,omitempty"`
	Tricks    []Suffered     `json:"tricks,omitempty"`

	Violations     []string `json:"violations"`
	MoreViolations int      `json:"more_violations"`
	History        string   `json:"history,omitempty"`
}

// OK says that no promise was broken.
func (r Result) OK() bool { return len(r.Violations) == 0 }

// String is the result in one line.
func (r Result) String() string {
	verdict := "ok"
	if !r.OK() {
		verdict = fmt.Sprintf("BROKEN %d", len(r.Violations)+r.MoreViolations)
	}
	return fmt.Sprintf("%-14s seed=%-6d %4d devices %6.1fs  kills %3d faults %3d  acked %8d logged %8d  boot %.2fs settle %.1fs  commands %d/%d  rss %d>%d MiB fds %d>%d  %s",
		r.Scenario, r.Seed, r.Devices, r.Seconds, r.Kills, r.Faults, r.Acked, r.Logged, r.WorstBoot, r.Settle,
		r.Answered, r.Commands, r.RSSBefore>>20, r.RSS>>20, r.FDsBefore, r.FDs, verdict)
}

// Details are the ends of connections, the notes, and what was broken.
func (r Result) Details() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(r.Ends)) {
		fmt.Fprintf(&b, "    %7d x %s\n", r.Ends[kind], kind)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "    %s\n", n)
	}
	for i, v := range r.Violations {
		if i == 10 {
			fmt.Fprintf(&b, "    ... and %d more\n", len(r.Violations)-i+r.MoreViolations)
			break
		}
		fmt.Fprintf(&b, "    BROKEN %s\n", v)
	}
	b.WriteString(r.History)
	return b.String()
}

// Note adds a line to the result.
func (l *Life) Note(format string, args ...any) {
	l.Result.Notes = append(l.Result.Notes, fmt.Sprintf(format, args...))
}

// report prints the life, and how to repeat it when it failed.
func (l *Life) report() {
	if l.Options.Out == nil {
		return
	}
	fmt.Fprintln(l.Options.Out, l.Result)
	if len(l.Result.Notes) > 0 || !l.Result.OK() {
		fmt.Fprint(l.Options.Out, l.Result.Details())
	}
	if !l.Result.OK() {
		fmt.Fprintf(l.Options.Out, "    again: edgefault run %s --seed=%d --rounds=%d --devices=%d --load=%s; the node's log: %s\n",
			l.Scenario.Name, l.Options.Seed, l.Options.Rounds, l.Options.Devices, l.Options.Load, l.Node.Log)
	}
}
