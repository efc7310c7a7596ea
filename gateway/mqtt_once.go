package gateway

import (
	"edgeloop/mqttproto"
)

// QoS 2: a PUBLISH is stored once, however often it is sent until its packet identifier is
// released. That it was taken, and that it was released, is on the disk before the client
// hears of it.

// A hold is what became of the wish to hold a packet identifier.
type hold uint8

const (
	holdNew     hold = iota
	holdAgain        // it was held before: the message is stored, or on its way
	holdTooMany      // the set is full
	holdLate         // another connection has the session
)

// hold holds a packet identifier until it is released.
func (s *clientSession) hold(t *turn, l *link, id uint16) hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.epoch != l.epoch:
		return holdLate
	case s.open.has(id):
		s.againLocked(t)
		return holdAgain
	}
	s.changedLocked(t)
	s.wrote = !s.dirty
	if !s.open.add(id) {
		return holdTooMany
	}
	s.textLocked()
	return holdNew
}

// unhold takes back what hold has just held: the message was refused. No record has said it, and
// none is needed.
func (s *clientSession) unhold(l *link, id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == l.epoch && s.open.remove(id) {
		s.textLocked()
		s.dirty = !s.wrote
	}
}

// againLocked notes that what is heard changes nothing. The record that holds this state may still
// be on its way, from an older connection, so the first such packet on a connection causes one more
// record. Later ones are answered behind that, and need none.
func (s *clientSession) againLocked(t *turn) {
	if !s.abreast {
		s.changedLocked(t)
		s.abreast, s.dirty = true, true
	}
}

// release takes a packet identifier back; ok is false where it cannot be, known where it was
// held.
func (s *clientSession) release(t *turn, l *link, id uint16) (known, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != l.epoch {
		return false, false
	}
	if !s.open.has(id) {
		s.againLocked(t)
		return false, true
	}
	s.changedLocked(t)
	if ok = s.open.remove(id); ok {
		s.textLocked()
	}
	return true, ok
}

// own has l be its connection.
func (s *clientSession) own(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.link = l.epoch, l
}

// want notes whether the client has asked for commands, and whether it confirms them.
func (s *clientSession) want(t *turn, l *link, yes, keeps bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == l.epoch {
		if s.wants == yes && s.keeps == keeps {
			s.againLocked(t)
			return
		}
		s.changedLocked(t)
		s.wants, s.keeps = yes, keeps
		s.textLocked()
	}
}

// expire changes for how long the session is kept.
func (s *clientSession) expire(t *turn, l *link, seconds uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == l.epoch {
		s.changedLocked(t)
		s.expiry = seconds
		s.textLocked()
	}
}

// unwritten says whether the log has still to be told.
func (s *clientSession) unwritten(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirty && s.epoch == l.epoch
}

// onceSessionOnLane is what holds l's packet identifiers.
func (q *mqtt) onceSessionOnLane(l *link) *clientSession {
	if q.session != nil {
		return q.session
	}
	if q.scarce == nil {
		q.scarce = new(scarce)
	}
	s := &q.scarce.once
	s.own(l)
	return s
}

// onceOnLane takes in a PUBLISH of QoS 2. [MQTT-4.3.3-8] [MQTT-4.3.3-10]
func (q *mqtt) onceOnLane(l *link, t *turn, b *batch, m message, pub *mqttproto.Publish) error {
	if l.lost != 0 {
		l.loseOnLane(Drop(l.lost-1), 1)
		return nil
	}
	s := q.onceSessionOnLane(l)
	switch s.hold(t, l, pub.ID) {
	case holdLate: // the client was told what is taken on the newer connection, and goes on there
		l.loseOnLane(DropReplaced, 1)
		return nil
	case holdTooMany:
		l.g.drops[DropOpenPackets].Add(1)
		return errOpenPackets
	case holdAgain:
		l.g.drops[DropDuplicate].Add(1)
		q.answerOnLane(l, m, pub, mqttproto.ReasonSuccess)
		return nil
	case holdNew:
	}
	code := q.storeOnLane(l, t, b, pub)
	if code.Failed() || code == mqttproto.ReasonCode(codeNone) {
		s.unhold(l, pub.ID) // it was not taken, so the next of this identifier is another one
	}
	q.answerOnLane(l, m, pub, code)
	return nil
}

// releaseOnLane takes in a PUBREL. [MQTT-4.3.3-11]
func (q *mqtt) releaseOnLane(l *link, t *turn, m message, p mqttproto.Packet) error {
	a, err := mqttproto.DecodeAck(p, q.peer.Version)
	if err != nil {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	if l.lost != 0 {
		return nil
	}
	known, ok := q.onceSessionOnLane(l).release(t, l, a.ID)
	switch {
	case !ok && known:
		l.g.drops[DropOpenPackets].Add(1)
		return errOpenPackets
	case !ok:
		l.loseOnLane(DropReplaced, 1)
	case known:
		m[0] = byte(mqttproto.ReasonSuccess)
	default:
		m[0] = byte(mqttproto.ReasonPacketIDNotFound)
	}
	return nil
}

// disconnectOnLane hears for how long the client wants its session kept.
func (q *mqtt) disconnectOnLane(l *link, t *turn, p mqttproto.Packet) {
	d, err := mqttproto.DecodeDisconnect(p, q.peer.Version)
	if err == nil && q.session != nil && q.asked != 0 { // [MQTT-3.14.2-2]
		q.session.expire(t, l, d.Properties.Uint(mqttproto.PropSessionExpiry, q.asked))
	}
}

// doneOnLane has the log say what no record of the batch said.
func (q *mqtt) doneOnLane(l *link, t *turn, b *batch) {
	if q.session == nil || l.lost != 0 || l.session.Forgotten() || !q.session.unwritten(l) {
		return
	}
	r := l.sessionRecordOnLane(t)
	r.Done = b
	t.records = append(t.records, r)
}
