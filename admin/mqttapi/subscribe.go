package mqttapi

import (
	"context"
	"errors"
	"fmt"

	"edgeloop/backbone/reader"
	"edgeloop/mqttproto"
)

// errPublishes is why a message of an application is not taken, and errRefused ends a client of
// 3.1.1 that cannot be told otherwise.
var (
	errPublishes = errors.New("an application publishes nothing but commands of Sparkplug B: devices do, with tokens of their own")
	errRefused   = errors.New("a message was refused")
)

// packet takes one packet in.
func (c *client) packet(ctx context.Context, packet []byte) error {
	p, _, _, err := mqttproto.Next(packet, c.peer.Version, mqttproto.MaxPacket)
	if err != nil {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	switch p.Type {
	case mqttproto.SUBSCRIBE:
		return c.subscribe(ctx, p)
	case mqttproto.UNSUBSCRIBE:
		return c.unsubscribe(ctx, p)
	case mqttproto.PUBLISH:
		return c.publish(ctx, p)
	}
	return nil
}

// publish carries out a command, and refuses any other message: of 3.1.1, which has no way to say
// so, the connection ends. [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT3-3.3.5-2]
func (c *client) publish(ctx context.Context, p mqttproto.Packet) error {
	m, err := mqttproto.DecodePublish(p, c.peer.Version, 0)
	if err != nil {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	code, why := c.command(ctx, &m)
	switch {
	case c.peer.Version == mqttproto.V311 && (code == mqttproto.ReasonNotAuthorized || m.QoS == 2):
		return fmt.Errorf("%w: %w", errRefused, why)
	case m.QoS == 0:
		return nil
	case c.peer.Version == mqttproto.V311: // it is through, as far as it goes
		code = mqttproto.ReasonSuccess
	}
	answer := mqttproto.PUBACK
	if m.QoS == 2 {
		answer = mqttproto.PUBREC
	}
	var props mqttproto.Properties
	if why != nil {
		props.AddString(mqttproto.PropReasonString, why.Error())
	}
	return c.out.put(ctx, mqttproto.AppendAck(nil, c.peer, answer, m.ID, code, &props))
}

// subscribe answers a SUBSCRIBE, when what it changes is on the disk: each record behind the
// answer comes. [MQTT-3.8.4-1]
func (c *client) subscribe(ctx context.Context, p mqttproto.Packet) error {
	m, err := mqttproto.DecodeSubscribe(p, c.peer.Version)
	if err != nil {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	edge, err := c.s.cfg.Log.Edge(ctx, reader.Newest)
	if err != nil {
		return err //nolint:wrapcheck // the log says what it could not do
	}
	if c.ended == nil {
		c.live = edge.Position
	}
	id := m.Properties.Uint(mqttproto.PropSubscriptionID, 0)
	codes := make([]mqttproto.ReasonCode, 0, m.N)
	var fresh []held
	for _, f := range m.All() { // [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7]
		_, had := c.session.Subs[string(f.Filter)]
		wants := c.wantsRetained(&f, had)
		code, err := c.admitFilter(ctx, &f, id, edge.Position, wants)
		if err != nil {
			return err
		}
		codes = append(codes, code)
		if wants && !code.Failed() {
			c.unhold(string(f.Filter)) // it gets all again
			fresh = append(fresh, held{filter: string(f.Filter), log: edge.Log})
		}
	}
	give, err := c.changed(ctx, fresh)
	if err != nil {
		return err
	}
	if c.reads() {
		c.begin(edge.Log)
	}
	err = c.out.put(ctx, mqttproto.AppendSuback(nil, c.peer, m.ID, codes, nil))
	give()
	return err
}

// admitFilter takes a filter into the session, or says why not.
func (c *client) admitFilter(ctx context.Context, f *mqttproto.Subscription, id uint32, from uint64, retained bool) (mqttproto.ReasonCode, error) {
	filter := string(f.Filter)
	_, own := mqttproto.SplitShare(filter)
	share, shared := isShare(filter)
	switch {
	case shared && c.s.cfg.SharedLog:
		return mqttproto.ReasonSharedNotSupported, nil
	case own[0] == '$': // the topics of the node's own are for devices
		return mqttproto.ReasonNotAuthorized, nil
	case shared && len(share) > maxShare:
		return mqttproto.ReasonQuotaExceeded, nil
	}
	sub, had := &subscription{QoS: min(f.QoS, 1), ID: id, From: from, AsPublished: f.RetainAsPublished, Retained: retained}, c.session.Subs[filter] != nil
	if !c.session.with(filter, sub) {
		return mqttproto.ReasonQuotaExceeded, nil
	}
	if !shared {
		return mqttproto.ReasonCode(sub.QoS), nil
	}
	err := c.s.joinGroup(ctx, c, filter, sub)
	if errors.Is(err, errGroups) {
		if !had {
			c.session.without(filter)
		}
		return mqttproto.ReasonQuotaExceeded, nil
	}
	return mqttproto.ReasonCode(sub.QoS), err
}

// unsubscribe answers an UNSUBSCRIBE. [MQTT-3.10.4-1] [MQTT-3.10.4-4] [MQTT-3.10.4-6]
func (c *client) unsubscribe(ctx context.Context, p mqttproto.Packet) error {
	m, err := mqttproto.DecodeSubscribe(p, c.peer.Version)
	if err != nil {
		return err //nolint:wrapcheck // it is the fault that is told
	}
	codes := make([]mqttproto.ReasonCode, 0, m.N)
	for _, f := range m.All() {
		code := mqttproto.ReasonNoSubscription
		if c.session.without(string(f.Filter)) {
			code = mqttproto.ReasonSuccess
			c.unhold(string(f.Filter)) // [MQTT-3.10.4-2]
		}
		codes = append(codes, code)
	}
	if _, err := c.changed(ctx, nil); err != nil {
		return err
	}
	for _, g := range c.inGroups() {
		if c.session.Subs[mqttproto.SharePrefix+g.share] == nil {
			c.s.leaveGroup(c, g)
		}
	}
	return c.out.put(ctx, mqttproto.AppendUnsuback(nil, c.peer, m.ID, codes, nil))
}

// changed has the session's subscriptions count, and kept where it is. The fresh ones get what is
// retained before anything that comes by them, once give is called.
func (c *client) changed(ctx context.Context, fresh []held) (give func(), err error) {
	if c.reader != nil {
		if err := c.note(ctx, false); err != nil {
			return nil, err
		}
	}
	subs := make(subscriptions, len(c.session.Subs))
	for filter, sub := range c.session.Subs {
		if _, shared := isShare(filter); !shared {
			subs[filter] = sub
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = subs
	give = c.holdLocked(fresh)
	c.fitLocked()
	return give, nil
}

// reads says whether there is anything to read the log for.
func (c *client) reads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reader != nil || len(c.subs) > 0
}

// judging are the subscriptions by which the record at a position is to be judged.
func (c *client) judging(position uint64) subscriptions {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judged = position
	return c.subs
}
