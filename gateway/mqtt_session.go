package gateway

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/mqttproto"
)

// What is kept of a client of MQTT beyond its connection: for how long, whether it has asked
// for commands, and the packet identifiers of QoS 2 that it has not released. It is a line of
// text that each record of the device carries, so it is durable with the record, and the
// last record of the device says all (docs/decisions/0040). Where it changes and no record
// goes into the log for another reason, one of the type SessionRecord does.

// SessionRecord is the type of a record that only carries what is kept of a session.
const SessionRecord = "session"

// neverExpires is a Session Expiry Interval.
const neverExpires = 1<<32 - 1

// A clientSession is what is kept of one client. While it is known here it outlives its
// connections, because the log does not tell of what is on its way.
type clientSession struct {
	mu sync.Mutex
	// Guarded by mu.
	epoch  uint64 // of the connection that has it; what others bring comes too late
	began  uint64 // of the connection with which it began anew
	link   *link  // of that
	left   time.Time
	expiry uint32 // seconds from when it is left; 0: nothing is kept
	wants  bool   // commands
	keeps  bool   // with QoS 1
	sent   uint64 // up to which position commands of QoS 1 may have been sent
	open   packetIDs
	text   string    // what records carry
	dirty  bool      // no record carries text yet
	before packetIDs // what open was when the turn at hand began; see changedLocked
	turned bool      // before is valid
	wrote  bool      // dirty was false before the last hold
	// abreast says that the connection has had a record made behind all of older ones.
	abreast bool
	swept   bool // it is not known any more
	// welcomed is the epoch of the newest connection that got its CONNACK.
	welcomed uint64
}

// textLocked makes the text anew.
func (s *clientSession) textLocked() {
	before := s.text
	defer func() { s.dirty = s.dirty || s.text != before }()
	if s.expiry == 0 {
		s.text = ""
		return
	}
	b := strconv.AppendUint(append(make([]byte, 0, 64), 'e'), uint64(s.expiry), 10)
	if s.wants {
		b = append(b, " c"...)
	}
	if s.wants && s.keeps {
		b = append(b, '1')
	}
	s.text = string(s.open.append(b))
}

// parseLocked reads what text keeps: nothing if text is none of ours.
func (s *clientSession) parseLocked(text string) {
	s.expiry, s.wants, s.keeps, s.open = 0, false, false, nil
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			n, err := strconv.ParseUint(strings.TrimPrefix(word, "e"), 10, 32)
			if err != nil || word[0] != 'e' {
				return
			}
			s.expiry = uint32(n)
		case word == "c", word == "c1":
			s.wants, s.keeps = true, word != "c"
		default:
			if !s.open.parse(word) {
				s.expiry = 0
				return
			}
		}
	}
}

// changedLocked says that open is going to change in t, which takes it back if its records are
// not appended.
func (s *clientSession) changedLocked(t *turn) {
	if s.turned {
		return
	}
	s.turned, s.before = true, append(s.before[:0], s.open...)
	t.sessions = append(t.sessions, s)
}

// endTurn says whether the records of a turn were appended.
func (s *clientSession) endTurn(appended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	turned := s.turned
	if s.turned = false; turned && !appended { // else it began anew meanwhile
		s.open = append(s.open[:0], s.before...)
		s.textLocked()
		s.dirty, s.abreast = true, false
	}
}

// resetLocked begins anew.
func (s *clientSession) resetLocked() {
	s.expiry, s.wants, s.keeps, s.open, s.turned, s.sent = 0, false, false, nil, false, 0
	s.textLocked()
}

// clientSessions are those that are known here.
type clientSessions struct {
	mu sync.Mutex
	// Guarded by mu.
	all map[devicemgr.Key]*clientSession

	// Atomic.
	n atomic.Int32 // of all, so that others pay a load
}

// sessionsMost is how many sessions may be known here before those of clients that are away are
// left to the log.
const sessionsMost = 1 << 14

// of is the session of a device, nil if none is known.
func (c *clientSessions) of(key devicemgr.Key) *clientSession {
	if c.n.Load() == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[key]
}

// add is the session of a device, made if need be.
func (c *clientSessions) add(key devicemgr.Key) *clientSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.all[key]
	if s == nil {
		if c.all == nil {
			c.all = make(map[devicemgr.Key]*clientSession)
		}
		if len(c.all) >= sessionsMost {
			c.sweepLocked()
		}
		s = new(clientSession)
		c.all[key] = s
		c.n.Store(int32(len(c.all))) //nolint:gosec // far below 2^31
	}
	return s
}

// forget has the next connection ask the log, which has been written by others.
func (c *clientSessions) forget(key devicemgr.Key) {
	if c.n.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, key)
	c.n.Store(int32(len(c.all))) //nolint:gosec // far below 2^31
}

// sweepLocked forgets some that are away and of which nothing is on its way.
func (c *clientSessions) sweepLocked() {
	const looks = 16
	seen := 0
	for key, s := range c.all {
		s.mu.Lock()
		if l := s.link; !s.left.IsZero() && (l == nil || l.onWay.Load() == 0) {
			delete(c.all, key)
			s.swept = true
		}
		s.mu.Unlock()
		if seen++; seen == looks {
			return
		}
	}
}

// resume has l's dialect take up what the device of that key has left here. Not on a loop.
func (l *link) resume(key devicemgr.Key) error {
	for {
		if done, err := l.dialect.resume(l, key); done || err != nil {
			return err
		}
	}
}

// resume implements dialect.
func (q *mqtt) resume(l *link, key devicemgr.Key) (done bool, err error) {
	if done, err = q.takeUp(l, key); done && err == nil && q.clean {
		l.g.backAnew(key) // else backOnLoop
	}
	return done, err
}

// takeUp takes the session of l's client over for l, whose device is known by now: with what
// was kept, unless the client wants a clean start or it has expired. What ends that way is
// taken back in the log before the client hears of it, or it would be there again after a
// crash.
func (q *mqtt) takeUp(l *link, key devicemgr.Key) (done bool, err error) {
	g := l.g
	s := g.sessions.of(key)
	keeps := q.asked > 0
	var last backbone.Last
	if s == nil || g.cfg.SharedLog {
		if last, err = g.lastOf(key); err != nil {
			return false, err
		}
	}
	if s == nil && !keeps && last.Session == "" {
		return true, nil // nothing was kept, and nothing will be
	}
	if s == nil {
		s = g.sessions.add(key)
	}
	ended, known := s.take(q, l, &last, g.store.NewestCommand(key.Tenant, key.Device))
	if !known {
		return false, nil
	}
	q.session = s
	if ended {
		return true, g.writeSession(l, key)
	}
	return true, nil
}

// take makes l the connection of s. ended says that the log keeps something that is over,
// known that others find s. newest is the position of the newest command that waits.
func (s *clientSession) take(q *mqtt, l *link, last *backbone.Last, newest uint64) (ended, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.swept:
		return false, false
	case s.epoch > l.epoch: // a newer connection was quicker: what this one brings comes too late
		return false, true
	}
	// Of one that others have taken meanwhile the log does not know all.
	if idle := s.link == nil || s.link.onWay.Load() == 0; idle && last.Position != 0 && (s.epoch == 0 || l.g.cfg.SharedLog) {
		s.parseLocked(last.Session)
		s.sent = newest // by who had it before
		if s.left.IsZero() {
			s.left = time.UnixMilli(max(last.At, l.g.born.UnixMilli()))
		}
	}
	before := s.expiry != 0
	q.present = before && !q.clean && (s.expiry == neverExpires || s.left.IsZero() || time.Since(s.left) < time.Duration(s.expiry)*time.Second)
	if !q.present {
		s.resetLocked()
		s.began = l.epoch
	}
	s.epoch, s.link, s.left, s.expiry = l.epoch, l, time.Time{}, q.asked
	s.abreast = false
	s.textLocked()
	if q.present && s.wants {
		l.hearOfCommands(s.keeps)
	}
	return before && (!q.present || q.asked == 0), true
}

// takeForOther ends what was kept, because the device speaks another protocol now.
func (s *clientSession) takeForOther(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resetLocked()
	s.epoch, s.began, s.link, s.left, s.abreast = l.epoch, l.epoch, l, time.Now(), false
}

// leave notes that the connection has ended.
func (s *clientSession) leave(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == l {
		s.left = time.Now()
	}
}

// kept implements dialect.
func (q *mqtt) kept() *clientSession { return q.session }

// sessionTextOnLane is what a record of l in t carries.
func (l *link) sessionTextOnLane(t *turn) string {
	s := l.dialect.kept()
	if s == nil {
		if l.session.Epoch() == l.epoch {
			return "" // it is the device's connection, and keeps nothing
		}
		if s = l.g.sessions.of(l.session.Key()); s == nil {
			return ""
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty {
		s.changedLocked(t)
		s.dirty = false
	}
	return s.text
}

// errSessionWait: see writeSession.
var errSessionWait = errors.New("gateway: the kept session of the client is not taken back yet")

// sessionWait bounds how long a CONNECT waits for the log.
const sessionWait = 5 * time.Second

// writeSession has the log say what is kept of l's client, and waits for it. Not on a loop.
func (g *Gateway) writeSession(l *link, key devicemgr.Key) error {
	w := &sessionWriting{of: l, done: make(chan error, 1)}
	w.batch = g.errand(key, w)
	if !g.lanes.PostLast(uint64(l.laneKey), w.batch) {
		return ErrDraining
	}
	late := time.NewTimer(sessionWait)
	defer late.Stop()
	select {
	case err := <-w.done:
		return err
	case <-late.C:
		return errSessionWait
	case <-g.stopping:
		return ErrDraining
	}
}

// sessionWriting is such a record on its way along the device's lane, behind all that its
// connections have brought.
type sessionWriting struct {
	dialect // none of the rest is called: there is no connection

	// Immutable after construction.
	of    *link
	batch *batch
	done  chan error // capacity 1
}

// takeOnLane implements dialect.
func (w *sessionWriting) takeOnLane(_ *link, t *turn, _ *batch, _ message) {
	r := w.of.sessionRecordOnLane(t)
	r.Done = w
	t.records = append(t.records, r)
}

// doneOnLane implements dialect.
func (w *sessionWriting) doneOnLane(*link, *turn, *batch) {}

// sessionRecordOnLane is a record that carries nothing else.
func (l *link) sessionRecordOnLane(t *turn) backbone.Record {
	key := l.session.Key()
	return backbone.Record{
		Tenant: key.Tenant, Device: key.Device, Epoch: l.epoch, High: l.session.AcceptedOnLane(), After: l.after,
		Session: l.sessionTextOnLane(t), Type: SessionRecord, Received: t.now,
	}
}

// Durable implements backbone.Completion.
func (w *sessionWriting) Durable(_ uint64, n int) {
	w.batch.settle(n)
	w.done <- nil
}

// Overtaken implements backbone.Completion.
func (w *sessionWriting) Overtaken(_ uint64, n int) {
	w.batch.settle(n)
	w.done <- errMoved
}

// Wanted implements backbone.Completion.
func (w *sessionWriting) Wanted() bool { return true }

var (
	_ dialect             = (*sessionWriting)(nil)
	_ backbone.Completion = (*sessionWriting)(nil)
)

// errOpenPackets: more is open than the Receive Maximum allows. [MQTT-3.3.4-7]
var errOpenPackets = &mqttproto.Error{Reason: mqttproto.ReasonReceiveMaximum, What: "too many messages of QoS 2 are not released", Tag: "MQTT-3.3.4-7"}
