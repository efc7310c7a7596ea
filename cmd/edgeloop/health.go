package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"edgeloop/admin/api"
	"edgeloop/admin/client"
)

// healthCmd asks a node how it is; it needs no token.
type healthCmd struct {
	DataDir  string `default:"${data_dir}" type:"path" help:"Data directory of the node, which has the address."`
	AdminURL string `name:"admin-url" default:"" help:"URL of the admin API; default: as in the data directory of the node."`
	// The environment and the configuration file give it, as to the node.
	AdminListen  string `default:"127.0.0.1:9090" help:"Address of the admin API of a node that is still starting and has not written it down."`
	AdminTLSCert string `name:"admin-tls-cert" default:"" type:"path" help:"Its certificate, likewise."`
	HealthListen string `name:"health-listen" default:"" help:"Where it answers probes, likewise; asked before the admin API."`
	trust
	Live    bool          `default:"false" help:"Ask only whether the process answers, not whether it is ready for devices."`
	Timeout time.Duration `default:"5s" help:"How long an answer may take."`
}

// Run prints one line. Exit code 1: the node is not ready, or does not answer.
func (h *healthCmd) Run(io *streams) error {
	c, err := h.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	defer cancel()
	if h.Live {
		if err := c.Live(ctx); err != nil {
			return err
		}
		fmt.Fprintln(io.out, "alive")
		return nil
	}
	ready, err := c.Ready(ctx)
	if err != nil {
		return err
	}
	if !ready.Ready {
		return fmt.Errorf("the node is not ready: %w", reasons(ready.Reasons))
	}
	fmt.Fprintln(io.out, "ready")
	return nil
}

// client asks the node that is configured, or has written down where it is.
func (h *healthCmd) client() (*client.Client, error) {
	if h.AdminURL != "" {
		url, over, err := remote{AdminURL: h.AdminURL, trust: h.trust}.reach()
		return &client.Client{URL: url, HTTP: over}, err
	}
	at, err := readAddresses(h.DataDir)
	var no *nowhere
	switch {
	case errors.As(err, &no) && no.gone: // it may be starting
		at = addresses{Admin: h.AdminListen, AdminCert: h.AdminTLSCert, Health: h.HealthListen}
	case err != nil && no == nil:
		return nil, err
	}
	if at.Health != "" {
		return &client.Client{URL: at.healthURL()}, nil
	}
	over, err := h.over(at.AdminCert)
	return &client.Client{URL: at.adminURL(), HTTP: over}, err
}

// reasons are why a node is not ready, in one line.
func reasons(all []api.Reason) error {
	said := make([]string, 0, len(all))
	for _, r := range all {
		said = append(said, r.Code+": "+r.Detail)
	}
	return errors.New(strings.Join(said, "; "))
}
