package fleet

import (
	"encoding/binary"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// readAll reads device i's socket until it is empty. atEnd says that the node
// shut its side, so that a short read does not mean empty.
func (l *loop) readAll(i int, atEnd bool) {
	c := &l.conns[i]
	fd := c.fd
	for c.fd == fd && !c.stalled {
		n, err := unix.Read(int(fd), l.in)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case err != nil:
			l.end(i, "read: "+errnoName(err), l.now())
			return
		case n == 0:
			l.end(i, "eof", l.now())
			return
		}
		l.counts[BytesIn] += int64(n)
		l.consume(i, l.in[:n])
		if n < len(l.in) && !atEnd {
			return
		}
	}
}

// consume takes bytes that arrived for device i. b is borrowed until return.
func (l *loop) consume(i int, b []byte) {
	if s := l.conns[i].secure; s != nil {
		l.decipher(i, s, b)
		return
	}
	l.take(i, b)
}

// take is consume for what no TLS lies around any more.
func (l *loop) take(i int, b []byte) {
	c := &l.conns[i]
	fd, now := c.fd, l.now()
	if c.spill != nil && len(c.spill.in) > 0 {
		c.spill.in = append(c.spill.in, b...)
		b = c.spill.in
	}
	if c.state == upgrading {
		n := l.answered(i, b, now)
		if c.fd != fd {
			return
		}
		b = b[n:]
	}
	for len(b) > 0 && (c.state == open || c.state == closing) {
		n, ok := l.frame(i, b, now)
		if c.fd != fd {
			l.framer.out = l.framer.out[:0]
			return
		}
		if !ok {
			break
		}
		b = b[n:]
	}
	l.keep(c, b)
	l.write(i, now)
}

// keep stores what is left of an incomplete frame.
func (l *loop) keep(c *conn, b []byte) {
	if c.spill == nil {
		if len(b) == 0 {
			return
		}
		c.spill = &spill{}
	}
	c.spill.in = append(c.spill.in[:0], b...)
	if c.spill.empty() {
		c.spill = nil
	}
}

// frame handles the first frame in b and returns its size.
func (l *loop) frame(i int, b []byte, now int64) (size int, ok bool) {
	if l.mqtt != nil {
		return l.packet(i, b, now)
	}
	c := &l.conns[i]
	state := ws.StateClientSide
	if c.spill != nil && c.spill.fragmented {
		state = state.Set(ws.StateFragmented)
	}
	h, payload, size, ok, err := l.framer.next(b, state)
	if err != nil {
		l.counts[Corrupted]++
		l.end(i, "protocol: "+err.Error(), now)
		return 0, false
	}
	if !ok {
		return 0, false
	}
	switch h.OpCode {
	case ws.OpPing:
		l.counts[Pings]++
		l.framer.frame(ws.OpPong, payload)
	case ws.OpPong:
		if len(payload) == pingSize {
			l.hists.record(RoundTrip, now-int64(binary.BigEndian.Uint64(payload))) //nolint:gosec // what pace wrote
		}
	case ws.OpClose:
		l.closeFrame(i, payload, now)
	default:
		l.data(i, h, payload, now)
	}
	return size, true
}

// data assembles fragments; whole messages pass without a copy.
func (l *loop) data(i int, h ws.Header, payload []byte, now int64) {
	c := &l.conns[i]
	if h.Fin && h.OpCode != ws.OpContinuation {
		l.message(i, payload, now)
		return
	}
	if c.spill == nil {
		c.spill = &spill{}
	}
	s := c.spill
	if len(s.message)+len(payload) > maxIncoming {
		l.end(i, "protocol: "+errFrameTooBig.Error(), now)
		return
	}
	s.message = append(s.message, payload...)
	s.fragmented = !h.Fin
	if h.Fin {
		whole := s.message
		s.message = nil
		l.message(i, whole, now)
	}
}

func (l *loop) closeFrame(i int, payload []byte, now int64) {
	c := &l.conns[i]
	code := 1005 // none was given [RFC6455 7.1.5]
	if len(payload) >= 2 {
		code = int(binary.BigEndian.Uint16(payload))
	}
	l.tallies.close[code]++
	if c.state == closing {
		return
	}
	if len(payload) > 2 {
		if s, ok := numberAfter(payload[2:], "retry="); ok {
			l.dials.delay(i, time.Duration(s)*time.Second)
		}
	}
	l.framer.frame(ws.OpClose, payload[:min(2, len(payload))])
	c.state, c.since = closing, now
}

// message takes one whole message of the node.
func (l *loop) message(i int, payload []byte, now int64) {
	var e event
	l.dialect.read(payload, &e)
	c := &l.conns[i]
	switch e.kind {
	case isEcho:
		l.echoed(i, &e, now)
	case isWelcome:
		l.welcomed(i, &e, now)
	case isAck:
		l.acked(i, &e, now)
	case isCommand:
		l.commanded(c, &e, now)
	case isFault:
		l.counts[Faults]++
		l.tallies.fault[e.code]++
	case isBroken:
		if c.work != nil || l.dialect.welcomes() { // else nobody waits for anything
			l.counts[Corrupted]++
		}
	case isOther, isMessage:
	}
}

func (l *loop) echoed(i int, e *event, now int64) {
	w := l.conns[i].work
	if w == nil || int(e.device) != l.first+i {
		l.counts[Corrupted]++
		return
	}
	switch w.echo.receive(e.seq) {
	case unknown:
		l.counts[Corrupted]++
		return
	case repeated:
		l.counts[Duplicated]++
		return
	case late:
		l.counts[Late]++
		return
	case overtaken:
		l.counts[Reordered]++
	case inTurn:
	}
	l.counts[Received]++
	w.progress = now
	l.hists.record(RoundTrip, now-e.due)
	l.hists.record(Service, now-e.sent)
	l.topUp(i, now)
}

func (l *loop) acked(i int, e *event, now int64) {
	w := l.conns[i].work
	if w == nil {
		l.counts[Corrupted]++
		return
	}
	newly, v := w.tele.ack(e.seq, func(due int64) { l.hists.record(RoundTrip, now-due) })
	l.account(newly, v)
	w.progress = now
	l.topUp(i, now)
}

func (l *loop) account(newly int64, v verdict) {
	l.counts[Acked] += newly
	switch v {
	case unknown:
		l.counts[Corrupted]++
	case repeated:
		l.counts[Duplicated]++
	case late:
		l.counts[Late]++
	case inTurn, overtaken:
	}
}

func (l *loop) welcomed(i int, e *event, now int64) {
	c := &l.conns[i]
	if c.ready {
		return
	}
	c.window = uint16(min(e.window, maxBacklog))
	if c.work == nil {
		c.work = &work{}
	}
	a := &c.work.tele
	newly, forgotten, v := a.welcome(e.seq, func(due int64) { l.hists.record(RoundTrip, now-due) })
	l.account(newly, v)
	l.counts[RolledBack] += forgotten
	l.registered(i, now)
}

func (l *loop) commanded(c *conn, e *event, now int64) {
	if e.stamp > 0 {
		l.hists.record(Downlink, now-e.stamp)
		l.tallies.lastDownlink = now
	}
	l.counts[Commands]++
	if e.number > 0 {
		switch {
		case e.number <= c.heard:
			l.counts[BroadcastsDoubled]++
		case c.heard > 0 && e.number > c.heard+1:
			l.counts[BroadcastsMissed] += int64(e.number - c.heard - 1)
			fallthrough
		default:
			l.counts[Broadcasts]++
			c.heard = e.number
		}
	}
	if len(e.id) > 0 && e.number == 0 { // broadcasts want no reply
		if l.body = l.dialect.reply(l.body[:0], e.id); l.body != nil {
			l.framer.frame(l.dialect.op(), l.body)
		}
	}
}
