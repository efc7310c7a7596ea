package crew

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/history"
)

// Config says who streams and how. All times are of the devices.
type Config struct {
	URLs     []string      // ws://host:port/v1/device of each node; a device takes any of them
	Count    int           // devices
	Window   int           // most unacknowledged messages; the node's window if that is less
	Pace     time.Duration // time between new messages; 0: as fast as the window allows
	Padding  int           // bytes that each message is made larger by
	Tick     time.Duration // how often a quiet device looks up
	Patience time.Duration // silence, with messages on their way, after which a device connects again
	Backoff  time.Duration // longest wait before connecting again
	Seed     uint64
	Net      *faults.Namespace          // where the devices live; nil: here
	TLS      *tls.Config                // they connect by TLS; nil: without
	Token    func(device string) string // what a device shows; nil: nothing

	Meter *Meter // nil: waits are not measured
}

// Crew is the recording devices of one life.
type Crew struct {
	// Immutable after construction.
	cfg     Config
	journal *history.Journal
	devices []*Device
	stop    context.CancelFunc
	wg      sync.WaitGroup

	// Guarded by mu.
	mu   sync.Mutex
	ends map[string]int // how connections ended

	// Atomic.
	producing atomic.Bool
	parked    atomic.Bool
	parting   atomic.Uint32 // a Parting
	left      atomic.Int64  // connections left behind by a takeover that are still open
	cuts      atomic.Int64  // welcomed connections that ended, other than by the run's wish
}

// Start lets all devices connect and stream.
func Start(ctx context.Context, cfg Config, j *history.Journal) *Crew {
	ctx, cancel := context.WithCancel(ctx)
	c := &Crew{cfg: cfg, journal: j, stop: cancel, ends: map[string]int{}}
	c.producing.Store(true)
	for i := range cfg.Count {
		name := fmt.Sprintf("d%05d", i)
		d := &Device{
			name: name, crew: c, commands: map[string]int{},
			rng:    rand.New(rand.NewPCG(cfg.Seed, uint64(i))), //nolint:gosec // repeatable, not secret
			record: history.Record{Device: name},
		}
		c.devices = append(c.devices, d)
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			d.run(ctx)
		}()
	}
	return c
}

// Stop disconnects all devices and waits for them. It may be called twice.
func (c *Crew) Stop() {
	c.stop()
	c.CutAll()
	c.wg.Wait()
}

// Produce says whether devices make new messages. Any goroutine.
func (c *Crew) Produce(on bool) { c.producing.Store(on) }

// Park sends all devices home, or lets them come back. Any goroutine.
func (c *Crew) Park(on bool) {
	c.parked.Store(on)
	if on {
		c.CutAll()
	}
}

// PartWith says how connections are ended from now on. Any goroutine.
func (c *Crew) PartWith(how Parting) { c.parting.Store(uint32(how)) }

// CutAll ends all connections without a word; the devices come back.
func (c *Crew) CutAll() { c.CutSome(1, nil) }

// CutSome ends about this share of the connections.
func (c *Crew) CutSome(share float64, rng *rand.Rand) {
	for _, d := range c.devices {
		if w := d.current.Load(); w != nil && (share >= 1 || rng.Float64() < share) {
			w.part(Parting(c.parting.Load()))
		}
	}
}

// TakeOver has every device connect a second time while its first connection is
// still open.
func (c *Crew) TakeOver() {
	for _, d := range c.devices {
		if d.online.Load() {
			d.takeover.Store(true)
		}
	}
}

// oldLimit is how long a connection may live on after a newer one took over.
const oldLimit = 30 * time.Second

// leave watches a connection that was left behind: the node has to end it.
func (c *Crew) leave(ctx context.Context, d *Device, w *Wire) {
	c.wg.Add(1) // called by a device's goroutine, which Stop waits for
	c.left.Add(1)
	go func() {
		defer c.wg.Done()
		defer c.left.Add(-1)
		defer w.Cut()
		for deadline := time.Now().Add(oldLimit); ctx.Err() == nil && time.Now().Before(deadline); {
			m, err := w.Next(c.cfg.Tick)
			switch {
			case err == nil && m.Type == "ack":
				d.settle(m.Upto, history.Acked)
			case err == nil && m.Type == "command":
				d.hear(w, m)
			case err != nil && !errors.Is(err, ErrQuiet):
				c.count(fmt.Errorf("left behind, %w", err), false)
				return
			}
		}
		if ctx.Err() == nil && !c.parked.Load() {
			d.broken(history.TwoLives, 0, "the connection that was taken over is open %s later", oldLimit)
		}
	}()
}

// Left is the number of connections that were left behind by a takeover and that
// the node has not ended. Any goroutine.
func (c *Crew) Left() int64 { return c.left.Load() }

// Online is the number of devices that were welcomed and are connected.
func (c *Crew) Online() (n int) {
	for _, d := range c.devices {
		if d.online.Load() {
			n++
		}
	}
	return n
}

// OnlineAt is the number of devices that are connected to one of the nodes.
func (c *Crew) OnlineAt(node int32) (n int) {
	for _, d := range c.devices {
		if d.online.Load() && d.node.Load() == node {
			n++
		}
	}
	return n
}

// Totals are the sums over all devices. Any goroutine.
func (c *Crew) Totals() (sent, acked uint64) {
	for _, d := range c.devices {
		acked += d.acked.Load()
		sent += d.sent.Load()
	}
	return sent, acked
}

// Cuts is the number of connections that the node or the network ended.
func (c *Crew) Cuts() int64 { return c.cuts.Load() }

// Ends says how connections ended, and how often.
func (c *Crew) Ends() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}

// Records is a copy of what the devices wrote down.
func (c *Crew) Records() []history.Record {
	all := make([]history.Record, 0, len(c.devices))
	for _, d := range c.devices {
		d.mu.Lock()
		r := d.record
		r.Events = r.Events[:len(r.Events):len(r.Events)]
		d.mu.Unlock()
		all = append(all, r)
	}
	return all
}

// count sorts the end of a connection into a few kinds.
func (c *Crew) count(err error, welcomed bool) {
	kind := err.Error()
	var closed *ClosedError
	var refused ws.StatusError
	var op *net.OpError
	switch {
	case errors.As(err, &closed):
		kind = fmt.Sprintf("closed with %d", closed.Code)
	case errors.As(err, &refused):
		kind = fmt.Sprintf("refused with %d", int(refused))
	case errors.As(err, &op):
		kind = op.Op + ": " + op.Err.Error()
		if strings.Contains(kind, "use of closed") {
			kind = "cut by the run"
		}
	}
	if strings.HasPrefix(err.Error(), "left behind") {
		kind = "left behind, " + kind
	}
	c.mu.Lock()
	c.ends[kind]++
	c.mu.Unlock()
	if welcomed && kind != "cut by the run" && !errors.Is(err, errTakeover) && !errors.Is(err, errParked) {
		c.cuts.Add(1)
	}
}

// token is what a device shows the node, or "".
func (c *Crew) token(device string) string {
	if c.cfg.Token == nil {
		return ""
	}
	return c.cfg.Token(device)
}

// dialFrom dials from a loopback address of the device's own, so that thousands of
// rounds do not run out of ports.
func (c *Crew) dialFrom(name string) Dialer {
	if c.cfg.Net != nil {
		return func(_ context.Context, addr string) (net.Conn, error) { return c.cfg.Net.Dial(addr) }
	}
	var sum byte
	for i := range name {
		sum = sum*31 + name[i]
	}
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 1, 1+sum%250)}
	nd := &net.Dialer{LocalAddr: local, Timeout: HandshakeLimit}
	if c.cfg.TLS != nil {
		td := &tls.Dialer{NetDialer: nd, Config: c.cfg.TLS}
		return func(ctx context.Context, addr string) (net.Conn, error) { return td.DialContext(ctx, "tcp", addr) }
	}
	return func(ctx context.Context, addr string) (net.Conn, error) { return nd.DialContext(ctx, "tcp", addr) }
}

// Meter is what measures the waits of the devices; nil: nothing does.
func (c *Crew) Meter() *Meter { return c.cfg.Meter }

// Devices are the devices of the crew.
func (c *Crew) Devices() []*Device { return c.devices }

// Stuck says which devices are away, or have sent what is not acknowledged.
func (c *Crew) Stuck() (vs []history.Violation) {
	for _, d := range c.devices {
		if sent, acked := d.sent.Load(), d.acked.Load(); sent != acked || !d.online.Load() {
			vs = append(vs, history.Violation{Promise: history.Stuck, Device: d.name, Seq: acked + 1, Detail: fmt.Sprintf("sent 1..%d, acknowledged 1..%d, online %t", sent, acked, d.online.Load())})
		}
	}
	return vs
}

// TakeOverSome has about this share of the devices connect a second time while
// their first connections are still open.
func (c *Crew) TakeOverSome(share float64, rng *rand.Rand) {
	for _, d := range c.devices {
		if d.online.Load() && rng.Float64() < share {
			d.takeover.Store(true)
		}
	}
}

// Turning says whether a device was asked to connect a second time and has not yet.
func (c *Crew) Turning() bool {
	return slices.ContainsFunc(c.devices, func(d *Device) bool { return d.takeover.Load() })
}

// Forget drops the events before mark: what they say was checked.
func (c *Crew) Forget(mark time.Duration) {
	for _, d := range c.devices {
		d.mu.Lock()
		d.record.Events = history.Since(d.record.Events, mark)
		d.mu.Unlock()
	}
}
