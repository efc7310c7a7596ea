package backbone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
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
	dial *dialer       // nil when the server is in this process
	// silence is how long a reader waits for any word of the server.
	silence time.Duration

	// Atomic.
	lost  atomic.Pointer[State]         // since when there is no connection; nil while there is
	renew atomic.Pointer[chan struct{}] // closed at the next loss or return of the connection
}

// again is closed when the connection is lost, or is another one.
func (c *clientConn) again() <-chan struct{} { return *c.renew.Load() }

func (c *clientConn) changed() {
	next := make(chan struct{})
	close(*c.renew.Swap(&next))
}

const (
	reconnectFirst = 10 * time.Millisecond
	reconnectMost  = time.Second
	pingEvery      = 10 * time.Second // a dead server is noticed within two
	requestTimeout = 5 * time.Second  // of one question to the server
)

// dial connects, waiting for an external server until ctx ends.
func dial(ctx context.Context, c *Config, e *embedded, name string) (*clientConn, error) {
	conn := &clientConn{down: make(chan struct{}, 1), silence: pullSilence}
	first := make(chan struct{})
	conn.renew.Store(&first)
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
			conn.changed()
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
			conn.changed()
			log.Info("connection to the log is back")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("connection to the log", zap.Error(err))
		}),
	}
	if e != nil {
		opts = append(opts, nats.InProcessServer(e))
	} else {
		conn.dial = &dialer{}
		opts = append(opts, nats.SetCustomDialer(conn.dial))
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

// dialer makes connections on which no write waits for ever: nats.go holds a lock
// meanwhile that even its Close needs, and a server that stands still reads nothing.
type dialer struct {
	mu sync.Mutex
	// Guarded by mu.
	last    net.Conn
	aborted bool
}

const (
	dialTimeout  = 2 * time.Second
	writeTimeout = 10 * time.Second // of one write to an external server
)

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aborted {
		return nil, errors.Join(ErrClosed, c.Close())
	}
	d.last = c
	return boundedConn{c}, nil
}

// abort ends the connection, whatever waits on it, and makes no other.
func (d *dialer) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aborted = true
	if d.last != nil {
		_ = d.last.Close() // whoever waits on it hears of it
	}
}

type boundedConn struct{ net.Conn }

func (c boundedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
