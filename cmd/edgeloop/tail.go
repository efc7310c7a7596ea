package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"edgeloop/admin/api"
)

// tailCmd prints the log.
type tailCmd struct {
	Remote remote `embed:""`

	Tenant string `default:"" help:"Only this tenant."`
	Device string `default:"" help:"Only this device."`
	Since  string `default:"" help:"Where to begin: all, a time (RFC 3339), or how long ago (10m); default: now."`
	Follow bool   `default:"true" negatable:"" help:"Continue with new records until interrupted, even when the node restarts."`
}

// Run prints one JSON object a line, in the order of the log.
func (t *tailCmd) Run(io *streams) error {
	q := api.TailQuery{Tenant: t.Tenant, Device: t.Device, Follow: t.Follow}
	if t.Since != "" {
		if err := q.SetSince(t.Since, time.Now()); err != nil {
			return usageError{fmt.Errorf("--since=%s: give all, a time (RFC 3339), or how long ago (10m)", t.Since)}
		}
	}
	c, err := t.Remote.client()
	if err != nil {
		return err
	}
	c.OnRetry = func(err error) {
		fmt.Fprintf(io.err, "edgeloop: %s; going on where it stopped\n", explain(err))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	var line []byte
	err = c.Tail(ctx, q, func(record []byte) error {
		line = append(appendPrintable(line[:0], record), '\n')
		_, err := io.out.Write(line)
		return err
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
