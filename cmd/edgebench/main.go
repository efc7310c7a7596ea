// Command edgebench loads a node from outside and says what it costs it.
//
// Each scenario ends by itself, writes its result as JSON, and exits with 1
// when the node was wrong or a threshold was missed, with 2 when the run could
// not be carried out.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"edgeloop/bench"
)

// output is where results go.
type output struct {
	Out  string `help:"Write the result as JSON to this file; default: edgebench-SCENARIO.json here, unless --json." short:"o"`
	JSON bool   `help:"Write the result as JSON to standard output instead of a summary."`
}

// flags are the flags of every scenario.
type flags struct {
	bench.Options
	Output output `embed:""`
}

type cli struct {
	Connect   scenarioCmd[bench.Connect]   `cmd:"" help:"Ramp up: connects a second, cost and latency of handshakes."`
	Idle      scenarioCmd[bench.Idle]      `cmd:"" help:"Hold connections: memory and CPU for each."`
	Echo      scenarioCmd[bench.Echo]      `cmd:"" help:"Echo server: closed loop or paced."`
	Telemetry scenarioCmd[bench.Telemetry] `cmd:"" help:"Sequenced messages into the durable log: saturated or paced."`
	Command   scenarioCmd[bench.Command]   `cmd:"" help:"Commands to devices and their replies."`
	Broadcast scenarioCmd[bench.Broadcast] `cmd:"" help:"One message to all: time to the last."`
	Storm     scenarioCmd[bench.Storm]     `cmd:"" help:"All drop and come back, beside a control group."`
	Churn     scenarioCmd[bench.Churn]     `cmd:"" help:"Constant connecting and disconnecting."`
	Slow      scenarioCmd[bench.Slow]      `cmd:"" help:"Some of the devices stop reading."`
	Soak      scenarioCmd[bench.Soak]      `cmd:"" help:"Hours of mixed traffic; fails on drift."`
	Capacity  scenarioCmd[bench.Capacity]  `cmd:"" help:"Everything that a node must do with many devices: fill, hold, telemetry, broadcast, storm, drain."`
	ConnTCP   scenarioCmd[bench.ConnTCP]   `cmd:"" name:"singlenode-conn-tcp" help:"Devices of MQTT connect at a rate and stay, at any broker: connects, memory and CPU for each."`
	FanOut    scenarioCmd[bench.FanOut]    `cmd:"" name:"singlenode-fanout" help:"Devices of MQTT publish, and each message reaches all who subscribe, at any broker: cost and latency of a delivery."`
	P2P       scenarioCmd[bench.P2P]       `cmd:"" name:"singlenode-p2p" help:"The same, and each message reaches one."`
	ShareSub  scenarioCmd[bench.ShareSub]  `cmd:"" name:"singlenode-sharesub" help:"The same, and each message reaches one of those who share a subscription."`
	Sinks     sinksCmd                     `cmd:"" help:"Start nodes with sinks: records a second, how late they are, and what devices feel of it."`
	Report    reportCmd                    `cmd:"" help:"Turn results into one HTML page with plots."`
	Table     tableCmd                     `cmd:"" help:"Print results of capacity runs as one table."`
	Ready     readyCmd                     `cmd:"" help:"Wait until a node is ready for devices."`
	Worker    workerCmd                    `cmd:"" hidden:"" help:"Internal: a worker process."`
	Kafka     kafkaCmd                     `cmd:"" hidden:"" help:"Internal: the broker that sinks sends to."`
}

type scenarioCmd[S bench.Scenario] struct {
	flags
	Scenario S `embed:""`
}

// Run carries out the scenario and reports it.
func (c *scenarioCmd[S]) Run(ctx context.Context) error {
	r, err := bench.Run(ctx, c.Options, c.Scenario, os.Stderr)
	b, encodeErr := json.MarshalIndent(r, "", "  ")
	if encodeErr != nil {
		return encodeErr
	}
	file := c.Output.Out
	if file == "" && !c.Output.JSON {
		file = "edgebench-" + r.Scenario + ".json"
	}
	if c.Output.JSON {
		fmt.Println(string(b))
	} else {
		printSummary(r)
	}
	if err == nil && !r.OK {
		err = errMissed
	}
	if file == "" {
		return err
	}
	if writeErr := os.WriteFile(file, append(b, '\n'), 0o644); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	if !c.Output.JSON {
		fmt.Printf("all of it: %s\n", file)
	}
	return err
}

func printSummary(r *bench.Result) {
	names := make([]string, 0, len(r.Figures))
	width := 0
	for name := range r.Figures {
		names = append(names, name)
		width = max(width, len(name))
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf("%-*s  %s\n", width, name, trim(r.Figures[name]))
	}
	if r.Unsound > 0 {
		fmt.Printf("UNSOUND: %d messages lost, doubled, reordered, corrupted or forgotten\n", r.Unsound)
	}
	for _, t := range r.Thresholds {
		verdict := "met"
		if !t.OK {
			verdict = "MISSED " + t.Reason
		}
		fmt.Printf("required %s: got %s, %s\n", t.Expr, trim(t.Got), verdict)
	}
}

func trim(v float64) string {
	s := fmt.Sprintf("%.3f", v)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

type workerCmd struct{}

// Run serves the process that started this one.
func (workerCmd) Run() error { return bench.Work(os.Stdin, os.Stdout) }

func main() { os.Exit(exitCode(run(os.Args[1:]))) }

func run(args []string) error {
	var c cli
	parser, err := kong.New(&c, kong.Name("edgebench"),
		kong.Description("Load a node from outside and say what it costs it."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("edgebench: %w; 'edgebench --help' says what is allowed", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	return k.Run()
}
