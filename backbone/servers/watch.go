package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/internal/pause"
)

// Watcher reads what a stream holds and then follows it, across lost connections and reopened
// stores. After such a break it begins again, so Each must cope with seeing a message twice.
type Watcher struct {
	// Immutable after construction.
	srv    *Servers
	Stream string
	Config jetstream.ConsumerConfig
	Each   func(*Delivery) // borrowed until return
	// CaughtUp, if set, is called by Watch whenever it has seen all that the stream held.
	CaughtUp func()
}

// run follows until ctx ends. It calls caughtUp whenever it has seen all that the stream
// held.
func (w *Watcher) run(ctx context.Context, caughtUp func()) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := w.follow(ctx, caughtUp)
		if ctx.Err() != nil {
			return
		}
		w.srv.cfg.Logger.Warn("a watch on a stream broke, starting it again", zap.Error(err))
		if time.Since(began) > time.Minute {
			attempt = 0
		}
		_ = pause.For(ctx, RetryDelay(attempt))
	}
}

func (w *Watcher) follow(ctx context.Context, caughtUp func()) error {
	p, err := OpenPull(ctx, w.srv.Reader, w.Stream, w.Config, true)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer p.Close()
	if p.Pending == 0 {
		caughtUp()
	}
	for {
		d, err := p.Next(ctx)
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if w.Each(d); d.Pending == 0 {
			caughtUp()
		}
	}
}

// Watch runs w until ctx ends.
func (s *Servers) Watch(ctx context.Context, w *Watcher) {
	w.srv = s
	caughtUp := w.CaughtUp
	if caughtUp == nil {
		caughtUp = func() {}
	}
	w.run(ctx, caughtUp)
}

// StartWatch runs w on a goroutine of its own until the node closes. It returns when w has
// caught up once.
func (s *Servers) StartWatch(ctx context.Context, w *Watcher) error {
	w.srv = s
	ready := make(chan struct{}, 1)
	s.Go(func() {
		w.run(s.ctx, func() {
			select {
			case ready <- struct{}{}:
			default:
			}
		})
	})
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("watch a stream"), ctx.Err())
	}
}
