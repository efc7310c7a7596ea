package fleet

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/gobwas/ws"
)

// load is traffic over a range of devices. Owned by its loop.
type load struct {
	kind     string
	from, to int // local indexes
	inFlight int
	size     int
	how      string // churn: how a connection ends
	interval int64  // nanoseconds between two messages of this loop; 0 = closed loop
	next     int64
	cursor   int
	over     bool // nothing new is made; what a cut connection left unanswered is sent again
}

// The kinds of load.
const (
	// EchoLoad sends echo messages: each must come back.
	EchoLoad = "echo"
	// TelemetryLoad sends sequenced telemetry: each must be acknowledged.
	TelemetryLoad = "telemetry"
	// PushLoad sends without expecting anything back.
	PushLoad = "push"
	// PingLoad sends WebSocket pings: when one is answered is RoundTrip, and nothing of
	// it is counted but that it was Pushed.
	PingLoad = "ping"
	// ChurnLoad ends a connection and dials again.
	ChurnLoad = "churn"
)

// pingSize is what a PingLoad sends: when it was due, in Unix nanoseconds.
const pingSize = 8

// start begins a load and fills the windows of a closed loop.
func (l *loop) start(w *load, now int64) {
	w.cursor, w.next = w.from, now
	l.loads = append(l.loads, w)
	if w.kind == ChurnLoad {
		return
	}
	for i := w.from; i < w.to; i++ {
		c := &l.conns[i]
		if c.work == nil {
			c.work = &work{}
		}
		c.work.load = w
		l.topUp(i, now)
		l.write(i, now)
	}
}

// quiet stops making messages; what is under way may still be answered, and
// telemetry resumed.
func (l *loop) quiet() {
	for _, w := range l.loads {
		w.over = true
	}
	l.loads = nil
}

// settle counts everything unanswered as lost.
func (l *loop) settle() {
	for i := range l.conns {
		if w := l.conns[i].work; w != nil {
			l.counts[Lost] += w.echo.giveUp() + w.tele.giveUp()
		}
	}
}

// topUp gathers what device i may send now: all the window in a closed loop,
// the backlog in a paced one. The caller writes.
func (l *loop) topUp(i int, now int64) {
	c := &l.conns[i]
	if c.work == nil || !c.ready || c.state != open {
		return
	}
	w := c.work.load
	if w == nil {
		return
	}
	switch w.kind {
	case EchoLoad:
		if w.interval == 0 && !w.over {
			for range c.work.echo.room(w.inFlight) {
				l.sendEcho(i, w.size, now, now)
			}
		}
	case TelemetryLoad:
		a := &c.work.tele
		if w.interval == 0 && !w.over {
			for int(a.made-a.acked) < w.inFlight && a.add(now) {
			}
		}
		l.sendTelemetry(i, w.size)
	}
}

// pace sends what the schedules ask for by now.
func (l *loop) pace(now int64) {
	for _, w := range l.loads {
		if w.interval == 0 {
			continue
		}
		for range paceBatch {
			if w.next > now {
				break
			}
			i, due := w.cursor, w.next
			w.next += w.interval
			if w.cursor++; w.cursor >= w.to {
				w.cursor = w.from
			}
			l.paced(i, w, due, now)
		}
	}
}

// paced sends one message of a schedule.
func (l *loop) paced(i int, w *load, due, now int64) {
	c := &l.conns[i]
	if w.kind == ChurnLoad {
		if c.state == open {
			l.drop(i, w.how, now)
		} else {
			l.counts[Skipped]++
		}
		return
	}
	if !c.ready || c.state != open {
		l.counts[Skipped]++
		return
	}
	switch w.kind {
	case EchoLoad:
		if c.work.echo.room(maxInFlight) == 0 {
			l.counts[Overrun]++
			return
		}
		l.sendEcho(i, w.size, due, now)
	case TelemetryLoad:
		if !c.work.tele.add(due) {
			l.counts[Overrun]++
			return
		}
		l.sendTelemetry(i, w.size)
	case PushLoad:
		if c.spill != nil && len(c.spill.out) > 0 {
			l.counts[Overrun]++
			return
		}
		l.counts[Pushed]++
		l.telemetry(i, 0, due, w.size)
	case PingLoad:
		l.counts[Pushed]++
		l.body = binary.BigEndian.AppendUint64(l.body[:0], uint64(due)) //nolint:gosec // Unix nanoseconds
		l.framer.frame(ws.OpPing, l.body)
	}
	l.write(i, now)
}

// How a connection is ended.
const (
	// CloseFrame is the polite way: a close frame, then the node ends TCP.
	CloseFrame = "close"
	// FIN ends TCP without a close frame.
	FIN = "fin"
	// RST resets the connection: nothing lingers on either side.
	RST = "rst"
)

// drop ends the connection of device i by order.
func (l *loop) drop(i int, how string, now int64) {
	c := &l.conns[i]
	switch c.state {
	case idle:
		return
	case connecting, upgrading:
		l.fail(i, "")
		return
	case open, closing:
	}
	c.ordered = true
	if how == CloseFrame && c.state == open {
		bye := []byte{0x03, 0xE8} // 1000
		if l.mqtt != nil {
			bye = []byte{mqttDisconnect, 0}
		}
		l.framer.frame(ws.OpClose, bye)
		c.state, c.since = closing, now
		l.write(i, now)
		return
	}
	if how == RST {
		reset(int(c.fd))
	}
	l.end(i, "ordered", now)
}

// intervalOf is the time between two messages of a loop whose share of the
// devices is part of all; 0 for no rate.
func intervalOf(rate float64, part, all int) int64 {
	if rate <= 0 || part == 0 {
		return 0
	}
	perSecond := rate * float64(part) / float64(all)
	return max(1, int64(math.Round(float64(time.Second)/perSecond)))
}
