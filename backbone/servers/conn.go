package servers

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/internal/pause"
	"edgeloop/internal/redact"
)

// Conn is one connection to the server, in-process or over the network,
// that comes back by itself for as long as the node lives.
type Conn struct {
	// Immutable after construction.
	NC   *nats.Conn
	JS   jetstream.JetStream
	Down <-chan struct{} // capacity 1: a loss nobody has looked at yet
	dial *dialer         // nil when the server is in this process
	// silence is how long a reader waits for any word of the server.
	silence time.Duration

	// Atomic.
	lost  atomic.Pointer[State]         // since when there is no connection; nil while there is
	renew atomic.Pointer[chan struct{}] // closed at the next loss or return of the connection
}

// again is closed when the connection is lost, or is another one.
func (c *Conn) again() <-chan struct{} { return *c.renew.Load() }

func (c *Conn) changed() {
	next := make(chan struct{})
	close(*c.renew.Swap(&next))
}

const (
	reconnectFirst = 10 * time.Millisecond
	reconnectMost  = time.Second
	pingEvery      = 10 * time.Second // a dead server is noticed within two
)

// RequestTimeout is how long one question to the server may take.
const RequestTimeout = 5 * time.Second

// Lost says since when there is no connection; OK while there is.
func (c *Conn) Lost() State {
	if lost := c.lost.Load(); lost != nil {
		return *lost
	}
	return State{}
}

// Dial connects to servers elsewhere for a few questions; the caller closes c.NC.
func Dial(ctx context.Context, cfg Config, name string) (*Conn, error) {
	return dial(ctx, &cfg, nil, name)
}

// dial connects, waiting for an external server until ctx ends.
func dial(ctx context.Context, c *Config, e *embedded, name string) (*Conn, error) {
	down := make(chan struct{}, 1)
	conn := &Conn{Down: down, silence: pullSilence}
	first := make(chan struct{})
	conn.renew.Store(&first)
	log := c.Logger.Named("conn").With(zap.String("conn_id", name))
	opts := []nats.Option{
		nats.Name("edgeloop " + c.Node + " " + name),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // what was not sent fails at once and is settled
		nats.CustomReconnectDelay(RetryDelay),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.SkipSubjectValidation(), // ours are made by names.AppendSubject
		nats.IgnoreAuthErrorAbort(),  // a password can be put right; without it a second refusal is the last
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			conn.lost.Store(&State{Since: time.Now(), Cause: ErrDisconnected})
			conn.changed()
			select {
			case down <- struct{}{}:
			default:
			}
			if !nc.IsClosed() {
				log.Warn("connection to the log lost", zap.Error(withoutSecrets(err)))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			conn.lost.Store(nil)
			conn.changed()
			log.Info("connection to the log restored")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("connection to the log", zap.Error(withoutSecrets(err)))
		}),
	}
	if e != nil {
		opts = append(opts, nats.InProcessServer(e))
	} else {
		conn.dial = &dialer{}
		opts = append(opts, nats.SetCustomDialer(conn.dial))
	}
	opts = append(opts, c.Access.options()...)
	var err error
	if conn.NC, err = connect(ctx, c, conn.dial, log, opts); err != nil {
		return nil, err
	}
	if conn.JS, err = jetstream.New(conn.NC, jetstream.WithDefaultTimeout(RequestTimeout)); err != nil {
		conn.NC.Close()
		return nil, err
	}
	return conn, nil
}

// connect tries until it succeeds or ctx ends. The first failure is said at once, and each
// one that has another cause than the one before.
func connect(ctx context.Context, c *Config, d *dialer, log *zap.Logger, opts []nats.Option) (*nats.Conn, error) {
	said := ""
	for attempt := 0; ; attempt++ {
		nc, err := nats.Connect(c.URL, opts...)
		if err == nil {
			if said != "" {
				log.Info("connected to the log's server")
			}
			return nc, nil
		}
		if errors.Is(err, nats.ErrNoServers) && d != nil {
			err = cmp.Or(d.failed(), err) // nats.go keeps to itself that it was refused
		}
		err = unread(err)
		missing := &NoServerError{redact.URL(c.URL), err, toCheck(err)}
		if text := err.Error(); text != said {
			said = text
			log.Warn("cannot connect to the log's server, trying again",
				zap.String("url", missing.URL), zap.Error(err), zap.String("check", missing.Check))
		}
		if c.OnWait != nil {
			c.OnWait(missing)
		}
		if pause.For(ctx, RetryDelay(attempt)) != nil {
			return nil, missing
		}
	}
}

// RetryDelay grows with the attempts, from 10 ms to a second.
func RetryDelay(attempts int) time.Duration {
	return min(reconnectFirst<<min(attempts, 10), reconnectMost)
}

// dialer makes connections on which no write waits for ever: nats.go holds a lock
// meanwhile that even its Close needs, and a server that stands still reads nothing.
type dialer struct {
	mu sync.Mutex
	// Guarded by mu.
	last    net.Conn
	aborted bool
	err     error // of the latest attempt
}

const (
	dialTimeout  = 2 * time.Second
	writeTimeout = 10 * time.Second // of one write to an external server
)

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, dialTimeout)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err = err; err != nil {
		return nil, err
	}
	if d.aborted {
		return nil, errors.Join(ErrClosed, c.Close())
	}
	d.last = c
	return boundedConn{c}, nil
}

// failed returns why the latest attempt failed.
func (d *dialer) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
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
