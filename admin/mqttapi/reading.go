package mqttapi

import (
	"context"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
	"edgeloop/mqttproto"
)

// reading gives a client what it wants of the log. Owned by the goroutine of read.
type reading struct {
	// Immutable after construction.
	c     *client
	log   string // its identity
	live  uint64 // where the connection began
	given uint64 // what an earlier connection may have been sent

	record record
	packet []byte
	missed uint64 // since the last message
}

// read gives records until ctx ends or one of them cannot be given.
func (r *reading) read(ctx context.Context) error {
	c := r.c
	if c.reader != nil {
		return c.reader.Read(ctx, func(e reader.Entry) error {
			r.missed += e.Missed
			return r.give(ctx, e.Position, e.Line)
		})
	}
	return c.s.cfg.Log.Read(ctx, reader.Options{After: r.live, Log: r.log, Tenant: c.tenant, Follow: true}, func(position uint64, line []byte) error {
		return r.give(ctx, position, line)
	})
}

// give gives one record, if the client wants it. line is borrowed.
func (r *reading) give(ctx context.Context, position uint64, line []byte) error {
	c, rec := r.c, &r.record
	if foreign(line, c.tenant) { // a kept reader reads what there is
		c.window.pass(position)
		return nil
	}
	if err := rec.parse(line); err != nil { // never silent
		c.s.log.Error("a record was left out for an application", zap.Uint64("position", position), zap.Error(err))
		r.missed++
		c.window.pass(position)
		return nil
	}
	if rec.Tenant != c.tenant {
		c.window.pass(position)
		return nil
	}
	topic := c.s.cfg.Topics.Of(rec)
	w := want(c.judging(position), topic, position, r.live)
	if !w.any || rec.expired() { // [MQTT-3.3.2-5]
		c.window.pass(position)
		return nil
	}
	payload, err := rec.payload()
	if err != nil {
		c.s.log.Error("a record was left out for an application", zap.Uint64("position", position), zap.Error(err))
		r.missed++
		c.window.pass(position)
		return nil
	}
	if err := c.awaitRetained(ctx); err != nil {
		return err
	}
	m := mqttproto.Publish{
		Topic: []byte(topic), Payload: payload, QoS: min(w.qos, rec.qos(), 1), // [MQTT-3.8.4-8]
		Retain: w.retain && rec.Retain, // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
	}
	if m.QoS > 0 {
		m.ID, m.Dup = packetID(position), position <= r.given // [MQTT-3.3.1-1]
		if err := c.window.add(ctx, position); err != nil {
			return err
		}
	}
	return r.send(ctx, position, &m, w.ids)
}

// send hands a message on that the client may have, as what it is by now: it may have waited.
func (r *reading) send(ctx context.Context, position uint64, m *mqttproto.Publish, ids []uint32) error {
	c := r.c
	if r.record.expired() { // [MQTT-3.3.2-5]
		r.leaveOut(position)
		return nil
	}
	if c.peer.Version == mqttproto.V5 {
		r.describe(m, position, ids)
	}
	packet, ok := mqttproto.AppendPublish(r.packet[:0], c.peer, m)
	if r.packet = packet; !ok { // [MQTT-3.1.2-25]
		c.s.counts.large.Add(1)
		r.leaveOut(position)
		return nil
	}
	if err := c.out.put(ctx, r.packet); err != nil {
		return err
	}
	if m.QoS == 0 {
		c.window.pass(position)
	}
	c.s.counts.sent.Add(1)
	r.missed = 0
	return nil
}

// leaveOut has a record need no acknowledgement that is not sent after all, and others have its room.
func (r *reading) leaveOut(position uint64) {
	r.c.window.leaveOut(position)
	r.c.freed()
}
