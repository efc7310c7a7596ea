package eventloop

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// The lobby. A peer that has connected and is not a device yet is a guest, and
// there are at most MaxHandshakes guests: those whose header block is coming in,
// those being decided, and those that were refused and have not hung up. The
// accept gate shuts when there are as many. But an acceptor in the middle of
// emptying the backlog is not stopped by the gate (gate_linux.go), so some more
// may come, up to the length of the backlog: they wait, and nothing is read from
// them until somebody leaves.
//
// Sockets that say nothing cost their sender next to nothing, so they give way when there is no
// room: first those refused crowdGrace ago, then those that have not sent their header block within
// helloGrace, or within crowdGrace if their address has more than MaxPerAddress; the oldest first.
// While there is still no room, the times for a header block halve, down to a sixteenth. Otherwise
// peers that come in great numbers could fill the backlog, where everybody has to wait (crowd.go).
//
// A guest whose TLS handshake a worker has, or had, in hand is not silent: it waits for us, and
// what was done for it is lost if it goes. It gives way after the silent ones, and not before a
// whole lobby of its kind could have been served. Otherwise a machine that needs 20 ms for a
// handshake would send away most of the guests that it has worked for, and let hardly anybody in.
// If more than MaxPerAddress of its address are among these, it gives way when that many could have
// been served; otherwise one address could hold all places with some ClientHellos a second
// (docs/decisions/0019).
type lobby struct {
	// Immutable after construction.
	most       int
	perAddress int
	proxies    func(netip.Addr) bool // whose sockets are of many peers; nil: nobody's

	// Guarded by mu.
	mu      sync.Mutex
	guests  map[*Conn]*guest
	queue   []*Conn       // those that wait, the longest first; also some that left meanwhile
	sending line          // in stageHello
	served  line          // in stageHello, and a worker has or had its handshake in hand
	refused line          // in stageLingering
	cost    time.Duration // of a worker's turn, smoothed
	hurry   hurry
	spare   *guest // of guests that have left, linked by next
	spares  int

	// Atomic; changed with mu held.
	inside  atomic.Int64 // guests that do not wait
	waiting atomic.Int64
	looking atomic.Bool // a look for those who have to give way is arranged
}

// helloGrace is how long a newcomer may take for its header block before it gives
// way to others: a slow network needs some round trips.
const helloGrace = time.Second

// crowdGrace is the same for a newcomer whose address has many, long enough for devices behind one
// address that come back together. It is also how long a refused peer may take to hear the answer.
const crowdGrace = 250 * time.Millisecond

const (
	// servedLeast and servedMost bound how long a guest in served may take: long enough
	// for a peer to answer what was sent to it, and half of the time that a handshake has
	// by default.
	servedLeast = crowdGrace
	servedMost  = 5 * time.Second
	// servedTurns is how often its time starts: when a worker is asked for, and when it is done.
	servedTurns = 2
)

type guest struct {
	stage  stage
	conn   *Conn
	addr   netip.Addr
	since  time.Time // it is in this stage
	stayed bool      // it was asked to give way once, and did not
	turns  uint8     // how often its time began anew in served, at most servedTurns

	// Its line, nil if it is in none, and its neighbours there.
	in          *line
	older, next *guest
}

type stage uint8

const (
	stageWaiting   stage = iota // accepted, and not read from
	stageHello                  // the header block is coming in
	stageDecided                // whole, and the Acceptor is deciding
	stageLingering              // refused
)

func (b *lobby) init(most, perAddress int) {
	b.most, b.perAddress = most, min(perAddress, most)
	b.guests = map[*Conn]*guest{}
}

// enter takes a newcomer in. false: it has to wait.
func (b *lobby) enter(c *Conn, addr net.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.spare
	if g == nil {
		g = new(guest)
	} else {
		b.spare, b.spares = g.next, b.spares-1
	}
	*g = guest{stage: stageWaiting, conn: c, addr: b.countsFor(addr), since: now}
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
	b.sending.join(g)
	b.inside.Add(1)
}

// move says how far c has come.
func (b *lobby) move(c *Conn, to stage, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.guests[c]
	if g == nil {
		return
	}
	g.stepOut()
	g.stage, g.since = to, now
	if to == stageLingering {
		b.refused.join(g)
	}
}

// serve notes that a worker has c's handshake to go on with or, if took is above 0, has done so in
// that time. Only the first two calls restart the time of c, so a peer that sends its handshake in
// many pieces does not keep its place that way.
func (b *lobby) serve(c *Conn, took time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case took > 0 && b.cost == 0:
		b.cost = took
	case took > 0:
		b.cost += (took - b.cost) / 16
	}
	g := b.guests[c]
	if g == nil || g.in == nil || g.stage != stageHello || g.turns == servedTurns {
		return
	}
	g.turns++
	g.stepOut()
	g.since = now
	b.served.join(g)
}

// patienceLocked is how long a guest in served may take when there is no room and guests like it
// have so many places: as long as one worker needs for twice as many turns. A peer that means well
// has then had its turn, and time for its answer.
func (b *lobby) patienceLocked(places int) time.Duration {
	return min(max(servedLeast, 2*time.Duration(places)*b.cost), servedMost)
}

// stay puts c at the end of its line once more: it was asked to give way, and was not at fault. It
// does so only once, so a peer that trickles bytes does not keep its place. false: c has to go.
func (b *lobby) stay(c *Conn, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.guests[c]; g != nil && g.stage == stageHello && g.in == nil && !g.stayed {
		g.since, g.stayed = now, true
		b.sending.join(g)
		return true
	}
	return false
}

// spareLocked keeps the memory of a guest that has left for the next one. Else each device
// that comes would leave a hole of its size among what it keeps for good.
func (b *lobby) spareLocked(g *guest) {
	if b.spares < b.most {
		*g = guest{next: b.spare}
		b.spare, b.spares = g, b.spares+1
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
	g.stepOut()
	defer b.spareLocked(g)
	if g.stage == stageWaiting {
		b.waiting.Add(-1)
		return
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
			g.since = now
			b.admitLocked(g)
			return c
		}
	}
	return nil
}

// countsFor is the address that a socket counts for. A proxy's socket counts for none, because a
// proxy has as many sockets as there are peers behind it.
func (b *lobby) countsFor(addr net.Addr) netip.Addr {
	if b.proxies != nil && b.proxies(addrPortOf(addr).Addr()) {
		return netip.Addr{}
	}
	return sourceOf(addr)
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
