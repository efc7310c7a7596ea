package eventloop

import (
	"net/netip"
	"time"
)

// A line holds guests in the order in which they came to their stage, so the one that has been
// there longest is found without a look at the others. A guest in no line is not asked to give way.
// lobby.mu guards it.
type line struct {
	oldest, newest *guest
	of             map[netip.Addr]int // how many have an address
}

func (l *line) join(g *guest) {
	if l.of == nil {
		l.of = map[netip.Addr]int{}
	}
	l.of[g.addr]++
	g.in, g.older = l, l.newest
	if l.newest == nil {
		l.oldest = g
	} else {
		l.newest.next = g
	}
	l.newest = g
}

func (g *guest) stepOut() {
	if g.in == nil {
		return
	}
	if g.in.of[g.addr]--; g.in.of[g.addr] <= 0 {
		delete(g.in.of, g.addr)
	}
	if g.older == nil {
		g.in.oldest = g.next
	} else {
		g.older.next = g.next
	}
	if g.next == nil {
		g.in.newest = g.older
	} else {
		g.next.older = g.older
	}
	g.in, g.older, g.next = nil, nil, nil
}

const (
	// crowdPause is the time between two looks while there is no room.
	crowdPause = 10 * time.Millisecond
	// hurryPause is how long room must be lacking before the times halve.
	hurryPause = 100 * time.Millisecond
	// hurryForget is how long there must be room before they are whole again.
	hurryForget = time.Second
	// hurryMost is how often they halve.
	hurryMost = 4
)

// A hurry is how scarce room has been.
type hurry struct {
	halves int
	since  time.Time
}

// none notes that there is no room.
func (h *hurry) none(now time.Time) {
	switch took := now.Sub(h.since); {
	case took < hurryPause:
		return
	case took >= hurryForget:
		h.halves = 0
	default:
		h.halves = min(h.halves+1, hurryMost)
	}
	h.since = now
}

// crowdOut schedules a look for guests that have to give way to newcomers: one in each crowdPause,
// however often it is called.
func (s *listener) crowdOut() {
	if s.lobby.inside.Load() >= int64(s.lobby.most)*3/4 && s.lobby.looking.CompareAndSwap(false, true) {
		time.AfterFunc(crowdPause, s.lookRound)
	}
}

// lookRound sends those guests away, opens the gate if there is room, and schedules the next look
// until a quarter of the room is free.
func (s *listener) lookRound() {
	s.lobby.looking.Store(false)
	if s.isStopping() {
		return
	}
	for _, c := range s.lobby.crowdedOut(time.Now()) {
		s.noteCrowd()
		_ = c.loop.post(mail{c: c, kind: mailGiveWay}) // a loop that has ended has closed it
	}
	s.minding()
	s.crowdOut()
}

// crowdedOut is up to a quarter of the guests that have to give way, if there is
// no room. It looks at each guest once at the most.
func (b *lobby) crowdedOut(now time.Time) (out []*Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inside.Load() < int64(b.most) {
		return nil
	}
	b.hurry.none(now)
	out = b.outOfLocked(&b.refused, out, now, crowdGrace, crowdGrace)
	out = b.outOfLocked(&b.sending, out, now, helloGrace>>b.hurry.halves, crowdGrace>>b.hurry.halves)
	return b.outOfLocked(&b.served, out, now, b.patienceLocked(b.most), b.patienceLocked(b.perAddress))
}

// outOfLocked adds to out the guests that have been in l for grace, or for less if their address
// has more than its share there.
func (b *lobby) outOfLocked(l *line, out []*Conn, now time.Time, grace, less time.Duration) []*Conn {
	most := max(1, b.most/4)
	for g, next := l.oldest, (*guest)(nil); g != nil && len(out) < most; g = next {
		next = g.next
		took := now.Sub(g.since)
		if took < less {
			break
		}
		if took >= grace || (g.addr.IsValid() && l.of[g.addr] > b.perAddress) {
			g.stepOut()
			out = append(out, g.conn)
		}
	}
	return out
}
