package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/soak"
)

type soakCmd struct {
	Duration time.Duration `short:"d" default:"2h" help:"Time of the whole soak, without the last check."`
	Binary   string        `default:"bin/edgeloop" type:"existingfile" help:"The edgeloop program."`
	Work     string        `default:"" help:"Directory for the data and logs of nodes; default a temporary one. Two hours at 1,500 messages a second take about 3 GB."`
	Devices  int           `default:"300" help:"Recording devices at the node that lives on; the one that is killed has half of them."`
	Rate     float64       `default:"1500" help:"Approximate messages a second over both nodes."`
	Window   int           `default:"64" help:"Maximum of unacknowledged messages of a device."`
	Every    time.Duration `default:"0" help:"About this time between two faults; 0: a minute, or less in a short soak."`
	Kill     time.Duration `default:"0" help:"About this time between two kills; 0: three minutes, or less in a short soak."`
	Check    time.Duration `default:"0" help:"Time between two checks of the logs; 0: fifteen minutes, or less in a short soak."`
	MaxDrift float64       `default:"10" help:"Growth in percent, between the second quarter and the last, that fails the soak."`
	MaxDisk  int64         `default:"10" help:"GiB that the log of a node may take."`
	Seed     uint64        `default:"1" help:"Seed of everything random."`
	Flag     []string      `help:"Further flag of the nodes, such as --flag=--durability=process."`
	Commit   string        `env:"EDGEFAULT_COMMIT" help:"Commit that the program was built from, for the report; default: as in the program."`
	Results  string        `default:"" help:"Directory that takes DATE-soak.md and DATE-soak.json; default none."`
}

// Run runs the soak.
func (c *soakCmd) Run(ctx context.Context) (err error) {
	if c.Duration < time.Minute || c.Devices < 1 || c.Rate <= 0 {
		return errors.New("a soak needs a minute, a device and a rate")
	}
	if c.Work == "" {
		if c.Work, err = os.MkdirTemp("", "edgefault-"); err != nil {
			return err
		}
	}
	if c.Binary, err = filepath.Abs(c.Binary); err != nil {
		return err
	}
	r, err := soak.Run(ctx, soak.Options{
		Options: life.Options{
			Binary: c.Binary, Work: c.Work, Devices: c.Devices, Window: c.Window, Seed: c.Seed, Flags: c.Flag, Out: os.Stdout,
		},
		Duration: c.Duration, Rate: c.Rate, MaxDrift: c.MaxDrift, MaxDisk: c.MaxDisk << 30,
		Every:   or(c.Every, min(time.Minute, c.Duration/20)),
		Kill:    or(c.Kill, min(3*time.Minute, c.Duration/12)),
		Check:   or(c.Check, min(15*time.Minute, c.Duration/4)),
		Read:    min(10*time.Second, c.Duration/40),
		Commit:  c.Commit,
		Command: strings.Join(os.Args, " "),
	})
	if err != nil {
		r.Failure = err.Error()
	}
	r.Markdown(os.Stdout)
	if c.Results != "" {
		if saveErr := r.Save(c.Results); saveErr != nil {
			return errors.Join(saveErr, err)
		}
	}
	if !r.OK() {
		fmt.Printf("again: %s, with seed %d; data and logs of the nodes are in %s\n", r.Command, r.Seed, c.Work)
		return errors.Join(errBroken, err)
	}
	_ = os.Remove(c.Work) // it stays if something else is in it
	return err
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
