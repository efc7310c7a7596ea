package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"edgeloop/admin/api"
)

// sendCmd sends a command to a device, or to many.
type sendCmd struct {
	Remote remote `embed:""`

	Name string `arg:"" help:"Name of the command."`
	Data string `arg:"" optional:"" help:"Data of the command, one JSON value."`

	Device string        `help:"Name of the device."`
	Tenant string        `default:"default" help:"Tenant of the device or group."`
	Group  string        `help:"Send to every connected member of this group instead."`
	All    bool          `help:"Send to every connected device of every tenant instead."`
	Wait   time.Duration `default:"5s" help:"How long to wait for the reply of a device; 0 does not wait."`
	TTL    time.Duration `name:"ttl" default:"0s" help:"How long the command may wait for a device that is not connected; 0 is a minute for a device that is known, and not at all for another."`
	Now    bool          `help:"Do not leave the command for a device that is not connected: now or never."`
}

// Run prints the reply, or what became of the command.
func (s *sendCmd) Run(io *streams) error {
	var data json.RawMessage
	if s.Data != "" {
		if !json.Valid([]byte(s.Data)) {
			return usageError{fmt.Errorf("data %q is not JSON: quote strings, as in '\"text\"'", s.Data)}
		}
		data = json.RawMessage(s.Data)
	}
	if s.Wait < 0 || s.TTL < 0 {
		return usageError{fmt.Errorf("--wait=%s and --ttl=%s must not be negative", s.Wait, s.TTL)}
	}
	if s.Now && s.TTL != 0 {
		return usageError{fmt.Errorf("--now and --ttl=%s exclude each other", s.TTL)}
	}
	c, err := s.Remote.client()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(printable{io.out})
	enc.SetEscapeHTML(false)
	switch {
	case s.Device != "" && (s.Group != "" || s.All), s.Group != "" && s.All:
		return usageError{fmt.Errorf("give one of --device, --group and --all")}
	case s.Group != "" || s.All:
		b := api.Broadcast{Group: s.Group, All: s.All, Name: s.Name, Data: data}
		if !s.All {
			b.Tenant = s.Tenant
		}
		res, err := c.Broadcast(context.Background(), b)
		if err != nil {
			return err
		}
		return enc.Encode(res)
	case s.Device == "":
		return usageError{fmt.Errorf("give one of --device, --group and --all")}
	}
	res, err := c.Send(context.Background(), s.Tenant, s.Device,
		api.CommandRequest{Name: s.Name, Data: data, TTL: api.Duration(s.TTL), Now: s.Now}, s.Wait)
	if err != nil {
		return err
	}
	if res.State == api.CommandReplied {
		if err := enc.Encode(res.Reply); err != nil || res.Reply.OK {
			return err
		}
		return fmt.Errorf("the device answered that it did not carry out %s", s.Name)
	}
	return enc.Encode(api.Accepted{ID: res.ID, State: res.State, Expires: res.Expires})
}
