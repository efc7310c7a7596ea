package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"edgeloop/eventloop"
)

const closeReplaced = uint16(eventloop.CloseReplaced)

// drain is the progress of a node that goes away.
type drain struct {
	// Guarded by mu.
	mu      sync.Mutex
	started time.Time
	window  time.Duration
	total   int
	closed  int
}

const (
	// drainStep is how often a drain closes its next share.
	drainStep = 50 * time.Millisecond
	// stuckAfter is how long a drain waits while nothing moves: none of the
	// devices that were sent away leaves, or the lanes or the log do not end.
	// It is longer than the event loop waits for an answer to 1001.
	stuckAfter = 15 * time.Second
)

// Drain sends the devices away, spread over window (0: Config.DrainWindow), and
// returns when their messages are in the log: no new device is admitted (one
// whose handshake is being decided is either seen here or sees the drain, see
// admit), each connected one gets 1001 with a delay after which to come back, the lanes run
// empty, the log is flushed. Devices that leave slowly are waited for as long as
// one of them leaves every fifteen seconds; the lanes and the log have fifteen
// seconds each. It is called once.
func (g *Gateway) Drain(ctx context.Context, window time.Duration) error {
	if window == 0 {
		window = g.cfg.DrainWindow
	}
	g.draining.Store(true)
	if err := g.spreadCloses(ctx, window); err != nil {
		return err
	}
	online := func() int { n, _ := g.devices.Len(); return n }
	if left, err := awaitNone(ctx, online); err != nil {
		return fmt.Errorf("gateway: %d devices have not left: %w", left, err)
	}
	if err := bounded(ctx, g.lanes.WaitEmpty); err != nil {
		return fmt.Errorf("gateway: drain lanes: %w", err)
	}
	if err := bounded(ctx, g.log.Flush); err != nil {
		return fmt.Errorf("gateway: flush the log: %w", err)
	}
	if err := bounded(ctx, g.wills.settle); err != nil {
		return fmt.Errorf("gateway: keep the Wills that wait: %w", err)
	}
	return nil
}

// bounded calls step with a context that ends when the step must be stuck.
func bounded(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stuckAfter)
	defer cancel()
	return step(ctx)
}

// spreadCloses closes the links that live now, evenly over the window.
func (g *Gateway) spreadCloses(ctx context.Context, window time.Duration) error {
	var links []*link
	g.devices.Range("", func(s *Session) bool {
		if l := s.Link(); l != nil {
			links = append(links, l)
		}
		return true
	})
	g.drain.begin(len(links), window)
	g.logger.Info("draining", zap.Int("devices", len(links)), zap.Duration("dur", window))
	t := time.NewTicker(drainStep)
	defer t.Stop()
	started, closed := time.Now(), 0
	for {
		due := dueBy(len(links), time.Since(started)+drainStep, window)
		for _, l := range links[closed:due] {
			l.Close(uint16(eventloop.CloseGoingAway), g.comeBack())
		}
		g.drain.advance(due - closed)
		if closed = due; closed == len(links) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gateway: drain: %w", ctx.Err())
		case <-t.C:
		}
	}
}

// dueBy is how many of total are to be closed when elapsed of window is over.
// It goes by the clock and not by steps: a step that comes late closes more.
func dueBy(total int, elapsed, window time.Duration) int {
	if elapsed >= window {
		return total
	}
	return int(float64(total) * float64(elapsed) / float64(window))
}

// comeBack is the reason of a going-away close: the seconds after which to come
// back, spread so that those who were sent away together do not come together.
func (g *Gateway) comeBack() string {
	return fmt.Sprintf("retry=%d", int(eventloop.Spread(g.cfg.RetryAfter).Seconds()))
}

// awaitNone waits until count is 0. It gives up with what is left when ctx ends,
// or when count did not fall for stuckAfter: the event loop bounds how long each
// device may take to answer.
func awaitNone(ctx context.Context, count func() int) (left int, err error) {
	t := time.NewTicker(drainStep / 5)
	defer t.Stop()
	least, since := count(), time.Now()
	for {
		n := count()
		switch {
		case n == 0:
			return 0, nil
		case n < least:
			least, since = n, time.Now()
		case time.Since(since) > stuckAfter:
			return n, context.DeadlineExceeded
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
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
