package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"
)

// commandsCmd lists the commands that wait for a device.
type commandsCmd struct {
	Remote remote `embed:""`

	Device string `required:"" help:"Name of the device."`
	Tenant string `default:"default" help:"Tenant of the device."`
}

// Run prints a table.
func (w *commandsCmd) Run(io *streams) error {
	c, err := w.Remote.client()
	if err != nil {
		return err
	}
	waiting, err := c.WaitingCommands(context.Background(), w.Tenant, w.Device)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(printable{io.out}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tSTORED\tEXPIRES")
	for i := range waiting {
		one := &waiting[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", one.ID, one.Name, one.Stored.Local().Format(time.DateTime), one.Expires.Local().Format(time.DateTime))
	}
	return table.Flush()
}

// cancelCmd takes back commands that wait for a device.
type cancelCmd struct {
	Remote remote `embed:""`

	ID     string `arg:"" optional:"" help:"Command to take back, as send and commands print it."`
	Device string `required:"" help:"Name of the device."`
	Tenant string `default:"default" help:"Tenant of the device."`
	All    bool   `help:"Take back all that wait for the device instead."`
}

// Run takes them back, and fails where there is none.
func (t *cancelCmd) Run(io *streams) error {
	if (t.ID == "") == !t.All {
		return usageError{fmt.Errorf("give the ID of a command, or --all")}
	}
	c, err := t.Remote.client()
	if err != nil {
		return err
	}
	n, err := c.CancelCommands(context.Background(), t.Tenant, t.Device, t.ID)
	if err == nil && n == 0 {
		err = fmt.Errorf("no such command waits for %s: it was delivered, or its time is over", t.Device)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%d taken back\n", n)
	return nil
}
