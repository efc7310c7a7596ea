package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"edgeloop/admin/api"
	"edgeloop/admin/client"
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

	Device  string `default:"" help:"Name of the device."`
	Tenant  string `default:"default" help:"Tenant of the device."`
	Address string `default:"" help:"An address that is kept out because it failed too often, in place of a device."`
}

// Run lifts the ban.
func (u *unbanCmd) Run(*streams) error {
	if (u.Device == "") == (u.Address == "") {
		return usageError{errors.New("give --device=NAME or --address=ADDRESS, one of them")}
	}
	c, err := u.Remote.client()
	if err != nil {
		return err
	}
	if u.Address != "" {
		address, _, _ := strings.Cut(u.Address, "/") // as it is listed
		return c.UnbanAddress(context.Background(), address)
	}
	return c.Unban(context.Background(), u.Tenant, u.Device)
}

// bansCmd lists who must stay out.
type bansCmd struct {
	Remote remote `embed:""`

	Tenant    string `default:"" help:"Only this tenant."`
	Addresses bool   `default:"false" help:"The addresses that are kept out because they failed too often to prove who they are, in place of devices."`
}

// Run prints a table.
func (b *bansCmd) Run(io *streams) error {
	c, err := b.Remote.client()
	if err != nil {
		return err
	}
	if b.Addresses {
		return printAddressBans(c, io)
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

func printAddressBans(c *client.Client, io *streams) error {
	table := tabwriter.NewWriter(printable{io.out}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ADDRESS\tUNTIL\tTIMES\tLAST FAILURE")
	for after := ""; ; {
		page, err := c.AddressBans(context.Background(), after)
		if err != nil {
			return err
		}
		for _, ban := range page.Bans {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", ban.Address, ban.Until.Local().Format(time.DateTime), ban.Times, ban.Failed.Local().Format(time.DateTime))
		}
		if after = page.Next; after == "" {
			return table.Flush()
		}
	}
}
