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

// devicesCmd lists devices.
type devicesCmd struct {
	Remote remote `embed:""`

	Tenant  string `default:"" help:"Only this tenant."`
	Prefix  string `default:"" help:"Only devices whose name begins with this."`
	Group   string `default:"" help:"Only members of this group of the tenant."`
	Online  bool   `default:"false" help:"Only devices that are connected."`
	Offline bool   `default:"false" help:"Only devices that are not connected."`
	JSON    bool   `name:"json" default:"false" help:"One JSON object a line."`
}

// Run prints a table, or lines of JSON.
func (d *devicesCmd) Run(io *streams) error {
	c, err := d.Remote.client()
	if err != nil {
		return err
	}
	q := api.DeviceQuery{Tenant: d.Tenant, Prefix: d.Prefix, Group: d.Group, Limit: api.MaxPage}
	switch {
	case d.Online && d.Offline:
		return usageError{fmt.Errorf("--online and --offline exclude each other")}
	case d.Online, d.Offline:
		q.Online = &d.Online
	}
	table := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	if !d.JSON {
		fmt.Fprintln(table, "TENANT\tDEVICE\tSTATE\tLAST SEEN\tDURABLE\tPROTOCOL\tREMOTE\tGROUPS")
	}
	for dev, err := range c.AllDevices(context.Background(), q) {
		if err != nil {
			return err
		}
		if d.JSON {
			if err := json.NewEncoder(io.out).Encode(dev); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", dev.Tenant, dev.Device, stateOf(&dev),
			dev.LastSeen.Local().Format(time.DateTime), dev.Durable, dev.Protocol, dev.Remote, strings.Join(dev.Groups, ","))
	}
	return table.Flush()
}

// stateOf says whether a device is here, and if not, how it went where that is known.
func stateOf(d *api.Device) string {
	switch {
	case d.Online:
		return "online"
	case d.DisconnectReason == "":
		return "offline"
	case d.DisconnectCode == 0:
		return "offline, " + d.DisconnectReason
	}
	return fmt.Sprintf("offline, %s %d", d.DisconnectReason, d.DisconnectCode)
}

// kickCmd closes a device's connection.
type kickCmd struct {
	Remote remote `embed:""`

	Device string `required:"" help:"Name of the device."`
	Tenant string `default:"default" help:"Tenant of the device."`
	Code   uint16 `default:"1008" help:"Close code."`
	Reason string `default:"closed by the operator" help:"Reason, sent to the device."`
}

// Run closes it.
func (k *kickCmd) Run(*streams) error {
	c, err := k.Remote.client()
	if err != nil {
		return err
	}
	return c.Kick(context.Background(), k.Tenant, k.Device, api.KickRequest{Code: k.Code, Reason: k.Reason})
}
