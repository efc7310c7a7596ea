package gateway

import (
	"errors"
	"fmt"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// uplink takes one message of b in: it adds a record to t's, or deals with it here.
// payload is a piece of b, to which the record refers until the log copied it.
func (l *link) uplink(t *turn, b *batch, kind eventloop.Kind, payload []byte) {
	m := t.message()
	if err := l.codec().Decode(kind == eventloop.Binary, payload, m); err != nil {
		l.refuse(err)
		return
	}
	switch m.Type {
	case envelope.TypeTelemetry, envelope.TypeStatus, envelope.TypeAlert:
		l.record(t, b, m)
	case envelope.TypeHeartbeat:
		_ = l.deliver(&envelope.Message{Type: envelope.TypeHeartbeat}) // who is gone needs no echo
	case envelope.TypeReply:
		l.g.replied(l, m)
	case envelope.TypeJoin, envelope.TypeLeave:
		l.group(m)
	case envelope.TypeToken:
		l.refresh(m)
	default:
		l.refuse(&envelope.Fault{Code: envelope.CodeUnsupportedType, Message: "type " + m.Type.String() + " does not come from a device"})
	}
}

// record checks a message of b that is for the log and adds it to t's records.
func (l *link) record(t *turn, b *batch, m *envelope.Message) {
	if !l.mayPublish(m.Topic) {
		l.refuse(&envelope.Fault{
			Code: envelope.CodeNotAllowed, Seq: m.Seq,
			Message: "the token does not allow topic " + string(m.Topic),
		})
		return
	}
	if l.lost != 0 {
		l.lose(Drop(l.lost-1), 1)
		return
	}
	high := l.session.AcceptedOnLane()
	if m.Seq != 0 {
		if m.Seq <= high {
			l.g.drops[DropDuplicate].Add(1)
			l.flags.Or(flagReack)
			return
		}
		if m.Seq-high > l.g.cfg.MaxSequenceJump {
			l.refuse(&envelope.Fault{
				Code: envelope.CodeSequenceJump, Seq: m.Seq,
				Message: fmt.Sprintf(`"seq" is %d above the last one, %d; allowed are %d`, m.Seq-high, high, l.g.cfg.MaxSequenceJump),
			})
			return
		}
		if high != 0 && m.Seq > high+1 {
			l.g.counts.gaps.Add(1)
		}
		// A newer connection was told what is durable, and the device sends the rest
		// again there; a session that was forgotten is not asked by the next one.
		if l.session.Epoch() != l.epoch || !l.session.AcceptOnLane(m.Seq) {
			l.lose(DropReplaced, 1)
			return
		}
		t.before = append(t.before, accepted{l.session, high})
		high = m.Seq
	} else if l.session.Forgotten() {
		l.lose(DropReplaced, 1)
		return
	}
	key := l.session.Key()
	t.records = append(t.records, backbone.Record{
		Tenant: key.Tenant, Device: key.Device, Epoch: l.epoch,
		Seq: m.Seq, High: high, After: l.after,
		Type: m.Type.String(), Topic: m.Topic, Level: m.Level, TS: m.TS, Received: t.now,
		Data: m.Data, Base64: l.proto.anyBytes() && !envelope.ValidJSON(m.Data),
		Done: b,
	})
}

// lose gives up n messages that were for the log, and with them all that follow on
// this connection: a later one could be acknowledged over the hole. Every way of
// losing one on the lane ends here.
func (l *link) lose(why Drop, n int32) {
	l.lost = uint8(why) + 1
	l.g.drops[why].Add(uint64(n)) //nolint:gosec // positive
}

// mayPublish says whether the token allows a topic.
func (l *link) mayPublish(topic []byte) bool {
	return l.topics.Load().Allow(topic)
}

// maxFaults is how many messages of one connection may be refused before it is
// closed: a device that cannot speak the protocol will not learn it by repeating.
const maxFaults = 8

// refuse tells the device what was wrong with its message.
func (l *link) refuse(err error) {
	fault := &envelope.Fault{Code: envelope.CodeBadEnvelope, Message: err.Error()}
	errors.As(err, &fault)
	l.g.drops[DropBadEnvelope].Add(1)
	_ = l.deliver(&envelope.Message{ // to whoever is still there
		Type: envelope.TypeError, Code: []byte(fault.Code), Text: []byte(fault.Message), Seq: fault.Seq,
	})
	if l.faults == maxFaults {
		return // it is being closed for it
	}
	if l.faults++; l.faults == maxFaults {
		l.Close(uint16(eventloop.ClosePolicy), "too many bad messages, the last: "+fault.Message)
	}
}

// group joins or leaves.
func (l *link) group(m *envelope.Message) {
	var err error
	if m.Type == envelope.TypeJoin {
		err = l.g.devices.Join(l.session, l.epoch, string(m.Group))
	} else {
		err = l.g.devices.Leave(l.session, l.epoch, string(m.Group))
	}
	if err != nil && !errors.Is(err, devicemgr.ErrOffline) { // gone already: nobody to tell
		l.refuse(&envelope.Fault{Code: envelope.CodeOverLimit, Message: err.Error()})
	}
}

// deliver encodes a message and posts it to the device; any goroutine.
func (l *link) deliver(m *envelope.Message) error {
	codec := l.codec()
	out := codec.Append(nil, m)
	if len(out) == 0 {
		return nil // this encoding has no form for it
	}
	return l.conn.Send(kindOf(codec), out)
}
