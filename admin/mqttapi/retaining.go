package mqttapi

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"edgeloop/backbone/store"
	"edgeloop/mqttproto"
)

// retainedFor are retained messages that a subscription has still to get.
type retainedFor struct {
	filter string
	qos    byte
	id     uint32
	log    string // of the positions
	all    []store.RetainedMessage
}

// Values of Retain Handling.
const (
	retainedIfNew = 1
	retainedNever = 2
)

// wantsRetained says whether a subscription that was answered with code gets what is retained. A
// shared one gets none. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
func (c *client) wantsRetained(f *mqttproto.Subscription, code mqttproto.ReasonCode, had bool) bool {
	_, shared := isShare(string(f.Filter))
	return c.s.cfg.Retained != nil && !code.Failed() && !shared &&
		f.RetainHandling != retainedNever && (f.RetainHandling != retainedIfNew || !had)
}

func (c *client) retainedOf(ctx context.Context, f *mqttproto.Subscription, id uint32) retainedFor {
	of := retainedFor{filter: string(f.Filter), qos: min(f.QoS, 1), id: id}
	of.all, of.log = c.s.cfg.Retained.Match(ctx, c.tenant, of.filter)
	return of
}

// holdRetained has a client get retained messages before any later one of the log that its
// subscriptions want. What a filter has still to get from before it gets no more.
func (c *client) holdRetained(fresh []retainedFor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range fresh {
		c.dropRetainedLocked(of.filter)
		if len(of.all) > 0 {
			c.retained = append(c.retained, of)
		}
	}
}

// dropRetained hears that a filter is not subscribed to any more.
func (c *client) dropRetained(filter string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropRetainedLocked(filter)
}

func (c *client) dropRetainedLocked(filter string) {
	c.retained = slices.DeleteFunc(c.retained, func(of retainedFor) bool { return of.filter == filter })
}

// giveRetained gives what is held, on a goroutine of its own: a client that takes no more is still
// answered.
func (c *client) giveRetained() {
	if _, _, held := c.nextRetained(); !held {
		return
	}
	c.givers.Add(1)
	go func() {
		defer c.givers.Done()
		_ = c.s.guarded(func() error { return c.retainedFirst(c.ctx) })
	}()
}

// retainedFirst gives what is held, or waits until another has. What was not given when ctx ends
// comes no more.
func (c *client) retainedFirst(ctx context.Context) error {
	if _, _, held := c.nextRetained(); !held {
		return nil
	}
	select {
	case c.giving <- struct{}{}:
		defer func() { <-c.giving }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r := &reading{c: c}
	for {
		of, m, held := c.nextRetained()
		if !held {
			return nil
		}
		if err := r.giveRetained(ctx, &of, &m); err != nil {
			return err
		}
		c.gaveRetained(&of, m.Topic)
	}
}

// nextRetained is the next message that is held. It stays so until gaveRetained.
func (c *client) nextRetained() (of retainedFor, m store.RetainedMessage, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.retained) == 0 {
		return of, m, false
	}
	of = c.retained[0]
	return of, of.all[0], true
}

// gaveRetained takes a message out, unless its subscription was changed meanwhile.
func (c *client) gaveRetained(of *retainedFor, topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.retained) == 0 {
		return
	}
	first := &c.retained[0]
	if first.filter != of.filter || len(first.all) != len(of.all) || first.all[0].Topic != topic {
		return
	}
	if first.all = first.all[1:]; len(first.all) == 0 {
		c.retained = slices.Delete(c.retained, 0, 1)
	}
}

// giveRetained gives one retained message. [MQTT-3.3.1-8]
func (r *reading) giveRetained(ctx context.Context, of *retainedFor, kept *store.RetainedMessage) error {
	c := r.c
	r.log = of.log
	err := r.record.parse(kept.Line)
	var payload []byte
	if err == nil {
		payload, err = r.record.payload()
	}
	if err != nil {
		c.s.log.Error("a retained message was left out for an application", zap.Uint64("position", kept.Position), zap.Error(err))
		return nil
	}
	m := mqttproto.Publish{Topic: []byte(kept.Topic), Payload: payload, QoS: min(of.qos, r.record.qos(), 1), Retain: true}
	if m.QoS > 0 {
		m.ID = packetID(kept.Position)
	}
	if c.peer.Version == mqttproto.V5 {
		var ids []uint32
		if of.id != 0 {
			ids = append(ids, of.id)
		}
		r.describe(&m, kept.Position, ids)
	}
	packet, ok := mqttproto.AppendPublish(r.packet[:0], c.peer, &m)
	if r.packet = packet; !ok { // [MQTT-3.1.2-25]
		c.s.counts.large.Add(1)
		return nil
	}
	if m.QoS > 0 {
		if err := c.window.addRetained(ctx, kept.Position); err != nil {
			return err
		}
	}
	if err := c.out.put(ctx, r.packet); err != nil {
		return err
	}
	c.s.counts.sent.Add(1)
	return nil
}
