package fleet

import (
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// write sends what the framer gathered for device i in one call; what the
// kernel does not take waits in the spill.
func (l *loop) write(i int, now int64) {
	c, out := &l.conns[i], l.framer.out
	l.framer.out = out[:0]
	if c.secure != nil {
		out = l.sealed(c.secure, out)
	}
	if len(out) == 0 {
		return
	}
	c.spoke = uint32(now / int64(time.Second))
	if c.spill != nil && len(c.spill.out) > 0 {
		c.spill.out = append(c.spill.out, out...)
		return
	}
	n, ok := l.push(i, out)
	if ok && n < len(out) {
		if c.spill == nil {
			c.spill = &spill{}
		}
		c.spill.out = append(c.spill.out, out[n:]...)
	}
}

// flush sends the spill after the kernel has room again.
func (l *loop) flush(i int) {
	s := l.conns[i].spill
	n, ok := l.push(i, s.out)
	if !ok {
		return
	}
	s.out = append(s.out[:0], s.out[n:]...)
	if s.empty() {
		l.conns[i].spill = nil
	}
}

// push writes until the kernel is full; false when the connection ended.
func (l *loop) push(i int, b []byte) (n int, ok bool) {
	for n < len(b) {
		m, err := unix.Write(int(l.conns[i].fd), b[n:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return n, true
		case err != nil:
			l.end(i, "write: "+errnoName(err), l.now())
			return n, false
		default:
			n += m
			l.counts[BytesOut] += int64(m)
		}
	}
	return n, true
}

// sendEcho gathers the next echo of device i.
func (l *loop) sendEcho(i, size int, due, now int64) {
	w := l.conns[i].work
	if w.echo.outstanding() == 0 {
		w.progress = now
	}
	w.echo.sent++
	l.counts[Sent]++
	l.body = appendEcho(l.body[:0], l.table, uint32(l.first+i), w.echo.sent, due, now, size)
	l.framer.frame(ws.OpBinary, l.body)
}

// sendTelemetry gathers what exists and the window allows.
func (l *loop) sendTelemetry(i, size int) {
	c := &l.conns[i]
	a := &c.work.tele
	limit := uint64(c.window)
	if limit == 0 {
		limit = maxInFlight
	}
	for a.sent < a.made && a.sent-a.acked < limit {
		a.sent++
		if a.sent > a.top {
			a.top = a.sent
			l.counts[Sent]++
		} else {
			l.counts[Resent]++
			a.again = a.sent
			a.spare++
		}
		l.telemetry(i, a.sent, a.due[a.sent&uint64(len(a.due)-1)], size)
	}
}

// telemetry gathers one message of device i.
func (l *loop) telemetry(i int, seq uint64, due int64, size int) {
	if l.mqtt != nil {
		l.mqtt.device = l.first + i
	}
	l.body = l.dialect.telemetry(l.body[:0], seq, due, size)
	l.framer.frame(l.dialect.op(), l.body)
}

func (l *loop) heartbeat(i int, now int64) {
	l.counts[Heartbeats]++
	if l.body = l.dialect.heartbeat(l.body[:0]); l.body != nil {
		l.framer.frame(l.dialect.op(), l.body)
	} else {
		l.framer.frame(ws.OpPing, nil)
	}
	l.write(i, now)
}

func errnoName(err error) string {
	if e, ok := err.(unix.Errno); ok { //nolint:errorlint // x/sys returns bare errnos
		return unix.ErrnoName(e)
	}
	return err.Error()
}
