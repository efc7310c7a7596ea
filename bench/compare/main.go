// Command compare measures echo servers and edgeloop side by side: the same
// fleet drives each in turn, several rounds interleaved, on one machine.
//
// It is run from the root of the repository, where `make bench-compare` has
// built everything under bin/, and writes bench/results/DATE-NAME.md and .json.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is what to run.
type plan struct {
	rounds      int
	connections int
	seconds     int
	rate        int
	only        []string
	measures    []string
	older       string
	name        string
	out         string
	limit       time.Duration
	within      time.Duration
	tls         bool
	certs       certs
}

func flags() plan {
	var p plan
	var only, measures string
	flag.IntVar(&p.rounds, "rounds", 3, "rounds, each through all servers; the table shows medians")
	flag.IntVar(&p.connections, "connections", 10000, "connections")
	flag.IntVar(&p.seconds, "seconds", 5, "seconds of each traffic measurement")
	flag.IntVar(&p.rate, "rate", 20000, "messages a second of the paced measurements")
	flag.StringVar(&only, "only", "", "only these servers, by comma")
	flag.StringVar(&measures, "measures", "", "only these measures, by comma")
	flag.StringVar(&p.older, "older", "", "an older edgeloop binary to measure beside today's: rows "+olderLoop+" and "+olderNode)
	flag.StringVar(&p.name, "name", "compare", "name of the result files")
	flag.StringVar(&p.out, "out", "bench/results", "folder for the results")
	flag.DurationVar(&p.limit, "limit", 2*time.Minute, "longest time for one measurement")
	flag.DurationVar(&p.within, "within", 0, "longest time for all rounds, 0 is as long as they take: one that would not end in time is left out")
	flag.BoolVar(&p.tls, "tls", false, "measure TLS: the node beside itself without it, gws, nginx and HAProxy")
	flag.Parse()
	p.only, p.measures = byComma(only), byComma(measures)
	if err := p.check(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
	return p
}

func byComma(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// servers lists what the plan can measure, in the order of the table.
func (p plan) servers() []server {
	if p.tls {
		return tlsServers()
	}
	return withOlder(servers(), p.older)
}

// check refuses what would end with an empty page.
func (p plan) check() error {
	var names, measured []string
	for _, s := range p.servers() {
		names = append(names, s.name)
	}
	for _, m := range measures(p) {
		measured = append(measured, m.name)
	}
	for _, name := range p.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only: there is no server %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	for _, name := range p.measures {
		if !slices.Contains(measured, name) {
			return fmt.Errorf("-measures: there is no measure %q; there are %s", name, strings.Join(measured, ", "))
		}
	}
	if p.older != "" {
		if _, err := exec.LookPath(p.older); err != nil {
			return fmt.Errorf("-older %s: want an edgeloop binary, as scripts/bench-before.sh builds it: %w", p.older, err)
		}
	}
	if p.rounds < 1 || p.connections < 2 || p.seconds < 1 || p.rate < 1 {
		return fmt.Errorf("-rounds %d, -connections %d, -seconds %d, -rate %d: want at least 1, 2, 1 and 1", p.rounds, p.connections, p.seconds, p.rate)
	}
	return nil
}

func main() {
	// Debian has mosquitto in /usr/sbin, where an ordinary user's PATH does not lead.
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin") // fails only for a name with a zero byte
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, flags())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// run goes through all servers, round by round, and writes what it has after
// each round: an interrupted run leaves the rounds before. The error is also that
// of a figure which nobody should take as it is.
func run(ctx context.Context, p plan) error {
	if p.tls {
		dir, err := os.MkdirTemp("", "compare-tls-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if p.certs, err = makeCerts(dir); err != nil {
			return err
		}
	}
	rep := report{Started: time.Now().UTC(), Commit: commit(ctx), Command: shown(os.Args), Load: loadAverage(), plan: p}
	list := rep.choose(p)
	if p.within > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, p.within)
		defer stop()
	}
	for round := 1; round <= p.rounds && rep.fits(p, round); round++ {
		err := rep.round(ctx, p, round, list)
		if err != nil {
			rep.Problems = append(rep.Problems, fmt.Sprintf("round %d was not finished: %v", round, err))
		}
		rep.TookS = time.Since(rep.Started).Seconds()
		if err := errors.Join(err, rep.write(p)); err != nil {
			return err
		}
	}
	fmt.Print(rep.markdown(rep.base(p) + ".json"))
	if list := rep.wrong(); len(list) > 0 {
		return fmt.Errorf("%d things went wrong, listed on the page", len(list))
	}
	return nil
}

// fits says whether one more round can be expected to end in time.
func (r *report) fits(p plan, round int) bool {
	before := float64(round - 1)
	if p.within == 0 || before == 0 || r.TookS*(before+1)/before <= p.within.Seconds() {
		return true
	}
	fmt.Fprintf(os.Stderr, "compare: after %.0f s there is no time for round %d within %v\n", r.TookS, round, p.within)
	return false
}

// loadAverage is how many wanted a core, over the minute before.
func loadAverage() float64 {
	b, _ := os.ReadFile("/proc/loadavg") // without it the page says 0
	var v float64
	_, _ = fmt.Sscan(string(b), &v)
	return v
}

// choose lists the servers of the plan and notes which are not there to measure.
// One that is asked for by name has to be.
func (r *report) choose(p plan) []server {
	if len(p.only) > 0 {
		return slices.DeleteFunc(p.servers(), func(s server) bool { return !slices.Contains(p.only, s.name) })
	}
	return slices.DeleteFunc(p.servers(), func(s server) bool {
		if !s.absent() {
			return false
		}
		r.Absent = append(r.Absent, s.name)
		return true
	})
}

// round measures each server once, in the order of the list in odd rounds and
// backwards in even ones. What goes wrong with one of them is noted and the others
// are measured all the same; the error is that of ctx.
func (r *report) round(ctx context.Context, p plan, round int, list []server) error {
	for _, side := range turned(p.sides(list), round) {
		err := r.measureAll(ctx, p, side, round)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "compare:", err)
			r.Problems = append(r.Problems, fmt.Sprintf("round %d, %s", round, strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	return nil
}

// base is the name of the result files without their ending.
func (r *report) base(p plan) string { return r.Started.Format("2006-01-02") + "-" + p.name }

// write stores the table and the numbers that it was made from.
func (r *report) write(p plan) error {
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return err
	}
	base := filepath.Join(p.out, r.base(p))
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".json", append(b, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(base+".md", []byte(r.markdown(filepath.Base(base)+".json")), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "written: %s.md, %s.json\n", base, base)
	return nil
}
