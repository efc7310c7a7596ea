package gateway

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// mqtt is the dialect of MQTT 3.1.1 and 5.0 (docs/mqtt.md), with what it keeps of one
// connection. A message of it is one control packet.
//
// PUBACK goes by batches: a PUBLISH is answered when all records of its batch are on the
// disk, and the batches of a connection in the order in which they began. So nothing is
// kept for a packet that waits for its answer but the packet itself, in its batch.
type mqtt struct {
	voice

	// Immutable after construction.
	peer     mqttproto.Peer
	silence  time.Duration  // evicted after it; 0: never
	assigned bool           // the device has not said a client identifier
	told     bool           // silence is ours, not what the client asked for
	clean    bool           // it wants no session that was kept
	present  bool           // it has one; set by resume
	asked    uint32         // Session Expiry Interval, seconds
	session  *clientSession // what is kept beyond the connection, nil for nothing; set by resume
	// flightMost is how many commands of QoS 1 may be on their way to it. [MQTT-3.3.4-9]
	flightMost uint8

	// Owned by the loop goroutine.
	gone        bool
	first, last *batch    // begun and not answered, the oldest first
	will        *lastWill // for when it goes without a word; nil: none

	// Owned by the device's lane.
	scarce *scarce // what few clients use; nil until one does

	// Atomic.
	flight atomic.Pointer[flight] // what is on its way to it with QoS 1; nil: nothing
}

// scarce is what few clients use of their connection.
type scarce struct {
	aliases [maxAliases][]byte // topics by alias, less 1
	once    clientSession      // QoS 2 where nothing is kept
}

// codeNone marks a message that gets no answer. It is the kind with which every message comes, and
// no reason code of PUBACK.
const codeNone = byte(eventloop.Binary)

func (q *mqtt) protocol() protocol {
	if q.peer.Version == mqttproto.V5 {
		return protocolMQTT5
	}
	return protocolMQTT3
}

// mostDown is the client's Maximum Packet Size. [MQTT-3.1.2-24]
func (q *mqtt) mostDown() int { return int(q.peer.MaxPacket) }

// silenceOnLoop is one and a half times the keep alive. [MQTT-3.1.2-22]
func (q *mqtt) silenceOnLoop(*link) devicemgr.Silence {
	return devicemgr.Silence{Limit: q.silence, Unasked: true}
}

// hearOnLoop answers PINGREQ: whether the node is there is no question to the log.
func (q *mqtt) hearOnLoop(l *link, _ eventloop.Kind, packet []byte) bool {
	switch mqttproto.Type(packet[0] >> 4) {
	case mqttproto.PINGREQ:
		if l.beats == beatsMost || len(packet) != 2 {
			return false
		}
		l.beats++
		var answer [2]byte
		l.conn.WriteOnLoop(eventloop.Binary, mqttproto.AppendPingresp(answer[:0])) // [MQTT-3.12.4-1]
		l.answeredOnLoop(len(packet))
		return true
	case mqttproto.DISCONNECT:
		return q.farewellOnLoop(packet)
	}
	return false
}

// farewellOnLoop hears a DISCONNECT, behind which nothing follows [MQTT-3.14.4-1], and reports
// whether that is all. If it says something of the session, it also goes along the lane, behind the
// rest.
func (q *mqtt) farewellOnLoop(packet []byte) (done bool) {
	p, _, _, err := mqttproto.Next(packet, q.peer.Version, mqttproto.MaxPacket)
	if err != nil {
		return true
	}
	m, err := mqttproto.DecodeDisconnect(p, q.peer.Version)
	if err == nil {
		q.farewellWillOnLoop(&m)
	}
	return err != nil || q.session == nil || !m.Properties.Has(mqttproto.PropSessionExpiry)
}

// begunOnLoop notes the order of the batches.
func (q *mqtt) begunOnLoop(b *batch) {
	if q.gone {
		return
	}
	b.await()
	if q.last == nil {
		q.first = b
	} else {
		q.last.next = b
	}
	q.last = b
}

// tellOnLoop writes CONNACK, or answers what is through.
func (q *mqtt) tellOnLoop(l *link) {
	if l.flags.Load()&flagWelcomed == 0 {
		l.flags.Or(flagWelcomed)
		q.backOnLoop(l)
		q.welcomeOnLoop(l)
		return
	}
	durable := l.session.Durable()
	if !q.first.answerable(durable) {
		return
	}
	l.flags.And(^flagReack)
	e := l.g.encoder()
	defer l.g.encoders.Put(e)
	e.out = e.out[:0]
	for b := q.first; b.answerable(durable); b = q.first {
		if q.first = b.next; q.first == nil {
			q.last = nil
		}
		if !b.void {
			e.out = q.appendAnswersOnLoop(e.out, b)
		}
		l.onWay.Add(-b.end())
	}
	if len(e.out) > 0 {
		l.conn.WriteOnLoop(eventloop.Binary, e.out) // all the answers, in one write
		l.g.counts.acks.Add(1)
	}
}

// answerable says that b is through, and what it repeats is durable; nil is not.
func (b *batch) answerable(durable uint64) bool {
	return b != nil && b.done.Load() && b.upto <= durable
}

// appendAnswersOnLoop appends the answers to the packets of b, in their order.
// [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4]
func (q *mqtt) appendAnswersOnLoop(dst []byte, b *batch) []byte {
	for rest := b.bytes.B; len(rest) > 0; {
		var m message
		if m, rest = cutMessage(rest); m[0] == codeNone {
			continue
		}
		packet, code := m.payload(), mqttproto.ReasonCode(m[0])
		switch mqttproto.Type(packet[0] >> 4) {
		case mqttproto.SUBSCRIBE, mqttproto.UNSUBSCRIBE:
			dst = q.appendSubackOnLoop(dst, b.link, packet)
		case mqttproto.PUBREL:
			dst = mqttproto.AppendAck(dst, q.peer, mqttproto.PUBCOMP, binary.BigEndian.Uint16(packet[bodyAt(packet):]), code, nil) // [MQTT-4.3.3-11]
		default:
			answer := mqttproto.PUBACK
			if packet[0]&qosTwice != 0 {
				answer = mqttproto.PUBREC // [MQTT-4.3.3-8]
			}
			dst = mqttproto.AppendAck(dst, q.peer, answer, publishID(packet), code, nil)
		}
	}
	return dst
}

// qosTwice is the bit of QoS 2 in the first byte of a PUBLISH.
const qosTwice = 4

// bodyAt is where the fixed header of a packet that was cut off before ends.
func bodyAt(packet []byte) int {
	i := 1
	for packet[i] >= 0x80 {
		i++
	}
	return i + 1
}

// publishID is the packet identifier of a PUBLISH that was decoded before.
func publishID(packet []byte) uint16 {
	i := bodyAt(packet)
	i += 2 + int(binary.BigEndian.Uint16(packet[i:]))
	return binary.BigEndian.Uint16(packet[i:])
}

// takeOnLane takes one packet in. After a fault nothing more of the connection is.
// [MQTT-4.13.1-1]
func (q *mqtt) takeOnLane(l *link, t *turn, b *batch, m message) {
	m[0] = codeNone // a turn that panicked has left its answer, and is taken again
	p, _, _, err := mqttproto.Next(m.payload(), q.peer.Version, mqttproto.MaxPacket)
	if err == nil {
		err = q.packetOnLane(l, t, b, m, p)
	}
	if err == nil {
		return
	}
	if l.lost == 0 {
		code, reason := eventloop.PacketFault(err)
		l.Close(uint16(code), reason)
	}
	l.loseOnLane(DropBadEnvelope, 1)
}

func (q *mqtt) packetOnLane(l *link, t *turn, b *batch, m message, p mqttproto.Packet) error {
	switch p.Type {
	case mqttproto.PUBLISH:
		return q.publishOnLane(l, t, b, m, p)
	case mqttproto.SUBSCRIBE, mqttproto.UNSUBSCRIBE:
		return q.subscribeOnLane(t, l, m, p)
	case mqttproto.PINGREQ:
		if err := mqttproto.DecodePingreq(p); err != nil {
			return err //nolint:wrapcheck // it is the fault that is told
		}
		q.send(l, mqttproto.AppendPingresp(nil))
	case mqttproto.PUBREL:
		return q.releaseOnLane(l, t, m, p)
	case mqttproto.DISCONNECT:
		q.disconnectOnLane(l, t, p)
	case mqttproto.AUTH:
		return errAuth
	default: // PUBACK, and answers to what is never sent with QoS 2
		a, err := mqttproto.DecodeAck(p, q.peer.Version)
		if err == nil && p.Type == mqttproto.PUBACK {
			q.confirmOnLane(l, a.ID)
		}
		return err //nolint:wrapcheck // as above
	}
	return nil
}

// errAuth lies in what this node does not offer.
var errAuth = &mqttproto.Error{Reason: mqttproto.ReasonBadAuthMethod, What: "no authentication was begun", Tag: "MQTT-4.12.0-1"}

// publishOnLane makes a record of a PUBLISH, or a reply.
func (q *mqtt) publishOnLane(l *link, t *turn, b *batch, m message, p mqttproto.Packet) error {
	pub, err := mqttproto.DecodePublish(p, q.peer.Version, maxAliases)
	if err == nil && pub.Alias != 0 {
		err = q.aliasOnLane(&pub)
	}
	switch {
	case err != nil:
		return err //nolint:wrapcheck // it is the fault that is told
	case pub.Retain && q.peer.Version == mqttproto.V5 && !l.g.retains():
		return errRetain
	case pub.QoS == 2:
		return q.onceOnLane(l, t, b, m, &pub)
	}
	q.answerOnLane(l, m, &pub, q.storeOnLane(l, t, b, &pub))
	return nil
}

// answerOnLane says how m is to be answered once it is on the disk.
func (q *mqtt) answerOnLane(l *link, m message, pub *mqttproto.Publish, code mqttproto.ReasonCode) {
	switch {
	case code == mqttproto.ReasonCode(codeNone):
	case code.Failed() && q.peer.Version == mqttproto.V311: // it cannot be told otherwise [MQTT3-3.3.5-2]
		l.Close(uint16(eventloop.ClosePolicy), code.String())
	case pub.QoS > 0:
		m[0] = byte(code)
	}
}

// storeOnLane says how a PUBLISH is to be answered once it is on the disk.
func (q *mqtt) storeOnLane(l *link, t *turn, b *batch, pub *mqttproto.Publish) mqttproto.ReasonCode {
	if pub.Topic[0] == '$' {
		return q.replyOnLane(l, pub)
	}
	if len(pub.Topic) > envelope.MaxTopic {
		l.faultOnLane("the topic is too long")
		return mqttproto.ReasonTopicNameInvalid
	}
	r := t.message()
	r.Reset()
	r.Type, r.Topic, r.Data = envelope.TypeTelemetry, pub.Topic, pub.Payload
	var ok bool
	if r.Seq, ok = sequenceOf(pub); !ok {
		l.faultOnLane("the user property seq is no number from 1 to 2^53-1")
		return mqttproto.ReasonImplementation
	}
	properties, ok := t.propertiesOnLane(&pub.Properties)
	if !ok {
		l.faultOnLane("the properties are too long")
		return mqttproto.ReasonQuotaExceeded
	}
	retain, code := q.publishToRetainOnLane(l, t, pub, r.Seq, len(properties))
	if code != mqttproto.ReasonSuccess {
		return code
	}
	made := len(t.records)
	fault := l.recordOnLane(t, b, r, true)
	if len(t.records) == made {
		retain.giveBack()
	}
	switch {
	case fault != nil:
		l.faultedOnLane(fault)
		return reasonOfFault(fault)
	case len(t.records) > made:
		t.records[made].MQTT = pub.QoS + 1
		t.records[made].Properties = properties
		retain.be(&t.records[made])
		return mqttproto.ReasonSuccess
	case l.lost == 0: // the log has it, or will
		b.upto = max(b.upto, r.Seq)
		return mqttproto.ReasonSuccess
	}
	return mqttproto.ReasonCode(codeNone)
}

// sequenceProperty is the user property with a PUBLISH's sequence (5.0). uptoProperty, in
// CONNACK, is the highest that is durable.
const (
	sequenceProperty = "seq"
	uptoProperty     = "upto"
)

// sequenceOf is the sequence that a PUBLISH has, 0 for none.
func sequenceOf(pub *mqttproto.Publish) (seq uint64, ok bool) {
	if !pub.Properties.Has(mqttproto.PropUser) {
		return 0, true
	}
	for v := range pub.Properties.All() {
		if v.ID == mqttproto.PropUser && string(v.Name) == sequenceProperty {
			seq, err := strconv.ParseUint(string(v.Bytes), 10, 64)
			return seq, err == nil && seq > 0 && seq <= envelope.MaxSeq
		}
	}
	return 0, true
}

// maxAliases is the Topic Alias Maximum: with topics of 256 bytes, 2 KiB of a connection.
const maxAliases = 8

// errUnknownAlias is a fault of the client: it has not said what the alias stands for.
var errUnknownAlias = &mqttproto.Error{Reason: mqttproto.ReasonProtocolError, What: "a topic alias that stands for nothing", Tag: "MQTT 3.3.2.3.4"}

// aliasOnLane notes which topic an alias stands for, or puts that into pub. [MQTT-3.3.2-7]
func (q *mqtt) aliasOnLane(pub *mqttproto.Publish) error {
	if q.scarce == nil {
		q.scarce = new(scarce)
	}
	known := &q.scarce.aliases[pub.Alias-1]
	switch {
	case len(pub.Topic) == 0 && *known == nil:
		return errUnknownAlias
	case len(pub.Topic) == 0:
		pub.Topic = *known
	case len(pub.Topic) <= envelope.MaxTopic: // a longer one is refused, with each use of it
		*known = bytes.Clone(pub.Topic)
	default:
		*known = nil
	}
	return nil
}

// goneOnLoop leaves the batches to those who have them, and sees to the Will.
func (q *mqtt) goneOnLoop(l *link, gone *eventloop.Gone) {
	q.gone = true
	if q.session != nil {
		q.session.leave(l)
	}
	for b := q.first; b != nil; {
		next := b.next
		if b.done.Swap(true) {
			b.end()
		}
		b = next
	}
	q.first, q.last = nil, nil
	if q.will == nil || l.session == nil || l.flags.Load()&flagWelcomed == 0 {
		return
	}
	if !q.waitsOnLoop(l, gone) {
		q.willOnLoop(l)
	}
}

// send posts a packet to the device; any goroutine.
func (q *mqtt) send(l *link, packet []byte) {
	if len(packet) > 0 {
		_ = l.conn.Send(eventloop.Binary, packet) // who is gone needs no answer
	}
}

var _ dialect = (*mqtt)(nil)
