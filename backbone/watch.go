package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// watcher follows a stream from what it holds now to what comes, across lost
// connections and reopened stores. After such a break it begins anew, so each must
// cope with seeing a message again.
type watcher struct {
	// Immutable after construction.
	conn   *clientConn
	stream string
	config jetstream.ConsumerConfig
	each   func(*delivery) // borrowed until return
	log    *zap.Logger
}

// run follows until ctx ends. caughtUp is called whenever all that the stream
// held has been seen.
func (w *watcher) run(ctx context.Context, caughtUp func()) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := w.follow(ctx, caughtUp)
		if ctx.Err() != nil {
			return
		}
		w.log.Warn("a watch on a stream broke and begins anew", zap.Error(err))
		if time.Since(began) > time.Minute {
			attempt = 0
		}
		pause(ctx, reconnectDelay(attempt))
	}
}

func (w *watcher) follow(ctx context.Context, caughtUp func()) error {
	p, err := openPull(ctx, w.conn, w.stream, w.config, true)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer p.close()
	if p.pending == 0 {
		caughtUp()
	}
	for {
		d, err := p.next(ctx)
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if w.each(d); d.pending == 0 {
			caughtUp()
		}
	}
}

// startWatch runs w on a worker and returns when it has caught up once.
func (b *Backbone) startWatch(ctx context.Context, w *watcher) error {
	ready := make(chan struct{}, 1)
	b.workers.Go(func() {
		w.run(b.ctx, func() {
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
