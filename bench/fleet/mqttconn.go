package fleet

import (
	"encoding/binary"
	"fmt"
)

// connacked reads the node's answer to CONNECT and returns its size.
func (l *loop) connacked(i int, b []byte, now int64) int {
	c := &l.conns[i]
	first, body, size, err := mqttNext(b)
	switch {
	case err != nil:
		l.fail(i, "connack: "+err.Error())
	case size == 0:
	case first != mqttConnack || len(body) < 2:
		l.fail(i, fmt.Sprintf("connack: % x", b[:min(len(b), 8)]))
	case body[1] != 0:
		l.tallies.status[int(body[1])]++
		l.counts[Refused]++
		l.fail(i, "")
	default:
		c.state = open
		l.counts[Opened]++
		l.counts[Open]++
		l.begin(i, body, now)
	}
	return size
}

// begin makes a device that was let in ready, or has it subscribe first. What was not
// acknowledged on an earlier connection is published again: its session was a clean one.
func (l *loop) begin(i int, connack []byte, now int64) {
	c := &l.conns[i]
	if l.mqtt.level == 5 {
		c.window = uint16(min(receiveMaximum(connack), maxBacklog)) //nolint:gosec // bounded here
	}
	if c.work == nil {
		c.work = &work{}
	}
	a := &c.work.tele
	a.known = true
	a.sent, a.again, a.spare = a.acked, 0, 0
	if !l.dialect.welcomes() {
		l.counts[Dialing]--
		l.registered(i, now)
		return
	}
	l.framer.out = l.mqtt.subscribe(l.framer.out, l.first+i)
}

// packet handles the first packet in b and returns its size.
func (l *loop) packet(i int, b []byte, now int64) (size int, ok bool) {
	c := &l.conns[i]
	first, body, size, err := mqttNext(b)
	if err != nil {
		l.counts[Corrupted]++
		l.end(i, "protocol: "+err.Error(), now)
		return 0, false
	}
	if size == 0 {
		return 0, false
	}
	switch {
	case first == mqttPuback && len(body) >= 2:
		l.puback(i, body, now)
	case first&0xf0 == mqttPublish:
		l.published(c, first, body, now)
	case first == mqttSuback && len(body) >= 3 && !c.ready:
		if code := body[len(body)-1]; code >= 0x80 {
			l.counts[Faults]++
			l.tallies.fault[fmt.Sprintf("suback %#x", code)]++
		}
		l.registered(i, now)
	case first == mqttPingresp:
	case first == mqttDisconnect: // in 5.0; the node ends TCP
		code := 0
		if len(body) > 0 {
			code = int(body[0])
		}
		l.tallies.close[code]++
		c.state, c.since = closing, now
	default:
		l.counts[Corrupted]++
	}
	return size, true
}

// puback takes the acknowledgement of one message. A node acknowledges in the order in
// which messages came, so that one ahead of its turn is counted as Reordered.
func (l *loop) puback(i int, body []byte, now int64) {
	w := l.conns[i].work
	if len(body) > 2 && body[2] >= 0x80 {
		l.counts[Faults]++
		l.tallies.fault[fmt.Sprintf("puback %#x", body[2])]++
		return
	}
	id := binary.BigEndian.Uint16(body)
	a := &w.tele
	for seq := a.acked + 1; seq <= a.sent; seq++ {
		if mqttID(seq) == id {
			if seq > a.acked+1 {
				l.counts[Reordered]++
			}
			l.acked(i, &event{seq: seq}, now)
			return
		}
	}
	for seq := a.acked; seq > 0 && seq+maxInFlight > a.acked; seq-- {
		if mqttID(seq) == id {
			l.counts[Duplicated]++
			return
		}
	}
	l.counts[Corrupted]++
}

// published takes a message for device c.
func (l *loop) published(c *conn, first byte, body []byte, now int64) {
	name, payload, id, ok := l.mqtt.message(first, body)
	if !ok {
		l.counts[Corrupted]++
		return
	}
	if id != 0 {
		l.framer.out = append(l.framer.out, mqttPuback, 2, byte(id>>8), byte(id))
	}
	var e event
	if l.mqtt.command(name, payload, &e); e.kind == isMessage {
		l.delivered(c, name, &e, now)
		return
	}
	l.commanded(c, &e, now)
}
