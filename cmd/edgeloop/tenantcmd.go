package main

import (
	"context"
	"fmt"

	"edgeloop/admin/api"
	"edgeloop/internal/units"
)

// tenantCmd shows and changes the quotas of a tenant.
type tenantCmd struct {
	Remote remote `embed:""`

	Tenant string   `arg:"" help:"Name of the tenant."`
	Set    []string `arg:"" optional:"" placeholder:"NAME=VALUE" help:"Quotas to change while the node runs, all or none, as in max_connections=2000; they are kept over a restart. VALUE 0 is no limit, null what the configuration gives. Without any, the tenant is shown."`
}

// Run prints what the tenant uses and a table of its quotas, as they are then.
func (t *tenantCmd) Run(io *streams) error {
	values, err := valuesOf(t.Set)
	if err != nil {
		return err
	}
	c, err := t.Remote.client()
	if err != nil {
		return err
	}
	var out api.Tenant
	if len(values) > 0 {
		out, err = c.SetTenant(context.Background(), t.Tenant, values)
	} else {
		out, err = c.Tenant(context.Background(), t.Tenant)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%d connections, %d of them held back; %d stored commands; %s in the log; %d groups\n", out.Connections, out.Waiting, out.Commands, units.SizeText(out.StoredBytes), out.Groups)
	return printLimits(io, out.Limits)
}
