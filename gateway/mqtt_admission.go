package gateway

import (
	"strconv"
	"time"

	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// The opening of MQTT: who a CONNECT is of, and the CONNACK to one that is let in.

// newMQTT is the voice of the client that has sent connect, which is borrowed until
// return. cannot says why it cannot be had.
func (g *Gateway) newMQTT(connect []byte) (v *voice, cannot *eventloop.Refusal) {
	c, err := decodeConnect(connect)
	if err != nil {
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: err.Error()}
	}
	if c.Properties.Has(mqttproto.PropAuthMethod) { // [MQTT-4.12.0-1]
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: "this node has no authentication method: send the token as password"}
	}
	q := &mqtt{
		voice: voice{g: g}, peer: mqttproto.PeerOf(&c),
		silence:  time.Duration(c.KeepAlive) * time.Second * 3 / 2,
		assigned: len(c.ClientID) == 0, clean: c.Clean,
		asked:      c.Properties.Uint(mqttproto.PropSessionExpiry, 0),
		flightMost: uint8(min(c.Properties.Uint(mqttproto.PropReceiveMaximum, flightMost), flightMost)), //nolint:gosec // bounded here
	}
	if c.Version == mqttproto.V311 && !c.Clean { // [MQTT3-3.1.2-4]
		q.asked = neverExpires
	}
	q.dialect = q
	if limit := g.limits.silence.Load().Limit; c.Version == mqttproto.V5 && (q.silence == 0 || q.silence > limit) {
		q.silence, q.told = max(limit.Truncate(time.Second), time.Second), true
		q.silence = q.silence * 3 / 2
	}
	if q.will, cannot = lastWillOf(&c, q.asked, g.retains()); cannot != nil {
		return nil, cannot
	}
	return &q.voice, nil
}

func decodeConnect(packet []byte) (mqttproto.Connect, error) {
	p, _, _, err := mqttproto.Next(packet, 0, mqttproto.MaxPacket)
	if err != nil {
		return mqttproto.Connect{}, err //nolint:wrapcheck // the opening has decoded it before
	}
	return mqttproto.DecodeConnect(p) //nolint:wrapcheck // as above
}

// identifyMQTT says who is connecting: the token's device, its client identifier being
// that or empty, or, with --auth=none, the client identifier, of the tenant that the user
// name says. Over WebSocket the token may be in the request instead of the password.
func (g *Gateway) identifyMQTT(h *eventloop.Credentials) (devicemgr.Key, *auth.Identity, *eventloop.Refusal) {
	c, err := decodeConnect(h.Connect)
	if err != nil {
		return devicemgr.Key{}, nil, &eventloop.Refusal{Reason: eventloop.ReasonMalformed, Text: err.Error()}
	}
	token := c.Password
	if query, err := queryOf(h); len(token) == 0 && err == nil {
		token, _ = tokenOf(h, query)
	}
	if g.verifier == nil || len(token) == 0 && g.enough(h.Certificate) {
		if refusal := g.fromElsewhere(h); refusal != nil {
			return devicemgr.Key{}, nil, refusal
		}
	}
	if g.verifier == nil {
		device := string(c.ClientID)
		if device == "" { // [MQTT-3.1.3-6] [MQTT-3.1.3-7]
			device = "mqtt-" + newID()
		}
		return nameItself(string(c.User), device)
	}
	if len(token) == 0 && !g.enough(h.Certificate) {
		g.drops[DropUnauthorized].Add(1)
		return devicemgr.Key{}, nil, &eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: "no token: send it as the password, with any user name"}
	}
	key, id, refusal := g.prove(token, h.Certificate)
	if refusal == nil && len(c.ClientID) > 0 && string(c.ClientID) != key.Device {
		g.drops[DropForbidden].Add(1)
		refusal = &eventloop.Refusal{Reason: eventloop.ReasonName, Text: "its token or certificate is for device " + key.Device + ": give that as client identifier, or none"}
	}
	return key, id, refusal
}

// welcomeOnLoop writes the CONNACK. [MQTT-3.2.0-1] [MQTT-3.2.2-2]
func (q *mqtt) welcomeOnLoop(l *link) {
	var props mqttproto.Properties
	if q.peer.Version == mqttproto.V5 {
		props.AddUint(mqttproto.PropReceiveMaximum, uint32(min(l.g.limits.window.Load(), 65_535))) //nolint:gosec // bounded here
		if !l.g.retains() {
			props.AddUint(mqttproto.PropRetainAvailable, 0)
		}
		props.AddUint(mqttproto.PropMaximumPacket, uint32(l.g.cfg.MaxPacket)) //nolint:gosec // at most a GiB
		props.AddUint(mqttproto.PropTopicAliasMaximum, maxAliases)
		props.AddUserString(uptoProperty, strconv.FormatUint(l.session.Durable(), 10))
		props.AddUint(mqttproto.PropSubIDAvailable, 0)
		props.AddUint(mqttproto.PropSharedAvailable, 0)
		if q.assigned { // [MQTT-3.2.2-16]
			props.AddString(mqttproto.PropAssignedClientID, l.session.Key().Device)
		}
		if q.told { // [MQTT-3.2.2-21]
			props.AddUint(mqttproto.PropServerKeepAlive, uint32(q.silence*2/3/time.Second)) //nolint:gosec // seconds of two days
		}
	}
	e := l.g.encoder()
	defer l.g.encoders.Put(e)
	e.out = mqttproto.AppendConnack(e.out[:0], q.peer, q.present, mqttproto.ReasonSuccess, &props) // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
	l.conn.WriteOnLoop(eventloop.Binary, e.out)
}
