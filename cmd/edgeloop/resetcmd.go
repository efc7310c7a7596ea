package main

import (
	"context"
	"fmt"
)

// resetCmd has the sequences of a device begin again.
type resetCmd struct {
	Remote remote `embed:""`

	Device string `required:"" help:"Name of the device."`
	Tenant string `default:"default" help:"Tenant of the device."`
}

// Run resets, and says from where.
func (r *resetCmd) Run(io *streams) error {
	c, err := r.Remote.client()
	if err != nil {
		return err
	}
	out, err := c.Reset(context.Background(), r.Tenant, r.Device)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "the sequences of %s/%s begin again, the highest was %d\n", out.Tenant, out.Device, out.Was)
	return nil
}
