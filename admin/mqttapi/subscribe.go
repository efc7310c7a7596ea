package mqttapi

import (
	"context"
	"errors"
	"strings"

	"edgeloop/backbone/reader"
	"edgeloop/mqttproto"
)

// errPublishes ends a client of 3.1.1 that publishes: it cannot be told otherwise.
var errPublishes = errors.New("an application does not publish: devices do, with tokens of their own")

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

// publish refuses a message. [MQTT-4.3.2-4] [MQTT-4.3.3-8]
func (c *client) publish(ctx context.Context, p mqttproto.Packet) error {
	m, err := mqttproto.DecodePublish(p, c.peer.Version, 0)
	switch {
	case err != nil:
		return err //nolint:wrapcheck // it is the fault that is told
	case c.peer.Version == mqttproto.V311:
		return errPublishes
	case m.QoS == 0:
		return nil
	}
	answer := mqttproto.PUBACK
	if m.QoS == 2 {
		answer = mqttproto.PUBREC
	}
	return c.out.put(ctx, mqttproto.AppendAck(nil, c.peer, answer, m.ID, mqttproto.ReasonNotAuthorized, nil))
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
	id := m.Properties.Uint(mqttproto.PropSubscriptionID, 0)
	codes := make([]mqttproto.ReasonCode, 0, m.N)
	for _, f := range m.All() { // [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7]
		codes = append(codes, c.admitFilter(&f, id, edge.Position))
	}
	if err := c.changed(ctx); err != nil {
		return err
	}
	c.begin(edge.Position, edge.Log)
	return c.out.put(ctx, mqttproto.AppendSuback(nil, c.peer, m.ID, codes, nil))
}

// admitFilter takes a filter into the session, or says why not.
func (c *client) admitFilter(f *mqttproto.Subscription, id uint32, from uint64) mqttproto.ReasonCode {
	filter := string(f.Filter)
	switch {
	case strings.HasPrefix(filter, mqttproto.SharePrefix):
		return mqttproto.ReasonSharedNotSupported
	case filter[0] == '$': // the topics of the node's own are for devices
		return mqttproto.ReasonNotAuthorized
	}
	qos := min(f.QoS, 1)
	if !c.session.with(filter, &subscription{QoS: qos, ID: id, From: from}) {
		return mqttproto.ReasonQuotaExceeded
	}
	return mqttproto.ReasonCode(qos)
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
		}
		codes = append(codes, code)
	}
	if err := c.changed(ctx); err != nil {
		return err
	}
	return c.out.put(ctx, mqttproto.AppendUnsuback(nil, c.peer, m.ID, codes, nil))
}

// changed has the session's subscriptions count, and kept where it is.
func (c *client) changed(ctx context.Context) error {
	if c.reader != nil {
		if err := c.note(ctx, false); err != nil {
			return err
		}
	}
	subs := c.session.Subs // which is never written
	c.subs.Store(&subs)
	return nil
}
