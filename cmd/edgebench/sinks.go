package main

import (
	"context"
	"os"

	"edgeloop/bench/sinks"
)

type sinksCmd struct {
	sinks.Options
}

// Run measures sinks and writes a page.
func (c *sinksCmd) Run(ctx context.Context) error { return sinks.Run(ctx, c.Options, os.Stderr) }
