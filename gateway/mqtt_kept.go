package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// Commands with QoS 1. They stay in the store until the client has confirmed them:
//
//	any     keepCommand    puts one into the store, as for a device that is away
//	worker  fetchKept      reads what is there, and sends it, as far as the client takes it
//	lane    confirmOnLane  hears of a PUBACK, and posts the link
//	worker  dropConfirmed  takes what is confirmed out of the store
//
// So what waits for a client is in the store alone, and what is on its way to it is kept as
// positions there. They give the packet identifiers, so that a client gets a command again
// under the same one, from a node that began anew as well (docs/decisions/0041).

// flightMost is how many commands are on their way to one client with QoS 1, where its
// Receive Maximum is not less.
const flightMost = 16

// flight is what is on its way to a client with QoS 1; there is none while nothing is.
type flight struct {
	mu sync.Mutex
	// Guarded by mu.
	sent      []uint64 // positions, in their order, that are not confirmed
	confirmed []uint64 // those that are to be taken out of the store
	last      uint64   // the highest that this connection has had
	posted    bool     // the link is going to look at confirmed
}

// packetIDAt is the packet identifier of the command at a position. [MQTT-2.2.1-4]
func packetIDAt(position uint64) uint16 {
	return uint16(position%65_535) + 1 //nolint:gosec // bounded here
}

// begin notes that the command at position is sent; false: there is no room. [MQTT-2.2.1-4]
func (f *flight) begin(position uint64, most int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := packetIDAt(position)
	if len(f.sent) >= most || slices.ContainsFunc(f.sent, func(p uint64) bool { return packetIDAt(p) == id }) {
		return false
	}
	f.sent, f.last = append(f.sent, position), position
	return true
}

// confirm notes that what has a packet identifier was confirmed. post says that the link is to
// be posted for it.
func (f *flight) confirm(id uint16) (post bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.sent, func(p uint64) bool { return packetIDAt(p) == id })
	if at < 0 {
		return false
	}
	f.confirmed = append(f.confirmed, f.sent[at])
	f.sent = slices.Delete(f.sent, at, at+1)
	post, f.posted = !f.posted, true
	return post
}

// take returns what is confirmed, and not taken yet.
func (f *flight) take() (confirmed []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	confirmed, f.confirmed, f.posted = f.confirmed, nil, false
	return confirmed
}

// putBack has them taken with the next ones.
func (f *flight) putBack(confirmed []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.confirmed = append(f.confirmed, confirmed...)
}

// over reports whether nothing is on its way.
func (f *flight) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent) == 0 && len(f.confirmed) == 0
}

// after is the position behind which the next command lies.
func (f *flight) after() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// keepCommand stores a command for a client that is here and confirms what it gets, and waits
// for the reply if asked to.
func (g *Gateway) keepCommand(ctx context.Context, l *link, id string, c Command, answer <-chan Reply) (Outcome, Reply, error) {
	if err := l.mayGet(c.Name); err != nil {
		return 0, Reply{}, err
	}
	if err := l.tooLarge(len(g.encodeCommand(l.dialect.protocol(), id, c.Name, c.Data)) + keptMore); err != nil {
		return 0, Reply{}, err
	}
	ttl := c.TTL
	if ttl <= 0 {
		ttl = DefaultTTL
	}
	if err := g.leaveCommand(ctx, l.session.Key(), id, c, ttl); err != nil {
		return 0, Reply{}, err
	}
	if c.Wait <= 0 {
		return OutcomeLeft, Reply{TTL: ttl}, nil
	}
	out, reply := await(ctx, answer, c.Wait)
	return out, reply, nil
}

// keptMore is by how much a PUBLISH of QoS 1 may be larger than one of QoS 0: the packet
// identifier, and a length that takes a byte more for it.
const keptMore = 3

// confirmOnLane hears of a PUBACK, whatever it says of the command [MQTT-4.4.0-2]. One for what is
// not on its way has no effect: it is of an older connection, or a fault that harms nobody else.
func (q *mqtt) confirmOnLane(l *link, id uint16) {
	if f := q.flight.Load(); f != nil && f.confirm(id) {
		l.g.fetches.PostLast(uint64(l.laneKey), l) // once for a connection at a time
	}
}

// dropConfirmed takes what is confirmed out of the store; ok is false where it could not. Runs
// on the pool, also when the connection has ended.
func (q *mqtt) dropConfirmed(ctx context.Context, l *link) (ok bool) {
	f := q.flight.Load()
	if f == nil {
		return true
	}
	if confirmed := f.take(); len(confirmed) > 0 {
		key := l.session.Key()
		if err := l.g.store.RemoveCommands(ctx, key.Tenant, key.Device, confirmed); err != nil {
			l.g.logger.Warn("cannot take confirmed commands out of the store, they may come again", zap.String("device_id", key.Device), zap.Error(err))
			f.putBack(confirmed)
			return false
		}
		l.g.counts.commandsTaken.Add(uint64(len(confirmed)))
	}
	if f.over() {
		q.flight.Store(nil) // the lane finds nothing in it any more
	}
	return true
}

// fetchKept sends commands that wait, as many as may wait for the device and as it takes: at the
// beginning of a connection those that were sent before, in their order. [MQTT-4.4.0-1] [MQTT-4.6.0-1] ok is
// false where the store could not say or do all. Runs on the pool.
func (q *mqtt) fetchKept(ctx context.Context, l *link) (ok bool) {
	ok = true
	f := q.flight.Load()
	if f == nil {
		f = new(flight)
	}
	s := keptSending{q: q, l: l, f: f, key: l.session.Key(), room: l.g.cfg.MaxCommand}
	if err := l.g.store.ReadCommands(ctx, s.key.Tenant, s.key.Device, f.after(), s.send); err != nil {
		l.g.logger.Warn("cannot read all stored commands", zap.String("device_id", s.key.Device), zap.Error(err))
		ok = false
	}
	if len(s.dropped) > 0 {
		if err := l.g.store.RemoveCommands(ctx, s.key.Tenant, s.key.Device, s.dropped); err != nil {
			l.g.logger.Warn("cannot take refused commands out of the store", zap.String("device_id", s.key.Device), zap.Error(err))
			ok = false
		}
	}
	return ok
}

// keptSending is one call of fetchKept.
type keptSending struct {
	q   *mqtt
	l   *link
	f   *flight
	key devicemgr.Key

	room    int // bytes that may wait for the device
	dropped []uint64
}

// send sends one command; false: the next one has to wait, until this one's turn comes again.
func (s *keptSending) send(position uint64, id string, payload []byte) bool {
	l, g := s.l, s.l.g
	packet, err := s.q.encodeKept(l, position, id, payload)
	if err != nil { // as if it were sent and confirmed [MQTT-3.1.2-25]
		g.logger.Warn("stored command dropped", zap.String("device_id", s.key.Device), zap.String("command_id", id), zap.Error(err))
		s.dropped = append(s.dropped, position)
		return true
	}
	first := s.room == g.cfg.MaxCommand
	if s.room -= eventloop.Cost(packet); !first && s.room < 0 {
		l.flags.Or(flagStored) // when it has read those
		return false
	}
	if !s.f.begin(position, int(s.q.flightMost)) { // until a PUBACK [MQTT-3.3.4-9]
		return false
	}
	s.q.flight.Store(s.f) // before the client can confirm it
	again, ours := s.q.sending(l, position)
	if again {
		packet[0] |= 1 << 3 // DUP [MQTT-3.3.1-1]
	}
	if !ours || l.conn.Send(eventloop.Binary, packet) != nil {
		return false // it is in the store, for the next connection
	}
	return true
}

// encodeKept is the stored command at position as a PUBLISH of QoS 1 that is sent for the first
// time; an error says why it never will be. [MQTT-4.3.2-1] [MQTT-4.3.2-2]
func (q *mqtt) encodeKept(l *link, position uint64, id string, payload []byte) ([]byte, error) {
	var c storedCommand
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, fmt.Errorf("gateway: stored command: %w", err)
	}
	if err := l.mayGet(c.Name); err != nil {
		return nil, err
	}
	packet, ok := mqttproto.AppendPublish(nil, q.peer, &mqttproto.Publish{
		Topic: commandTopicOf(id, c.Name), Payload: c.Data, QoS: 1, ID: packetIDAt(position),
	})
	if !ok || len(packet) > l.g.cfg.MaxCommand+keptMore { // who gave it was told that it fits
		l.g.drops[DropCommandLarge].Add(1)
		return nil, errKeptLarge
	}
	return packet, nil
}

// errKeptLarge: it is larger than the device takes, or than may wait for one.
var errKeptLarge = errors.New("gateway: the command makes too large a packet")

// sending notes that the command at position is sent, and reports whether it may have been before,
// in this session; ours is false if another connection has the session. If no session is kept,
// nothing was sent before. [MQTT-3.3.1-3]
func (q *mqtt) sending(l *link, position uint64) (again, ours bool) {
	s := q.session
	if s == nil {
		return false, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	again = position <= s.sent
	s.sent = max(s.sent, position)
	return again, s.epoch == l.epoch
}
