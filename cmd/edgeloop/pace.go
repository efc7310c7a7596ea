package main

import (
	"context"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/pace"
)

// newPacer has who catches up with the log leave devices their acknowledgements.
func (n *node) newPacer() *pace.Pacer {
	return pace.New(pace.Signals{
		End: n.backbone.Durable,
		Acks: func() (uint64, time.Duration, bool) {
			if g := n.ends.Load(); g != nil {
				return g.Acked()
			}
			return 0, 0, false // there are no devices yet
		},
	})
}

// pacedReader is a named reader that is slowed down while it catches up.
type pacedReader struct {
	*backbone.Reader
	pacer *pace.Pacer
	name  string
}

// Read is that of the reader.
func (r pacedReader) Read(ctx context.Context, fn func(backbone.Entry) error) error {
	turn := r.pacer.Turn(r.name)
	defer turn.End()
	return r.Reader.Read(ctx, func(e backbone.Entry) error {
		if err := turn.Wait(ctx, e.Position); err != nil {
			return err
		}
		return fn(e)
	})
}
