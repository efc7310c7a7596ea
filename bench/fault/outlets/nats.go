package outlets

import (
	"context"
	"fmt"
	"os"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/node"
)

// NATS is a server with a stream that the sink publishes into, behind a proxy.
type NATS struct {
	never
	*node.Upstream
}

// stream takes what the sink publishes.
const stream = "DELIVERED"

// NewNATS starts a server at addr, behind a proxy at front. Its data is in dir.
func NewNATS(ctx context.Context, binary, front, addr, dir string) (*NATS, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n := &NATS{Upstream: &node.Upstream{Binary: binary, Dir: dir, Addr: addr}}
	err := n.Start(ctx)
	if err == nil {
		err = n.MakeStream(ctx, stream, "out.>")
	}
	if err == nil {
		n.Proxy, err = faults.NewProxy(front, addr)
	}
	if err != nil {
		n.Kill()
		return nil, err
	}
	return n, nil
}

// Name implements Outlet.
func (n *NATS) Name() string { return "nats" }

// Keys implements Outlet.
func (n *NATS) Keys() string {
	return fmt.Sprintf("type: nats, url: 'nats://%s', subject: 'out.{device}'", n.Proxy.Addr())
}

// Read implements Outlet.
func (n *NATS) Read(ctx context.Context, each func(at time.Time, line []byte) error) error {
	return n.Messages(ctx, stream, each)
}

// Close implements Outlet.
func (n *NATS) Close() {
	n.Proxy.Close()
	n.Kill()
}
