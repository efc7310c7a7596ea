package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"edgeloop/bench"
	"edgeloop/bench/probe"
)

type readyCmd struct {
	DataDir string        `help:"The node's data directory." required:""`
	Wait    time.Duration `help:"How long to wait." default:"30s"`
}

// Run polls the node's readiness, which needs no token.
func (r *readyCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		at, err := bench.ReadAddresses(r.DataDir)
		if err == nil {
			_, _, err = probe.Endpoint{URL: "http://" + at.Admin}.Do(ctx, http.MethodGet, "/readyz", "")
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", r.Wait, err)
		case <-tick.C:
		}
	}
}
