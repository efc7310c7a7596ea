package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/wsproto"
)

const closeReplaced = uint16(wsproto.CloseReplaced)

// drain is the progress of a node that goes away.
type drain struct {
	// Guarded by mu.
	mu      sync.Mutex
	started time.Time
	window  time.Duration
	total   int
	closed  int
}

// drainStep is how often a drain closes its next share.
const drainStep = 50 * time.Millisecond

// Drain sends the devices away, spread over window (0: Config.DrainWindow), and
// returns when their messages are in the log: no new device is admitted (one
// whose handshake is being decided is either seen here or sees the drain, see
// admit), each connected one gets 1001 with a delay after which to come back, the lanes run
// empty, the log is flushed. It is called once.
func (g *Gateway) Drain(ctx context.Context, window time.Duration) error {
	if window == 0 {
		window = g.cfg.DrainWindow
	}
	g.draining.Store(true)
	if err := g.spreadCloses(ctx, window); err != nil {
		return err
	}
	if err := g.awaitGone(ctx); err != nil {
		return err
	}
	if err := g.lanes.Drain(ctx); err != nil {
		return fmt.Errorf("gateway: drain lanes: %w", err)
	}
	if err := g.log.Flush(ctx); err != nil {
		return fmt.Errorf("gateway: flush the log: %w", err)
	}
	return nil
}

// spreadCloses closes the links that live now, evenly over the window.
func (g *Gateway) spreadCloses(ctx context.Context, window time.Duration) error {
	var links []devicemgr.Link
	g.devices.Range("", func(s *devicemgr.Session) bool {
		if l := s.Link(); l != nil {
			links = append(links, l)
		}
		return true
	})
	steps := max(1, int(window/drainStep))
	g.drain.begin(len(links), window)
	g.logger.Info("draining", zap.Int("devices", len(links)), zap.Duration("dur", window))
	share := (len(links) + steps - 1) / steps
	t := time.NewTicker(drainStep)
	defer t.Stop()
	for len(links) > 0 {
		n := min(share, len(links))
		for _, l := range links[:n] {
			l.Close(uint16(wsproto.CloseGoingAway), g.comeBack())
		}
		g.drain.advance(n)
		if links = links[n:]; len(links) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gateway: drain: %w", ctx.Err())
		case <-t.C:
		}
	}
	return nil
}

// comeBack is the reason of a going-away close: the seconds after which to come
// back, spread so that those who were sent away together do not come together.
func (g *Gateway) comeBack() string {
	return fmt.Sprintf("retry=%d", int(eventloop.Spread(g.cfg.RetryAfter).Seconds()))
}

// awaitGone waits until the last device has left; the event loop bounds how
// long each may take to answer.
func (g *Gateway) awaitGone(ctx context.Context) error {
	t := time.NewTicker(drainStep / 5)
	defer t.Stop()
	for {
		online, _ := g.devices.Len()
		if online == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gateway: %d devices have not left: %w", online, ctx.Err())
		case <-t.C:
		}
	}
}

func (d *drain) begin(total int, window time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started, d.window, d.total = time.Now(), window, total
}

func (d *drain) advance(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed += n
}
