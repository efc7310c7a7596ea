package main

import (
	"context"
	"os"

	"edgeloop/bench/fault/kafka"
	"edgeloop/bench/sinks"
)

type sinksCmd struct {
	sinks.Options
}

// Run measures sinks and writes a page.
func (c *sinksCmd) Run(ctx context.Context) error { return sinks.Run(ctx, c.Options, os.Stderr) }

// kafkaCmd is how sinks starts a broker, which lives in a process of its own.
type kafkaCmd struct {
	Config string `arg:""`
}

// Run is that broker, until its input ends.
func (c *kafkaCmd) Run() error { return kafka.Serve(c.Config, os.Stdin, os.Stdout) }
