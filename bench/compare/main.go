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
	name        string
	out         string
	limit       time.Duration
}

func flags() plan {
	var p plan
	var only string
	flag.IntVar(&p.rounds, "rounds", 3, "rounds, each through all servers; the table shows medians")
	flag.IntVar(&p.connections, "connections", 10000, "connections")
	flag.IntVar(&p.seconds, "seconds", 5, "seconds of each traffic measurement")
	flag.IntVar(&p.rate, "rate", 20000, "messages a second of the paced measurements")
	flag.StringVar(&only, "only", "", "only these servers, by comma")
	flag.StringVar(&p.name, "name", "compare", "name of the result files")
	flag.StringVar(&p.out, "out", "bench/results", "folder for the results")
	flag.DurationVar(&p.limit, "limit", 2*time.Minute, "longest time for one measurement")
	flag.Parse()
	if only != "" {
		p.only = strings.Split(only, ",")
	}
	if err := p.check(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
	return p
}

// check refuses what would end with an empty page.
func (p plan) check() error {
	var names []string
	for _, s := range servers() {
		names = append(names, s.name)
	}
	for _, name := range p.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only: there is no server %q; there are %s", name, strings.Join(names, ", "))
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
	rep := report{Started: time.Now().UTC(), Commit: commit(ctx), Command: shown(os.Args), plan: p}
	list := rep.choose(p)
	for round := 1; round <= p.rounds; round++ {
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

// choose lists the servers of the plan and notes which are not there to measure.
// One that is asked for by name has to be.
func (r *report) choose(p plan) []server {
	if len(p.only) > 0 {
		return slices.DeleteFunc(servers(), func(s server) bool { return !slices.Contains(p.only, s.name) })
	}
	return slices.DeleteFunc(servers(), func(s server) bool {
		if !s.absent() {
			return false
		}
		r.Absent = append(r.Absent, s.name)
		return true
	})
}

// round measures each server once. What goes wrong with one of them is noted and
// the others are measured all the same; the error is that of ctx.
func (r *report) round(ctx context.Context, p plan, round int, list []server) error {
	for _, s := range list {
		fmt.Fprintf(os.Stderr, "%s round %d of %d: %s\n", time.Now().UTC().Format(time.TimeOnly), round, p.rounds, s.name)
		runs, err := measureAll(ctx, p, s, round)
		r.Runs = append(r.Runs, runs...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "compare:", err)
			r.Problems = append(r.Problems, fmt.Sprintf("round %d, %s: %v", round, s.name, err))
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
