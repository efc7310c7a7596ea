package crew

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/history"
	"edgeloop/internal/pause"
)

// Newcomers connects one new device after another until ctx ends, and counts how long
// each took. A device that is refused or cut tries again; it has arrived once it is
// welcomed.
func (c *Crew) Newcomers(ctx context.Context, url string) {
	rng := rand.New(rand.NewPCG(c.cfg.Seed, 4)) //nolint:gosec // repeatable, not secret
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%snew%d", history.Hostile, i%50)
		began := time.Now()
		for ctx.Err() == nil {
			if w, err := Open(ctx, c.dialFrom(name), url+"?device="+name, rng, c.token(name)); err == nil {
				_, err = w.Next(HandshakeLimit)
				w.Cut()
				if err == nil {
					break
				}
			}
			_ = pause.For(ctx, 50*time.Millisecond)
		}
		if ctx.Err() == nil || time.Since(began) > longWait {
			c.cfg.Meter.add(WaitJoin, began)
		}
		_ = pause.For(ctx, 150*time.Millisecond)
	}
}

// Pinger is a device that only pings.
type Pinger struct {
	wire *Wire
}

// NewPinger connects a pinger to url. Its caller closes it.
func (c *Crew) NewPinger(ctx context.Context, url string, seed uint64) (*Pinger, error) {
	rng := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // repeatable, not secret
	name := history.Hostile + "ping"
	w, err := Open(ctx, c.dialFrom(name), url+"?device="+name, rng, "")
	return &Pinger{w}, err
}

// Close cuts the connection.
func (p *Pinger) Close() { p.wire.Cut() }

// Ping sends a ping and waits up to handshakeLimit for the answer.
func (p *Pinger) Ping() error {
	p.wire.ping()
	if err := p.wire.Flush(); err != nil {
		return err
	}
	_ = p.wire.conn.SetReadDeadline(time.Now().Add(HandshakeLimit))
	for {
		h, err := ws.ReadHeader(p.wire.in)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, p.wire.in, h.Length); err != nil {
			return err
		}
		if h.OpCode == ws.OpPong {
			return nil
		}
	}
}
