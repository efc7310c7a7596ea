package gateway

import (
	"context"
	"errors"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/quota"
)

// edgeloop is the dialect of the project's own protocol (docs/protocol.md), in one of
// its encodings. It keeps nothing of a connection.
type edgeloop struct {
	// Immutable after construction.
	proto protocol
	codec envelope.Codec
}

func newEdgeloop(p protocol) *edgeloop {
	codec, _ := envelope.ForProtocol(p.name()) // each is one of envelope's
	return &edgeloop{p, codec}
}

func (e *edgeloop) protocol() protocol { return e.proto }

// mostDown: commands are held to Config.MaxCommand, which all devices take.
func (e *edgeloop) mostDown() int { return 0 }

// kind implements form.
func (e *edgeloop) kind() eventloop.Kind {
	if e.codec.Binary() {
		return eventloop.Binary
	}
	return eventloop.Text
}

// appendCommand implements form.
func (e *edgeloop) appendCommand(dst []byte, id, name string, data []byte) []byte {
	m := envelope.Message{Type: envelope.TypeCommand, ID: []byte(id), Name: []byte(name), Data: data}
	return e.codec.Append(dst, &m)
}

// silenceOnLoop is the same for all, as the welcome says.
func (e *edgeloop) silenceOnLoop(l *link) devicemgr.Silence { return *l.g.limits.silence.Load() }

// begunOnLoop, doneOnLane and goneOnLoop: acks go by the session's sequence, not by batches.
func (e *edgeloop) begunOnLoop(*batch)                {}
func (e *edgeloop) doneOnLane(*link, *turn, *batch)   {}
func (e *edgeloop) goneOnLoop(*link, *eventloop.Gone) {}

// resume implements dialect: a client of MQTT has kept nothing that another protocol goes on with.
func (e *edgeloop) resume(l *link, key devicemgr.Key) (done bool, err error) {
	if s := l.g.sessions.of(key); s != nil {
		s.takeForOther(l)
	}
	l.g.backAnew(key)
	return true, nil
}

// kept implements dialect.
func (e *edgeloop) kept() *clientSession { return nil }

// fetch implements dialect.
func (e *edgeloop) fetch(ctx context.Context, l *link) (ok bool) { return l.g.fetchTaken(ctx, l) }

// hearOnLoop answers heartbeats at once: they ask whether the node is there, and the lane may be
// waiting for the log.
func (e *edgeloop) hearOnLoop(l *link, kind eventloop.Kind, payload []byte) bool {
	return l.beats < beatsMost && len(payload) <= heartbeatMost && e.proto != protocolRaw &&
		envelope.MayBeHeartbeat(kind == eventloop.Binary, payload) && e.beatOnLoop(l, kind, payload)
}

const (
	// heartbeatMost is how long a heartbeat may be to be answered on the loop; a longer
	// one is answered on the lane.
	heartbeatMost = 64
	// beatsMost is how many messages of one read are looked at for it. Those behind
	// take the lane, and with it places in the window, so a flood of heartbeats costs
	// the loop no more than one of other messages.
	beatsMost = 4
)

// beatOnLoop answers a heartbeat, and says whether it was one.
func (e *edgeloop) beatOnLoop(l *link, kind eventloop.Kind, payload []byte) bool {
	l.beats++
	s := l.g.encoder()
	defer l.g.encoders.Put(s)
	if e.codec.Decode(kind == eventloop.Binary, payload, &s.msg) != nil || s.msg.Type != envelope.TypeHeartbeat {
		return false
	}
	e.writeOnLoop(l, func(m *envelope.Message) { m.Type = envelope.TypeHeartbeat })
	l.answeredOnLoop(len(payload))
	return true
}

// tellOnLoop writes the welcome, or one ack for all that became durable.
func (e *edgeloop) tellOnLoop(l *link) {
	if e.proto == protocolRaw {
		return
	}
	durable := l.session.Durable()
	switch {
	case l.flags.Load()&flagWelcomed == 0:
		e.welcomeOnLoop(l, durable)
	case durable > l.acked || l.flags.Load()&flagReack != 0:
		l.flags.And(^flagReack)
		e.writeOnLoop(l, func(m *envelope.Message) { m.Type, m.Upto = envelope.TypeAck, durable })
		l.acked = durable
		l.g.counts.acks.Add(1)
	}
}

func (e *edgeloop) welcomeOnLoop(l *link, durable uint64) {
	l.flags.Or(flagWelcomed)
	l.acked = durable
	e.writeOnLoop(l, func(m *envelope.Message) {
		m.Type, m.Epoch, m.Upto = envelope.TypeWelcome, l.epoch, durable
		m.HeartbeatS = int(e.silenceOnLoop(l).Heartbeat / time.Second)
		m.Window = int(l.g.limits.window.Load())
	})
}

// writeOnLoop encodes one message and writes it with whatever else this event writes.
func (e *edgeloop) writeOnLoop(l *link, fill func(*envelope.Message)) {
	s := l.g.encoder()
	defer l.g.encoders.Put(s)
	fill(&s.msg)
	s.out = e.codec.Append(s.out[:0], &s.msg)
	l.conn.WriteOnLoop(e.kind(), s.out)
}

// takeOnLane takes one message in.
func (e *edgeloop) takeOnLane(l *link, t *turn, b *batch, in message) {
	m := t.message()
	if err := e.codec.Decode(in.kind() == eventloop.Binary, in.payload(), m); err != nil {
		e.refuseOnLane(l, err)
		return
	}
	switch m.Type {
	case envelope.TypeTelemetry, envelope.TypeStatus, envelope.TypeAlert:
		if fault := l.recordOnLane(t, b, m, e.anyBytes()); fault != nil {
			e.refuseOnLane(l, fault)
		}
	case envelope.TypeHeartbeat:
		e.send(l, &envelope.Message{Type: envelope.TypeHeartbeat})
	case envelope.TypeReply:
		l.g.replied(l, m)
	case envelope.TypeJoin, envelope.TypeLeave:
		e.groupOnLane(l, m)
	case envelope.TypeToken:
		e.refreshOnLane(l, m)
	default:
		e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeUnsupportedType, Message: "type " + m.Type.String() + " does not come from a device"})
	}
}

// anyBytes says whether data may be something else than JSON.
func (e *edgeloop) anyBytes() bool { return e.proto == protocolRaw || e.proto == protocolFrameProto }

// refuseOnLane tells the device what was wrong with its message.
func (e *edgeloop) refuseOnLane(l *link, err error) {
	fault := &envelope.Fault{Code: envelope.CodeBadEnvelope, Message: err.Error()}
	errors.As(err, &fault)
	e.send(l, &envelope.Message{
		Type: envelope.TypeError, Code: []byte(fault.Code), Text: []byte(fault.Message), Seq: fault.Seq,
	})
	l.faultedOnLane(fault)
}

// groupOnLane joins or leaves.
func (e *edgeloop) groupOnLane(l *link, m *envelope.Message) {
	var err error
	if m.Type == envelope.TypeJoin {
		if !l.rights.Load().MayJoin(m.Group) {
			e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeNotAllowed, Message: "the token does not allow group " + string(m.Group)})
			return
		}
		err = l.g.devices.Join(l.session, l.epoch, string(m.Group), l.tenant.limits.Load().Groups)
	} else {
		err = l.g.devices.Leave(l.session, l.epoch, string(m.Group))
	}
	if errors.Is(err, devicemgr.ErrTenantGroups) {
		l.tenant.count(quota.Groups)
		e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeQuota, Message: err.Error()})
		return
	}
	if err != nil && !errors.Is(err, devicemgr.ErrOffline) { // gone already: nobody to tell
		e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeOverLimit, Message: err.Error()})
	}
}

// refreshOnLane takes a newer token of a connected device.
func (e *edgeloop) refreshOnLane(l *link, m *envelope.Message) {
	if l.g.verifier == nil {
		return
	}
	id, err := l.g.verifier.Verify(m.Token)
	key := l.session.Key()
	switch {
	case err != nil:
		e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeBadToken, Message: err.Error()})
	case id.Tenant != key.Tenant || id.Device != key.Device:
		e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeBadToken, Message: "the token is for another device"})
	case l.g.revoked(id):
		e.refuseOnLane(l, &envelope.Fault{Code: envelope.CodeBadToken, Message: reasonRevoked})
	default:
		l.grant(id)
		l.renew(id.Expires)
		e.leaveOthersOnLane(l)
		if l.g.revoked(id) { // revoked since: the walk over the links did not see the mark
			l.Close(uint16(eventloop.CloseTokenExpired), reasonRevoked)
		}
	}
}

// leaveOthersOnLane ends the memberships that a newer token does not allow, and tells the
// device, which has done nothing wrong.
func (e *edgeloop) leaveOthersOnLane(l *link) {
	rights := l.rights.Load()
	may := func(group string) bool { return rights.MayJoin([]byte(group)) }
	for _, group := range l.g.devices.LeaveUnless(l.session, l.epoch, may) {
		l.g.drops[DropNotAllowed].Add(1)
		e.send(l, &envelope.Message{
			Type: envelope.TypeError, Code: []byte(envelope.CodeNotAllowed),
			Text: []byte("the newer token does not allow group " + group + ", which the device is no longer in"),
		})
	}
}

// send posts a message to the device, if its encoding has a form for it and the device
// is still there; any goroutine.
func (e *edgeloop) send(l *link, m *envelope.Message) {
	if out := e.codec.Append(nil, m); len(out) > 0 {
		_ = l.conn.Send(e.kind(), out) // who is gone needs no answer
	}
}

var (
	_ dialect = (*edgeloop)(nil)
	_ form    = (*edgeloop)(nil)
)
