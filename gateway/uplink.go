package gateway

import (
	"fmt"

	"edgeloop/backbone"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// recordOnLane checks a message of b that is for the log and adds it to t's records.
// anyBytes says that its data need not be JSON. A fault is for the device to hear.
func (l *link) recordOnLane(t *turn, b *batch, m *envelope.Message, anyBytes bool) *envelope.Fault {
	if !l.rights.Load().MayPublish(m.Topic) {
		return &envelope.Fault{
			Code: envelope.CodeNotAllowed, Seq: m.Seq,
			Message: "the token does not allow topic " + string(m.Topic),
		}
	}
	if l.lost != 0 {
		l.loseOnLane(Drop(l.lost-1), 1)
		return nil
	}
	high := l.session.AcceptedOnLane()
	if m.Seq != 0 && m.Seq <= high {
		l.g.drops[DropDuplicate].Add(1)
		l.flags.Or(flagReack)
		return nil
	}
	if fault, ok := l.roomOnLane(m, high); !ok {
		return fault
	}
	if m.Seq != 0 {
		if m.Seq-high > l.g.cfg.MaxSequenceJump {
			return &envelope.Fault{
				Code: envelope.CodeSequenceJump, Seq: m.Seq,
				Message: fmt.Sprintf(`"seq" is %d above the last one, %d; allowed are %d`, m.Seq-high, high, l.g.cfg.MaxSequenceJump),
			}
		}
		if high != 0 && m.Seq > high+1 {
			l.g.counts.gaps.Add(1)
		}
		l.short = 0
		// A newer connection was told what is durable, and the device sends the rest
		// again there; a session that was forgotten is not asked by the next one.
		if l.session.Epoch() != l.epoch || !l.session.AcceptOnLane(m.Seq) {
			l.loseOnLane(DropReplaced, 1)
			return nil
		}
		t.before = append(t.before, accepted{l.session, high})
		high = m.Seq
	} else if l.session.Forgotten() {
		l.loseOnLane(DropReplaced, 1)
		return nil
	}
	key := l.session.Key()
	t.records = append(t.records, backbone.Record{
		Tenant: key.Tenant, Device: key.Device, Epoch: l.epoch,
		Seq: m.Seq, High: high, After: l.after,
		Type: m.Type.String(), Topic: m.Topic, Level: m.Level, TS: m.TS, Received: t.now,
		Session: l.sessionTextOnLane(t),
		Data:    m.Data, Base64: anyBytes && !envelope.ValidJSON(m.Data),
		Done: b,
	})
	return nil
}

// shortMost is the most that link.short can say.
const shortMost = 1<<8 - 1

// roomOnLane says whether the quota of l's tenant has room for m, and whether a lower sequence was
// refused; high is what the session has accepted. fault is nil where the connection ends instead.
func (l *link) roomOnLane(m *envelope.Message, high uint64) (fault *envelope.Fault, ok bool) {
	why, full := tooManyStored, l.tenant.storesTooMuch(l.g.cfg.StoredBytes)
	switch {
	case l.short != 0 && m.Seq > high+uint64(l.short):
		why = fmt.Sprintf(`"seq" %d was refused: send that again first`, high+uint64(l.short))
	case !full:
		return nil, true
	case !l.missOnLane(m.Seq, high, DropQuotaStored, tooManyStored):
		return nil, false
	}
	l.g.drops[DropQuotaStored].Add(1)
	return &envelope.Fault{Code: envelope.CodeQuota, Seq: m.Seq, Message: why}, false
}

// missOnLane remembers that there was no room for a sequence: no higher one is taken on the
// connection until that comes again, or a lower one. An ack of a higher one would pass over it, and
// it would be a duplicate then. false: it cannot be remembered, and the connection ends.
func (l *link) missOnLane(seq, high uint64, why Drop, told string) (ok bool) {
	switch {
	case seq == 0 || l.short != 0 && seq > high+uint64(l.short):
	case seq > high+shortMost:
		l.Close(closeTryAgain, told)
		l.loseOnLane(why, 1)
		return false
	default:
		l.short = uint8(seq - high) //nolint:gosec // bounded above
	}
	return true
}

// closeTryAgain is the close code 1013.
const closeTryAgain = 1013

// tooManyStored is told to devices.
const tooManyStored = "the tenant has as many bytes in the log as it may have"

// loseOnLane gives up n messages that were for the log, and with them all that follow on
// this connection: a later one could be acknowledged over the hole. Every way of
// losing one on the lane ends here.
func (l *link) loseOnLane(why Drop, n int32) {
	l.lost = uint8(why) + 1
	l.g.drops[why].Add(uint64(n)) //nolint:gosec // positive
}

// maxFaults is how many messages of one connection may be refused before it is
// closed: a device that cannot speak the protocol will not learn it by repeating.
const maxFaults = 8

// faultOnLane counts a message that was refused because it is not of the protocol, for the
// reason given.
func (l *link) faultOnLane(reason string) { l.faultForOnLane(DropBadEnvelope, reason) }

// faultedOnLane counts a message that was refused with a fault. A quota that is used up is not the
// device's fault, and is counted where that was found.
func (l *link) faultedOnLane(f *envelope.Fault) {
	switch f.Code {
	case envelope.CodeQuota:
	case envelope.CodeNotAllowed:
		l.faultForOnLane(DropNotAllowed, f.Message)
	default:
		l.faultForOnLane(DropBadEnvelope, f.Message)
	}
}

func (l *link) faultForOnLane(why Drop, reason string) {
	l.g.drops[why].Add(1)
	l.noticeFaultOnLane(reason)
	if l.faults == maxFaults {
		return // it is being closed for it
	}
	if l.faults++; l.faults == maxFaults {
		l.Close(uint16(eventloop.ClosePolicy), "too many bad messages, the last: "+reason)
	}
}
