package mqttapi

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"edgeloop/mqttproto"
)

// group is a shared subscription: a reader of the log with one place, whose records go to one of
// the clients that are its members. What a member has not acknowledged when it goes is given to
// others, before anything newer.
//
// A record goes to the member that its device is assigned to, by rendezvous hashing, so the
// records of a device go to one member, in order, for as long as the members stay and that one
// takes them. Who does not costs the others nothing: the next member has them.
type group struct {
	// Immutable after construction.
	s      *Server
	tenant string
	share  string // GROUP/FILTER
	filter string
	name   string // of its place
	seed   maphash.Seed
	ctx    context.Context
	end    context.CancelFunc
	ready  chan struct{} // closed when the reader is open, or cannot be
	done   chan struct{} // closed when nothing of it runs any more
	gone   chan struct{} // closed when there may be another of its name
	room   chan struct{} // a place of one: a member may take more, or there is another
	moved  chan struct{} // a place of one: the place may move
	again  chan struct{} // a place of one: something that was given has to be given again

	// Written before ready is closed.
	reader Reader
	log    string
	failed error

	mu sync.Mutex
	// Guarded by mu.
	members []*member
	open    []given // not acknowledged, in the order of the log
	head    uint64  // the last position that was given, or is wanted by nobody
	over    bool    // it takes no more members, for good
	changes uint64  // of members

	// Owned by the goroutine of read.
	record record
	missed uint64
}

// member is a client in a group. Immutable, but for gone.
type member struct {
	c   *client
	g   *group
	qos byte
	id  uint32 // subscription identifier; 0: none
	key uint64 // ranks it for a device

	asPublished bool // it wants to know whether a message was published to be retained

	gone bool // guarded by the group's mu
}

// given is a record that a member has, or gets in a moment; without one it is to be given again.
type given struct {
	position uint64
	to       *member
	since    time.Time // when to got it
	was      string    // the client identifier of who had it before
}

// give gives a record to a member, once one takes it. line is borrowed.
func (g *group) give(ctx context.Context, position uint64, line []byte) error {
	fresh, again := g.due(position)
	if fresh {
		if err := g.holdBack(ctx, position); err != nil {
			return err
		}
	}
	switch {
	case !fresh && !again:
		return nil
	case foreign(line, g.tenant):
		g.pass(position)
		return nil
	}
	r := &g.record
	err := r.parse(line)
	if err == nil && r.Tenant != g.tenant {
		g.pass(position)
		return nil
	}
	var m mqttproto.Publish
	var topic string
	if err == nil {
		if topic = g.s.cfg.Topics.Of(r); !mqttproto.Match(g.filter, topic) || r.expired() { // [MQTT-3.3.2-5]
			g.pass(position)
			return nil
		}
		m.Payload, err = r.payload()
	}
	if err != nil { // never silent
		g.s.log.Error("a record was left out for a group of applications", zap.Uint64("position", position), zap.Error(err))
		g.missed++
		g.pass(position)
		return nil
	}
	m.Topic = []byte(topic)
	return g.hand(ctx, position, &m)
}

// due says whether a position was not given yet, or has to be given again.
func (g *group) due(position uint64) (fresh, again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, there := g.findLocked(position)
	return position > g.head, there && g.open[at].to == nil
}

func (g *group) findLocked(position uint64) (at int, there bool) {
	return slices.BinarySearchFunc(g.open, position, func(o given, p uint64) int { return cmp.Compare(o.position, p) })
}

// pass notes that nobody wants a record.
func (g *group) pass(position uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passLocked(position)
}

func (g *group) passLocked(position uint64) {
	g.settledLocked(position)
	g.head = max(g.head, position)
}

// settledLocked notes that a record needs nothing more.
func (g *group) settledLocked(position uint64) {
	if at, there := g.findLocked(position); there {
		g.open = slices.Delete(g.open, at, at+1)
		signal(g.moved)
	}
}

// hand hands a message to the member that comes first for its device and has room, and waits for
// one, unless it expires.
func (g *group) hand(ctx context.Context, position uint64, m *mqttproto.Publish) error {
	for {
		if g.record.expired() { // while it waited [MQTT-3.3.2-5]
			g.pass(position)
			return nil
		}
		members, changes := g.ranked(position)
		large := len(members) > 0
		for _, to := range members {
			switch took, fits := g.try(to, position, m); {
			case took:
				g.missed = 0
				return nil
			case fits:
				large = false
			}
		}
		if large && g.passLarge(position, changes) { // [MQTT-3.1.2-25]
			g.s.counts.large.Add(1)
			return nil
		}
		select {
		case <-g.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passLarge passes over a record that is too large for all who were asked; false: the members are
// others since.
func (g *group) passLarge(position, changes uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changes != changes {
		return false
	}
	g.passLocked(position)
	return true
}

// ranked are the members in the order in which they are asked for the record at hand, who had it
// before comes last, and how often they have changed.
func (g *group) ranked(position uint64) (all []*member, changes uint64) {
	device := maphash.String(g.seed, g.record.Device)
	g.mu.Lock()
	defer g.mu.Unlock()
	all = slices.Clone(g.members)
	slices.SortFunc(all, func(a, b *member) int { return cmp.Compare(mix(b.key^device), mix(a.key^device)) })
	if at, again := g.findLocked(position); again {
		had := func(m *member) bool { return m.c.id == g.open[at].was }
		if first := slices.IndexFunc(all, had); first >= 0 {
			last := all[first]
			all = append(slices.Delete(all, first, first+1), last)
		}
	}
	return all, g.changes
}

// mix spreads the bits of a number (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// try gives a message to one member; fits is false when it is too large for it.
func (g *group) try(to *member, position uint64, m *mqttproto.Publish) (took, fits bool) {
	c := to.c
	m.QoS, m.ID = min(to.qos, g.record.qos(), 1), 0 // [MQTT-3.8.4-8] [MQTT-4.8.2-3]
	m.Retain = to.asPublished && g.record.Retain    // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
	again, was := g.before(position)
	if m.Dup = false; m.QoS > 0 {
		m.ID, m.Dup = packetID(position), again && was == c.id || !again && position <= c.shared // [MQTT-3.3.1-1]
	}
	if c.peer.Version == mqttproto.V5 {
		ids := make([]uint32, 0, 1)
		if to.id != 0 {
			ids = append(ids, to.id)
		}
		r := reading{c: c, log: g.log, record: g.record, missed: g.missed}
		r.describe(m, position, ids)
	}
	packet, ok := mqttproto.AppendPublish(nil, c.peer, m)
	if !ok {
		return false, false
	}
	switch {
	case !g.begin(position, to):
		return false, true
	case m.QoS > 0 && !c.window.share(position, g):
		g.takeBack(position, again)
		return false, true
	case !c.out.tryPut(packet):
		c.window.unshare(position)
		g.takeBack(position, again)
		return false, true
	}
	if m.QoS == 0 {
		g.acknowledged(position)
	}
	g.mu.Lock()
	g.head = max(g.head, position)
	g.mu.Unlock()
	g.s.counts.sent.Add(1)
	c.conn.Wake()
	return true, true
}

// begin notes that a member gets a record, before it can acknowledge that; false: it has left.
func (g *group) begin(position uint64, to *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if to.gone {
		return false
	}
	at, there := g.findLocked(position)
	if !there {
		g.open = slices.Insert(g.open, at, given{position: position})
	}
	g.open[at].to, g.open[at].since = to, time.Now()
	return true
}

// takeBack undoes begin; again: the record is one that is given again.
func (g *group) takeBack(position uint64, again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch at, there := g.findLocked(position); {
	case !there:
	case again:
		g.open[at].to = nil
	default:
		g.open = slices.Delete(g.open, at, at+1)
	}
}

// before says whether a record was given already, and to whom.
func (g *group) before(position uint64) (again bool, was string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, again := g.findLocked(position)
	if again {
		was = g.open[at].was
	}
	return again, was
}

// acknowledged hears that a record is done.
func (g *group) acknowledged(position uint64) {
	g.mu.Lock()
	g.settledLocked(position)
	g.mu.Unlock()
}

// place is how far the place may move.
func (g *group) place() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) > 0 {
		return g.open[0].position - 1
	}
	return g.head
}

// join makes a client a member, or changes what it has asked for; false: the group is at its end.
func (g *group) join(c *client, sub *subscription) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return false
	}
	g.changedLocked()
	to := &member{c: c, g: g, qos: sub.QoS, id: sub.ID, key: maphash.String(g.seed, c.id), asPublished: sub.AsPublished}
	if at := slices.IndexFunc(g.members, func(m *member) bool { return m.c == c }); at >= 0 {
		before := g.members[at]
		before.gone, g.members[at] = true, to
		for i := range g.open {
			if g.open[i].to == before {
				g.open[i].to = to
			}
		}
		return true
	}
	g.members = append(g.members, to)
	return true
}

// changedLocked has the record at hand offered to those who are members now.
func (g *group) changedLocked() {
	g.changes++
	signal(g.room)
}

// leave takes a client out. What it had is given again. over: the group is at its end; last: that
// is so because there is no other member.
func (g *group) leave(c *client) (last, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.IndexFunc(g.members, func(m *member) bool { return m.c == c })
	if at < 0 {
		return false, false
	}
	to := g.members[at]
	to.gone = true
	g.changedLocked()
	g.members = slices.Delete(g.members, at, at+1)
	for i := range g.open {
		if g.open[i].to == to {
			g.open[i].to, g.open[i].was = nil, c.id
			signal(g.again)
		}
	}
	last = !g.over && len(g.members) == 0
	g.over = g.over || last
	return last, g.over
}
