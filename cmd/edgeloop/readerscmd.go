package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"
)

// readersCmd looks at the services and applications that have a place in the log.
type readersCmd struct {
	Remote remote `embed:""`

	List   readersListCmd   `cmd:"" default:"withargs" help:"List who has a place in the log: services by gRPC, sessions and shared subscriptions by MQTT."`
	Forget readersForgetCmd `cmd:"" help:"Forget the place of a gRPC reader that is gone; one that still reads begins anew."`
}

type readersListCmd struct {
	Tenant string `default:"" help:"Only this tenant."`
	JSON   bool   `name:"json" default:"false" help:"One JSON object a line."`
}

// Run prints a table, or lines of JSON.
func (c *readersListCmd) Run(io *streams, of *readersCmd) error {
	node, err := of.Remote.client()
	if err != nil {
		return err
	}
	readers, err := node.Readers(context.Background(), c.Tenant)
	if err != nil {
		return err
	}
	out := printable{io.out}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "TENANT\tREADER\tKIND\tLAG\tMISSED\tAWAY\tPLACE")
	}
	for i := range readers {
		r := &readers[i]
		if c.JSON {
			if err := json.NewEncoder(out).Encode(r); err != nil {
				return err
			}
			continue
		}
		lag, tenant, away := "?", r.Tenant, "-"
		if r.LagRecords != nil {
			lag = fmt.Sprint(*r.LagRecords)
		}
		if tenant == "" {
			tenant = "-"
		}
		if r.Left != nil {
			away = time.Since(*r.Left).Truncate(time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", tenant, r.Reader, r.Kind, lag, r.Missed, away, r.Place)
	}
	return table.Flush()
}

type readersForgetCmd struct {
	Name   string `arg:"" help:"Name of the reader."`
	Tenant string `default:"" help:"Tenant of the reader; default: one that reads all tenants."`
}

// Run forgets a reader.
func (c *readersForgetCmd) Run(of *readersCmd) error {
	node, err := of.Remote.client()
	if err != nil {
		return err
	}
	return node.ForgetReader(context.Background(), c.Tenant, c.Name)
}
