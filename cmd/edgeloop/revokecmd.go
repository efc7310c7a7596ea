package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"edgeloop/admin/api"
)

// revokeCmd takes tokens back.
type revokeCmd struct {
	Remote remote `embed:""`

	JTI    string        `name:"jti" default:"" help:"The token with this id, of the tenant."`
	Device string        `default:"" help:"All tokens of this device, of the tenant."`
	Tenant string        `default:"" help:"Tenant of --jti and --device (default is default); alone, all tokens of the tenant."`
	All    bool          `default:"false" help:"All tokens of all tenants."`
	Before string        `default:"now" help:"Only those issued before, by their iat: now, or a time such as 2026-11-28T12:00:00Z. A token without an iat counts as issued long ago."`
	For    time.Duration `default:"0s" help:"How long this is kept; 0 is until it is lifted. For a token that expires, the time that it has left is enough."`
	Reason string        `default:"" help:"Why; operators are told."`
}

// Run revokes them, and prints the id of the revocation.
func (r *revokeCmd) Run(io *streams) error {
	req := api.RevocationRequest{Tenant: r.Tenant, Device: r.Device, JTI: r.JTI, All: r.All, Reason: r.Reason}
	switch {
	case r.JTI == "" && r.Device == "" && r.Tenant == "" && !r.All:
		return usageError{errors.New("give one of --jti, --device, --tenant and --all")}
	case r.JTI != "" && (r.Device != "" || r.Before != "now"):
		return usageError{errors.New("--jti names one token: leave --device and --before out")}
	case r.All && (r.JTI != "" || r.Device != "" || r.Tenant != ""):
		return usageError{errors.New("--all is every token: leave --jti, --device and --tenant out")}
	case r.For < 0:
		return usageError{fmt.Errorf("--for=%s must not be negative; 0 is until it is lifted", r.For)}
	case req.Tenant == "" && !r.All:
		req.Tenant = "default"
	}
	if r.Before != "now" {
		before, err := time.Parse(time.RFC3339, r.Before)
		if err != nil {
			return usageError{fmt.Errorf("--before=%s: give now, or a time such as 2026-11-28T12:00:00Z", r.Before)}
		}
		req.Before = &before
	}
	if r.For > 0 {
		until := time.Now().Add(r.For)
		req.Until = &until
	}
	c, err := r.Remote.client()
	if err != nil {
		return err
	}
	made, err := c.Revoke(context.Background(), req)
	if err != nil {
		return err
	}
	fmt.Fprintln(printable{io.out}, made.ID)
	return nil
}

// orDash is text, or a dash in a table for none.
func orDash(text string) string { return cmp.Or(text, "-") }

// unrevokeCmd lifts a revocation.
type unrevokeCmd struct {
	Remote remote `embed:""`

	ID string `arg:"" help:"The id that revoke has printed, and revoked lists."`
}

// Run lifts it.
func (u *unrevokeCmd) Run(*streams) error {
	c, err := u.Remote.client()
	if err != nil {
		return err
	}
	return c.LiftRevocation(context.Background(), u.ID)
}

// revokedCmd lists revocations.
type revokedCmd struct {
	Remote remote `embed:""`

	Tenant string `default:"" help:"Only this tenant."`
}

// Run prints a table.
func (r *revokedCmd) Run(io *streams) error {
	c, err := r.Remote.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(printable{io.out}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTENANT\tDEVICE\tJTI\tBEFORE\tUNTIL\tREASON")
	for after := ""; ; {
		page, err := c.Revocations(context.Background(), r.Tenant, after)
		if err != nil {
			return err
		}
		for _, one := range page.Revocations {
			until, before := "lifted", "-"
			if one.Until != nil {
				until = one.Until.Local().Format(time.DateTime)
			}
			if one.Before != nil {
				before = one.Before.Local().Format(time.DateTime)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.ID, orDash(one.Tenant), orDash(one.Device), orDash(one.JTI), before, until, one.Reason)
		}
		if after = page.Next; after == "" {
			return table.Flush()
		}
	}
}
