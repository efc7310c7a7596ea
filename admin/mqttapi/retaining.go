package mqttapi

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/mqttproto"
	"edgeloop/retained"
)

// held is a filter whose retained messages a client has still to get. Those behind upto come without
// that.
type held struct {
	filter string
	sub    *subscription // that of filter; the next three are as it has them
	qos    byte
	id     uint32 // subscription identifier; 0: none
	upto   uint64
	log    string // of upto
	turn   uint64 // tells it from others of its filter
}

// Values of Retain Handling.
const (
	retainedIfNew = 1
	retainedNever = 2
)

// wantsRetained says whether a subscription gets what is retained; had: it was there before. A
// shared one gets none. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
func (c *client) wantsRetained(f *mqttproto.Subscription, had bool) bool {
	_, shared := isShare(string(f.Filter))
	return c.s.cfg.Retained != nil && !shared &&
		f.RetainHandling != retainedNever && (f.RetainHandling != retainedIfNew || !had)
}

// fitLocked has filters get what is retained as their subscriptions say, of which some are new: all that
// read does not give them as it came, because it has judged that already, retention took it, or it lies
// before the subscription or the connection. [MQTT-3.3.4-3] [MQTT-3.8.4-3]
func (c *client) fitLocked() {
	for i := range c.holding {
		h := &c.holding[i]
		sub := c.subs[h.filter]
		if h.sub == sub {
			continue
		}
		h.sub, h.qos, h.id, h.upto = sub, sub.QoS, sub.ID, max(sub.From, c.judged)
		if sub.QoS == 0 && h.upto < c.live {
			h.upto = c.live
			h.turn = c.nextTurnLocked() // what was left out, to come live, does not
		}
	}
}

// holdLocked has a client get retained messages before any later one of the log that it wants, once
// give is called. Each filter is there once, so there are no more than a session may have; and one
// goroutine gives them all, one after the other.
func (c *client) holdLocked(fresh []held) (give func()) {
	for _, h := range fresh {
		c.unholdLocked(h.filter)
		h.turn = c.nextTurnLocked()
		c.holding = append(c.holding, h)
	}
	if len(c.holding) == 0 || c.giving != nil {
		return func() {}
	}
	c.giving = make(chan struct{})
	return func() {
		c.giver.Go(func() {
			if err := c.s.guarded(func() error { return c.giveRetained(c.ctx) }); err != nil {
				c.end(err)
			}
		})
	}
}

func (c *client) nextTurnLocked() uint64 {
	c.turns++
	return c.turns
}

// unhold hears that a filter is not subscribed to any more.
func (c *client) unhold(filter string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unholdLocked(filter)
}

// unholdLocked forgets that a filter has something to get, or has got it: else who subscribes to one
// after the other would leave each of them here.
func (c *client) unholdLocked(filter string) {
	c.holding = slices.DeleteFunc(c.holding, func(h held) bool { return h.filter == filter })
	c.given = slices.DeleteFunc(c.given, func(f string) bool { return f == filter })
}

// firstHeld is the filter whose turn it is. Without one all is given.
func (c *client) firstHeld() (h held, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.holding) > 0 {
		return c.holding[0], true
	}
	close(c.giving)
	c.giving = nil
	return h, false
}

// holds says whether it is still the turn of a filter, and as what it is by now.
func (c *client) holds(h *held) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.holding) == 0 || c.holding[0].turn != h.turn {
		return false
	}
	*h = c.holding[0]
	return true
}

// gave notes that a filter has got all, if it is still its turn.
func (c *client) gave(h *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.holding) > 0 && c.holding[0].turn == h.turn {
		c.holding = slices.Delete(c.holding, 0, 1)
		c.given = append(c.given, h.filter)
	}
}

// settleRetained has the session forget that filters have to get what is retained, which was given
// and acknowledged: until then it comes again with the next connection, under other packet identifiers.
func (c *client) settleRetained() {
	c.mu.Lock()
	given := slices.Clone(c.given)
	c.mu.Unlock()
	if len(given) == 0 || c.window.hasRetained() {
		return
	}
	c.session.Subs = maps.Clone(c.session.Subs)
	for _, filter := range given {
		if sub := c.session.Subs[filter]; sub != nil {
			done := *sub
			done.Retained = false
			c.session.Subs[filter] = &done
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = slices.DeleteFunc(c.given, func(filter string) bool { return slices.Contains(given, filter) })
}

// heldBefore are the filters of a session that have to get what is retained, of which an earlier
// connection did not get all.
func (c *client) heldBefore(log string) (all []held) {
	for _, filter := range slices.Sorted(maps.Keys(c.session.Subs)) {
		if c.session.Subs[filter].Retained && c.s.cfg.Retained != nil {
			all = append(all, held{filter: filter, log: log})
		}
	}
	return all
}

// awaitRetained waits until the client has got what is retained.
func (c *client) awaitRetained(ctx context.Context) error {
	for {
		c.mu.Lock()
		giving := c.giving
		c.mu.Unlock()
		if giving == nil {
			return nil
		}
		select {
		case <-giving:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// giveRetained gives what is held, until nothing is.
func (c *client) giveRetained(ctx context.Context) error {
	r := &reading{c: c}
	for {
		h, ok := c.firstHeld()
		if !ok {
			return nil
		}
		if err := r.giveHeld(ctx, &h); err != nil {
			return err
		}
		c.gave(&h)
	}
}

// retainedPage is how many topics a client notes at a time, so that one which is slow costs little.
const retainedPage = 1024

// giveHeld gives what a filter has still to get, page by page, for as long as it is its turn.
func (r *reading) giveHeld(ctx context.Context, h *held) error {
	table := r.c.s.cfg.Retained
	if err := table.Await(ctx, h.upto); err != nil {
		return err //nolint:wrapcheck // it is the end of ctx, or the log's
	}
	for after := ""; ; {
		page, err := r.c.s.lookRetained(ctx, r.c.tenant, h.filter, after)
		if err != nil {
			return err
		}
		for _, slot := range page {
			if err := r.awaitTurn(ctx, h); err != nil {
				return err
			}
			if !r.c.holds(h) {
				return nil
			}
			m := table.Message(slot)                                      // as late as may be
			if m == nil || m.Expired(time.Now()) || m.Position > h.upto { // what came since comes as it came
				continue
			}
			if err := r.giveRetained(ctx, h, slot.Topic(), m); err != nil {
				return err
			}
		}
		if len(page) < retainedPage {
			return nil
		}
		after = page[len(page)-1].Topic()
	}
}

// awaitTurn waits until the client may have a message.
func (r *reading) awaitTurn(ctx context.Context, h *held) error {
	if h.qos == 0 {
		return nil
	}
	return r.c.window.awaitRoom(ctx)
}

// lookRetained gives a page of what is retained for a filter, when it is the client's turn.
func (s *Server) lookRetained(ctx context.Context, tenant, filter, after string) (page []*retained.Slot, err error) {
	err = s.looks.look(ctx, tenant, func() {
		page = s.cfg.Retained.Match(tenant, filter, after, retainedPage)
	})
	return page, err
}

// errOtherTopic is what no Table has that names topics as this server does.
var errOtherTopic = errors.New("the record comes at another topic than it is retained under")

// giveRetained gives one retained message. [MQTT-3.3.1-8]
func (r *reading) giveRetained(ctx context.Context, h *held, topic string, kept *retained.Message) error {
	c := r.c
	r.log = h.log
	err := r.record.parse(kept.Line)
	if err == nil && c.s.cfg.Topics.Of(&r.record) != topic { // nobody speaks for another
		err = errOtherTopic
	}
	var payload []byte
	if err == nil {
		payload, err = r.record.payload()
	}
	if err != nil { // never silent
		c.s.log.Error("a retained message was left out for an application", zap.Uint64("position", kept.Position), zap.Error(err))
		return nil
	}
	m := mqttproto.Publish{Topic: []byte(topic), Payload: payload, QoS: min(h.qos, r.record.qos()), Retain: true} // [MQTT-3.8.4-8]
	if m.QoS > 0 {
		if m.ID, err = c.window.addRetained(ctx); err != nil {
			return err
		}
	}
	if r.record.expired() { // while it waited [MQTT-3.3.2-5]
		r.giveBack(m.ID)
		return nil
	}
	if c.peer.Version == mqttproto.V5 {
		var ids []uint32
		if h.id != 0 {
			ids = append(ids, h.id)
		}
		r.describe(&m, kept.Position, ids)
	}
	packet, ok := mqttproto.AppendPublish(r.packet[:0], c.peer, &m)
	if r.packet = packet; !ok { // [MQTT-3.1.2-25]
		c.s.counts.large.Add(1)
		r.giveBack(m.ID)
		return nil
	}
	if err := c.out.put(ctx, r.packet); err != nil {
		return err
	}
	c.s.counts.sent.Add(1)
	return nil
}

// giveBack has others have the room of a retained message that is not sent after all; 0: it has none.
func (r *reading) giveBack(id uint16) {
	r.c.window.acknowledge(id)
	r.c.freed()
}
