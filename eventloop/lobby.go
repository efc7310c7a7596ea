package eventloop

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// The lobby. Whoever has connected and is not a device yet is a guest, and of
// guests there are at most MaxHandshakes: those whose header block is coming in,
// those being decided, and those that were refused and have not hung up. The
// accept gate shuts when there are as many. But an acceptor in the middle of
// emptying the backlog is not stopped by the gate (gate_linux.go), so some more
// may come, up to the length of the backlog: they wait, and nothing is read from
// them until somebody leaves.
//
// Sockets that say nothing cost their sender next to nothing, so they give way
// when there is no room: first who was refused crowdGrace ago, then who has
// not sent his header block within helloGrace, or within crowdGrace if there are
// more than MaxPerAddress of his address; the oldest first.
type lobby struct {
	// Immutable after construction.
	most       int
	perAddress int

	// Guarded by mu.
	mu      sync.Mutex
	guests  map[*Conn]*guest
	queue   []*Conn // those that wait, the longest first; also some that left meanwhile
	hellos  map[netip.Addr]int
	entered uint64

	// Atomic; changed with mu held.
	inside  atomic.Int64 // guests that do not wait
	waiting atomic.Int64
}

// helloGrace is how long a newcomer may take for its header block before it gives
// way to others: a slow network needs some round trips.
const helloGrace = time.Second

// crowdGrace is the same for those whose address has many of them, long enough for
// devices behind one address that come back together; and what one who was refused
// may take to hear it.
const crowdGrace = 250 * time.Millisecond

type guest struct {
	stage stage
	leave bool // it was asked to give way
	addr  netip.Addr
	order uint64 // lower came earlier
	since time.Time
}

type stage uint8

const (
	stageWaiting   stage = iota // accepted, and not read from
	stageHello                  // the header block is coming in
	stageDecided                // whole, and the Acceptor is deciding
	stageLingering              // refused
)

func (b *lobby) init(most, perAddress int) {
	b.most, b.perAddress = most, perAddress
	b.guests, b.hellos = map[*Conn]*guest{}, map[netip.Addr]int{}
}

// enter takes a newcomer in. false: it has to wait.
func (b *lobby) enter(c *Conn, addr net.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entered++
	g := &guest{stage: stageWaiting, addr: sourceOf(addr), order: b.entered, since: now}
	b.guests[c] = g
	if b.inside.Load() >= int64(b.most) || b.waiting.Load() > 0 {
		b.queue = append(b.queue, c)
		b.waiting.Add(1)
		return false
	}
	b.admitLocked(g)
	return true
}

func (b *lobby) admitLocked(g *guest) {
	g.stage = stageHello
	b.hellos[g.addr]++
	b.inside.Add(1)
}

// move says how far c has come.
func (b *lobby) move(c *Conn, to stage, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.guests[c]
	switch {
	case g == nil:
		return
	case g.stage == stageHello:
		b.forgetLocked(g.addr)
	}
	g.stage, g.since = to, now
}

func (b *lobby) forgetLocked(addr netip.Addr) {
	if b.hellos[addr]--; b.hellos[addr] <= 0 {
		delete(b.hellos, addr)
	}
}

// leave lets c go, as a device or for good.
func (b *lobby) leave(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.guests[c]
	if g == nil {
		return
	}
	delete(b.guests, c)
	switch g.stage {
	case stageWaiting:
		b.waiting.Add(-1)
		return
	case stageHello:
		b.forgetLocked(g.addr)
	}
	b.inside.Add(-1)
}

// next is the one that has waited longest, if there is room for it; it does not
// wait any more.
func (b *lobby) next(now time.Time) *Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 0 && b.inside.Load() < int64(b.most) {
		c := b.queue[0]
		b.queue[0] = nil
		if b.queue = b.queue[1:]; len(b.queue) == 0 {
			b.queue = nil
		}
		if g := b.guests[c]; g != nil && g.stage == stageWaiting {
			b.waiting.Add(-1)
			b.admitLocked(g)
			g.since = now
			return c
		}
	}
	return nil
}

// crowd calls out for each of up to a quarter of the guests that have to give way,
// if there is no room.
func (b *lobby) crowd(now time.Time, out func(*Conn)) {
	for _, c := range b.crowdedOut(now) {
		out(c)
	}
}

func (b *lobby) crowdedOut(now time.Time) (out []*Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inside.Load() < int64(b.most) {
		return nil
	}
	for range max(1, b.most/4) {
		c := b.oldestLocked(now)
		if c == nil {
			break
		}
		g := b.guests[c]
		g.leave = true
		if g.stage == stageHello { // does not count against its address any more
			b.forgetLocked(g.addr)
			g.stage = stageDecided
		}
		out = append(out, c)
	}
	return out
}

// oldestLocked is who has to give way first, or nil.
func (b *lobby) oldestLocked(now time.Time) (oldest *Conn) {
	var best *guest
	for c, g := range b.guests {
		switch {
		case g.leave || g.stage == stageWaiting || g.stage == stageDecided:
			continue
		case !b.lateLocked(g, now):
			continue
		case best != nil && (best.stage > g.stage || (best.stage == g.stage && best.order < g.order)):
			continue
		}
		oldest, best = c, g
	}
	return oldest
}

// lateLocked says whether a guest has had its time: for the header block, or to
// take its answer.
func (b *lobby) lateLocked(g *guest, now time.Time) bool {
	took := now.Sub(g.since)
	return took >= helloGrace ||
		(took >= crowdGrace && (g.stage == stageLingering || b.hellos[g.addr] > b.perAddress))
}

// sourceOf is the address that a socket counts for: of IPv6 the network, because
// one host has as many addresses as it likes.
func sourceOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}
