package backbone

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// clientConn is one connection to the server, in-process or over the network,
// that comes back by itself for as long as the node lives.
type clientConn struct {
	// Immutable after construction.
	nc   *nats.Conn
	js   jetstream.JetStream
	down chan struct{} // capacity 1: a loss nobody has looked at yet

	// Atomic.
	lost atomic.Pointer[State] // since when there is no connection; nil while there is
}

const (
	reconnectFirst = 10 * time.Millisecond
	reconnectMost  = time.Second
	pingEvery      = 10 * time.Second // a dead server is noticed within two
	requestTimeout = 5 * time.Second  // of one question to the server
)

// dial connects, waiting for an external server until ctx ends.
func dial(ctx context.Context, c *Config, e *embedded, name string) (*clientConn, error) {
	conn := &clientConn{down: make(chan struct{}, 1)}
	log := c.Logger.Named("conn").With(zap.String("conn_id", name))
	opts := []nats.Option{
		nats.Name("edgeloop " + c.Node + " " + name),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // what was not sent fails at once and is settled
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.SkipSubjectValidation(), // ours are made by appendSubject
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			conn.lost.Store(&State{Since: time.Now(), Cause: errDisconnected})
			select {
			case conn.down <- struct{}{}:
			default:
			}
			if !nc.IsClosed() {
				log.Warn("connection to the log lost", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			conn.lost.Store(nil)
			log.Info("connection to the log is back")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("connection to the log", zap.Error(err))
		}),
	}
	if e != nil {
		opts = append(opts, nats.InProcessServer(e))
	}
	if c.NATSCreds != "" {
		opts = append(opts, nats.UserCredentials(c.NATSCreds))
	}
	var err error
	for attempt := 0; ; attempt++ {
		if conn.nc, err = nats.Connect(c.NATSURL, opts...); err == nil {
			break
		}
		if !pause(ctx, reconnectDelay(attempt)) {
			return nil, fmt.Errorf("connect to %s: %w", c.NATSURL, err)
		}
	}
	if conn.js, err = jetstream.New(conn.nc, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		conn.nc.Close()
		return nil, err
	}
	return conn, nil
}

func reconnectDelay(attempts int) time.Duration {
	return min(reconnectFirst<<min(attempts, 10), reconnectMost)
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
