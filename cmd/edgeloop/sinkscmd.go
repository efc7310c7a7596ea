package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"edgeloop/admin/api"
	"edgeloop/internal/units"
)

// sinksCmd looks at the ways out of the log and changes them.
type sinksCmd struct {
	Remote remote `embed:""`

	List        sinksListCmd    `cmd:"" default:"withargs" help:"List the sinks and how they stand."`
	Pause       sinksPauseCmd   `cmd:"" help:"Stop a sink from sending until it is resumed, or the node starts again."`
	Resume      sinksResumeCmd  `cmd:"" help:"Let a paused or stopped sink go on; one that waits tries at once."`
	Rewind      sinksRewindCmd  `cmd:"" help:"Have a sink go on from another place in the log."`
	Skip        sinksSkipCmd    `cmd:"" help:"Have a sink leave out the record that it sends next; it goes to the dead letters."`
	DeadLetters sinksLettersCmd `cmd:"" help:"Print the records that the destination of a sink refused, one JSON object a line."`
	Resend      sinksResendCmd  `cmd:"" help:"Have a sink send its dead letters again, all or some; those that are confirmed are removed."`
	Discard     sinksDiscardCmd `cmd:"" help:"Give up a dead letter, or all, or those of a device or with a reason."`
}

type sinksListCmd struct {
	JSON bool `name:"json" default:"false" help:"One JSON object a line."`
}

// Run prints a table, or lines of JSON.
func (c *sinksListCmd) Run(io *streams, of *sinksCmd) error {
	node, err := of.Remote.client()
	if err != nil {
		return err
	}
	sinks, err := node.Sinks(context.Background())
	if err != nil {
		return err
	}
	out := printable{io.out}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "SINK\tTYPE\tSTATE\tLAG\tBYTES\tOLDEST\tRATE\tPACED\tSENT\tREFUSED\tMISSED\tLAST ERROR")
	}
	for i := range sinks {
		s := &sinks[i]
		if c.JSON {
			if err := json.NewEncoder(out).Encode(s); err != nil {
				return err
			}
			continue
		}
		lag, bytes, paced, oldest := "?", "?", "-", "-"
		if s.LagRecords != nil {
			lag = fmt.Sprint(*s.LagRecords)
		}
		if s.LagBytes != nil {
			bytes = units.About(*s.LagBytes)
		}
		if s.PacedPerSecond > 0 {
			paced = fmt.Sprintf("%.0f/s", s.PacedPerSecond)
		}
		if s.Oldest != nil {
			oldest = time.Since(*s.Oldest).Round(time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%.1f/s\t%s\t%d\t%d\t%d\t%s\n", s.Name, s.Type, s.State, lag, bytes, oldest, s.RecordsPerSecond, paced, s.Records, s.Refused, s.Missed, s.LastError)
	}
	return table.Flush()
}

// changeSink does one action and prints how the sink stands then.
func changeSink(r remote, io *streams, change api.SinkChange) error {
	node, err := r.client()
	if err != nil {
		return err
	}
	s, err := node.ChangeSink(context.Background(), change)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s: %s, place %s\n", s.Name, s.State, s.Place)
	return nil
}

type sinksPauseCmd struct {
	Name string `arg:"" help:"Name of the sink."`
}

// Run pauses a sink.
func (c *sinksPauseCmd) Run(io *streams, of *sinksCmd) error {
	return changeSink(of.Remote, io, api.SinkChange{Name: c.Name, Action: api.SinkPause})
}

type sinksResumeCmd struct {
	Name string `arg:"" help:"Name of the sink."`
}

// Run has a sink go on.
func (c *sinksResumeCmd) Run(io *streams, of *sinksCmd) error {
	return changeSink(of.Remote, io, api.SinkChange{Name: c.Name, Action: api.SinkResume})
}

type sinksRewindCmd struct {
	Name string `arg:"" help:"Name of the sink."`
	To   string `required:"" help:"oldest, newest, a time as in 2026-11-28T06:00:00Z, or a position, behind which it goes on."`
}

// Run moves the place of a sink.
func (c *sinksRewindCmd) Run(io *streams, of *sinksCmd) error {
	return changeSink(of.Remote, io, api.SinkChange{Name: c.Name, Action: api.SinkRewind, To: c.To})
}

type sinksSkipCmd struct {
	Name     string `arg:"" help:"Name of the sink."`
	Position string `required:"" help:"Position of the record, as 'edgeloop sinks --json' shows it under next."`
}

// Run skips a record.
func (c *sinksSkipCmd) Run(io *streams, of *sinksCmd) error {
	return changeSink(of.Remote, io, api.SinkChange{Name: c.Name, Action: api.SinkSkip, Position: c.Position})
}

// lettersOf chooses dead letters.
type lettersOf struct {
	Tenant string `default:"" help:"Those of this tenant."`
	Device string `default:"" help:"Those of this device."`
	Reason string `default:"" help:"Those in whose reason this text is."`
}

type sinksResendCmd struct {
	Name string `arg:"" help:"Name of the sink."`

	lettersOf
}

// Run has dead letters sent again.
func (c *sinksResendCmd) Run(io *streams, of *sinksCmd) error {
	return changeSink(of.Remote, io, api.SinkChange{Name: c.Name, Action: api.SinkResend, Letters: api.LetterFilter(c.lettersOf)})
}

type sinksLettersCmd struct {
	Name string `arg:"" help:"Name of the sink."`
}

// Run prints the dead letters.
func (c *sinksLettersCmd) Run(io *streams, of *sinksCmd) error {
	node, err := of.Remote.client()
	if err != nil {
		return err
	}
	for after := ""; ; {
		page, err := node.DeadLetters(context.Background(), c.Name, after)
		if err != nil {
			return err
		}
		for _, letter := range page.DeadLetters {
			if err := json.NewEncoder(printable{io.out}).Encode(letter); err != nil {
				return err
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

type sinksDiscardCmd struct {
	Name   string `arg:"" help:"Name of the sink."`
	Number uint64 `arg:"" optional:"" help:"Number of the dead letter."`
	All    bool   `default:"false" help:"All of the sink."`

	lettersOf
}

// Run removes dead letters.
func (c *sinksDiscardCmd) Run(io *streams, of *sinksCmd) error {
	meant := 0
	for _, one := range []bool{c.Number != 0, c.All, c.lettersOf != lettersOf{}} {
		if one {
			meant++
		}
	}
	if meant != 1 {
		return usageError{errors.New("give one of: the number of a dead letter, --all, or some of --tenant, --device and --reason")}
	}
	node, err := of.Remote.client()
	if err != nil {
		return err
	}
	if c.Number != 0 {
		return node.RemoveDeadLetter(context.Background(), c.Name, c.Number)
	}
	n, err := node.RemoveDeadLetters(context.Background(), c.Name, api.LetterFilter(c.lettersOf))
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s: %d dead letters are gone\n", c.Name, n)
	return nil
}
