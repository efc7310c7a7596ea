package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"edgeloop/admin/api"
)

// banCmd keeps a device out.
type banCmd struct {
	Remote remote `embed:""`

	Device string        `required:"" help:"Name of the device."`
	Tenant string        `default:"default" help:"Tenant of the device."`
	Reason string        `default:"" help:"Why; operators and the device are told."`
	For    time.Duration `default:"0s" help:"How long; 0 is until it is lifted."`
}

// Run bans it, and ends its connection.
func (b *banCmd) Run(*streams) error {
	if b.For < 0 {
		return usageError{fmt.Errorf("--for=%s must not be negative; 0 is until it is lifted", b.For)}
	}
	c, err := b.Remote.client()
	if err != nil {
		return err
	}
	ban := api.Ban{Tenant: b.Tenant, Device: b.Device, Reason: b.Reason}
	if b.For > 0 {
		until := time.Now().Add(b.For)
		ban.Until = &until
	}
	return c.Ban(context.Background(), ban)
}

// unbanCmd lets a device in again.
type unbanCmd struct {
	Remote remote `embed:""`

	Device string `required:"" help:"Name of the device."`
	Tenant string `default:"default" help:"Tenant of the device."`
}

// Run lifts the ban.
func (u *unbanCmd) Run(*streams) error {
	c, err := u.Remote.client()
	if err != nil {
		return err
	}
	return c.Unban(context.Background(), u.Tenant, u.Device)
}

// bansCmd lists who must stay out.
type bansCmd struct {
	Remote remote `embed:""`

	Tenant string `default:"" help:"Only this tenant."`
}

// Run prints a table.
func (b *bansCmd) Run(io *streams) error {
	c, err := b.Remote.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(printable{io.out}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TENANT\tDEVICE\tUNTIL\tREASON")
	for after := ""; ; {
		page, err := c.Bans(context.Background(), b.Tenant, after)
		if err != nil {
			return err
		}
		for _, ban := range page.Bans {
			until := "lifted"
			if ban.Until != nil {
				until = ban.Until.Local().Format(time.DateTime)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", ban.Tenant, ban.Device, until, ban.Reason)
		}
		if after = page.Next; after == "" {
			return table.Flush()
		}
	}
}
