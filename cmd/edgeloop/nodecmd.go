package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"edgeloop/admin/api"
)

// nodeCmd says what a node is and does.
type nodeCmd struct {
	Remote remote `embed:""`
}

// Run prints it as JSON.
func (n *nodeCmd) Run(io *streams) error {
	c, err := n.Remote.client()
	if err != nil {
		return err
	}
	node, err := c.Node(context.Background())
	if err != nil {
		return err
	}
	return printJSON(io, node)
}

func printJSON(io *streams, v any) error {
	enc := json.NewEncoder(io.out) // indented, and JSON escapes what is not printable
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// drainCmd sends the devices of a node away.
type drainCmd struct {
	Remote remote `embed:""`

	Window time.Duration `default:"0s" help:"Time over which they are sent away; 0 is the node's own --drain-window."`
	NoWait bool          `name:"no-wait" default:"false" help:"Do not wait until all have left and their messages are in the log."`
}

// drainLook is how often a drain is looked at.
const drainLook = 500 * time.Millisecond

// Run begins the drain, and waits for its end.
func (d *drainCmd) Run(io *streams) error {
	c, err := d.Remote.client()
	if err != nil {
		return err
	}
	n, err := c.Drain(context.Background(), d.Window)
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for err == nil && !d.NoWait && (n.Drain == nil || !n.Drain.Done) {
		<-look.C
		n, err = c.Node(context.Background())
	}
	if err != nil {
		return err
	}
	if n.Drain != nil {
		fmt.Fprintf(io.out, "%s: %d of %d devices are left, %d records are not yet durable\n", n.State, n.Drain.Connections, n.Drain.Total, n.Drain.Pending)
	}
	return nil
}

// reloadCmd has a node read its keys, tokens and settings again.
type reloadCmd struct {
	Remote remote `embed:""`
}

// Run prints what has changed.
func (r *reloadCmd) Run(io *streams) error {
	c, err := r.Remote.client()
	if err != nil {
		return err
	}
	out, err := c.Reload(context.Background())
	if err != nil {
		return err
	}
	for what, names := range map[string][]string{"changed": out.Changed, "kept as the API changed them": out.Kept, "need a restart": out.Fixed} {
		if len(names) > 0 {
			fmt.Fprintf(io.out, "%s: %s\n", what, strings.Join(names, ", "))
		}
	}
	return nil
}

// limitsCmd shows and changes the limits of a node.
type limitsCmd struct {
	Remote remote `embed:""`

	Set []string `arg:"" optional:"" placeholder:"NAME=VALUE" help:"Limits to change while the node runs, all or none, as in window=128 heartbeat=1m; VALUE null is what was given at the start. Without any, all limits are shown."`
}

// Run prints a table of all limits, as they are then.
func (l *limitsCmd) Run(io *streams) error {
	values, err := valuesOf(l.Set)
	if err != nil {
		return err
	}
	c, err := l.Remote.client()
	if err != nil {
		return err
	}
	var limits []api.Limit
	if len(values) > 0 {
		limits, err = c.SetLimits(context.Background(), values)
	} else {
		limits, err = c.Limits(context.Background())
	}
	if err != nil {
		return err
	}
	return printLimits(io, limits)
}

func printLimits(io *streams, limits []api.Limit) error {
	table := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LIMIT\tVALUE\tLEAST\tMOST\tCHANGES")
	for i := range limits {
		one, changes := &limits[i], "with a restart"
		switch {
		case one.Changed:
			changes = fmt.Sprintf("changed, was %v", one.Kind.JSONValue(one.Given))
		case one.Changeable:
			changes = "while it runs"
		}
		fmt.Fprintf(table, "%s\t%v\t%v\t%v\t%s\n", one.Name, one.Kind.JSONValue(one.Value), one.Kind.JSONValue(one.Min), one.Kind.JSONValue(one.Max), changes)
	}
	return table.Flush()
}

// valuesOf are what is to be set: numbers and null as JSON has them, and durations.
func valuesOf(all []string) (map[string]any, error) {
	values := make(map[string]any)
	for _, set := range all {
		name, text, ok := strings.Cut(set, "=")
		if !ok || name == "" || text == "" {
			return nil, usageError{fmt.Errorf("%q is not NAME=VALUE, as in window=128", set)}
		}
		var value any = text
		var number json.Number
		if text == "null" {
			value = nil
		} else if json.Unmarshal([]byte(text), &number) == nil {
			value = number
		}
		values[strings.ReplaceAll(name, "-", "_")] = value
	}
	return values, nil
}
