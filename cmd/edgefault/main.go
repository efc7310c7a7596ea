// Command edgefault tries to break the promises of a node and says whether it did.
//
// It exits with 1 when a promise was broken, with 2 when the run could not be
// carried out. What is left to chance follows from --seed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/kafka"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/scenarios"
)

type cli struct {
	Run   runCmd   `cmd:"" help:"Run scenarios."`
	Soak  soakCmd  `cmd:"" help:"Hurt two nodes for hours: one lives through it in one process, one is killed again and again."`
	Table tableCmd `cmd:"" help:"Print results as a Markdown table."`
	List  listCmd  `cmd:"" help:"List the scenarios."`

	Attack attackCmd `cmd:"" hidden:"" help:"Play the hostile peers of a scenario."`
	Kafka  kafkaCmd  `cmd:"" hidden:"" help:"Be the Kafka of a scenario."`
}

// kafkaCmd is how run starts a broker, which lives in a process of its own.
type kafkaCmd struct {
	Config string `arg:""`
}

// Run is that broker, until its input ends.
func (c *kafkaCmd) Run() error { return kafka.Serve(c.Config, os.Stdin, os.Stdout) }

// attackCmd is how run starts hostile peers, which live in a process of their own.
type attackCmd struct {
	Description string `arg:""`
}

// Run prints what came of the attack.
func (c *attackCmd) Run(ctx context.Context) error {
	spoils, err := attack.Run(ctx, c.Description)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(spoils)
}

type listCmd struct{}

// Run prints the scenarios.
func (listCmd) Run() error {
	for _, s := range scenarios.All() {
		about := s.About
		if s.Open {
			about += " (only run when named)"
		}
		fmt.Printf("%-14s %s\n", s.Name, about)
	}
	return nil
}

type runCmd struct {
	Scenarios []string      `arg:"" optional:"" help:"Names of scenarios; attacks stands for all that try tricks. Default all that need not be named."`
	Binary    string        `default:"bin/edgeloop" type:"existingfile" help:"The edgeloop program."`
	Work      string        `default:"" help:"Directory for the data and logs of nodes; default a temporary one."`
	Lives     int           `default:"1" help:"Number of runs of each scenario, each on its own log and with the next seed."`
	Rounds    int           `default:"10" help:"Faults in each life."`
	Devices   int           `default:"300" help:"Recording devices."`
	Window    int           `default:"64" help:"Maximum of unacknowledged messages of a device."`
	Load      time.Duration `default:"2s" help:"Longest time of load between two faults."`
	Seed      uint64        `default:"1" help:"Seed of the first life."`
	Limit     time.Duration `default:"2h" help:"Time after which no further life begins."`
	Scale     int           `default:"1" help:"Factor for the number of hostile peers beside a control group."`
	Flag      []string      `help:"Further flag of the node, such as --flag=--durability=process."`
	Out       string        `short:"o" help:"Append each result to this file, one JSON object a line."`
}

// errBroken makes the exit code 1.
var errBroken = errors.New("a promise was broken")

// Run runs the scenarios.
func (c *runCmd) Run(ctx context.Context) error {
	list, err := c.chosen()
	if err != nil {
		return err
	}
	if c.Work == "" {
		if c.Work, err = os.MkdirTemp("", "edgefault-"); err != nil {
			return err
		}
	}
	if c.Binary, err = filepath.Abs(c.Binary); err != nil {
		return err
	}
	var total life.Result
	broken, lives := 0, 0
	var failed error
	for began, turn := time.Now(), 0; turn < c.Lives; turn++ {
		for _, s := range list {
			if time.Since(began) > c.Limit {
				fmt.Printf("%s is left out: --limit=%s is over\n", s.Name, c.Limit)
				continue
			}
			r, err := life.Run(ctx, life.Options{
				Binary: c.Binary, Work: c.Work, Devices: c.Devices, Rounds: c.Rounds, Window: c.Window, Load: c.Load,
				Seed: c.Seed + uint64(turn), Flags: c.Flag, Scale: c.Scale, Out: os.Stdout, //nolint:gosec // a count
			}, s)
			if saveErr := c.save(r); saveErr != nil {
				return saveErr
			}
			if !r.OK() {
				broken++
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && r.OK() {
				failed = errors.Join(failed, fmt.Errorf("%s seed %d: %w", s.Name, r.Seed, err))
			}
			lives++
			total.Kills += r.Kills
			total.Acked += r.Acked
			total.Logged += r.Logged
		}
	}
	fmt.Printf("%d lives, %d kills, %d acknowledged, %d in logs, %d lives broken\n", lives, total.Kills, total.Acked, total.Logged, broken)
	if broken > 0 {
		return errors.Join(errBroken, failed)
	}
	_ = os.Remove(c.Work) // it stays if something else is in it
	return failed
}

func (c *runCmd) chosen() (list []life.Scenario, err error) {
	if len(c.Scenarios) == 0 {
		return slices.DeleteFunc(scenarios.All(), func(s life.Scenario) bool { return s.Open }), nil
	}
	for _, name := range c.Scenarios {
		if name == attacks {
			list = append(list, scenarios.Attacks()...)
			continue
		}
		s, ok := scenarios.Named(name)
		if !ok {
			return nil, fmt.Errorf("no scenario %q; edgefault list prints them", name)
		}
		list = append(list, s)
	}
	return list, nil
}

// attacks stands for all scenarios that try tricks.
const attacks = "attacks"

func (c *runCmd) save(r life.Result) error {
	if c.Out == "" {
		return nil
	}
	f, err := os.OpenFile(c.Out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(r), f.Close())
}

func main() { os.Exit(run()) }

func run() (code int) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	parser := kong.Must(&cli{}, kong.Name("edgefault"), kong.Description(strings.TrimSpace(`
Starts nodes, lets recording devices stream into them, injects faults from a seeded
schedule, and holds the log against what the devices wrote down.`)),
		kong.BindTo(ctx, (*context.Context)(nil)))
	k, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	switch err := k.Run(); {
	case errors.Is(err, errBroken):
		return 1
	case err != nil:
		fmt.Fprintln(os.Stderr, "edgefault:", err)
		return 2
	}
	return 0
}
