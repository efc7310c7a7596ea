package gateway

import (
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
)

// A task is some of what one read of one connection brought, on its way to the lane.
type task struct {
	l    *link
	b    *bytebuf.Buf // messages, each behind its header; owned
	cost int32        // what it counts in the lane's turn
}

// A worker is the scratch of one call of handle.
type worker struct {
	records []backbone.Record
	msgs    []*envelope.Message // a record refers to the message it was made of
	before  []accepted          // what to go back to if the records are not appended
	settled []int               // by task, messages that need no log
	bytes   int                 // of the messages
	now     int64               // Unix milliseconds, when this call of handle began
}

// accepted is a session's sequence before a record of it was made.
type accepted struct {
	session *devicemgr.Session
	seq     uint64
}

// keepBytes is the most that a call may have handled for its messages to be kept for
// the next. They refer to what they were made of, and have scratch as large: that
// must not stay in memory for as long as the worker does.
const keepBytes = 2 * turnCost

// handle runs on the pool: the messages of one lane, in order. It blocks while
// the log is full, which is what holds the devices of this lane back. A panic
// before the log has the records takes back the sequences that were accepted:
// the pool then hands over the same tasks one by one.
func (g *Gateway) handle(tasks []task) {
	w, ok := g.workers.Get().(*worker)
	if !ok {
		w = new(worker)
	}
	w.now = time.Now().UnixMilli()
	done := false
	defer func() {
		if !done {
			w.rollBack()
		}
	}()
	for _, t := range tasks {
		n := 0
		w.bytes += len(t.b.B)
		for rest := t.b.B; len(rest) > 0; {
			var kind eventloop.Kind
			var payload []byte
			kind, payload, rest = cutMessage(rest)
			if !t.l.uplink(w, kind, payload) {
				n++
			}
		}
		w.settled = append(w.settled, n)
	}
	g.append(w)
	done = true
	for i, t := range tasks {
		t.l.settle(w.settled[i])
		g.memory.budget.Moving.Put(t.b)
	}
	w.reset()
	g.workers.Put(w)
}

// append hands the records to the log, which copies them before it returns.
func (g *Gateway) append(w *worker) {
	if len(w.records) == 0 {
		return
	}
	err := g.log.Append(w.records)
	if err == nil {
		g.counts.received.Add(uint64(len(w.records)))
		return
	}
	// The log is closed, because the node stops. Nothing of this was
	// acknowledged, so devices send again what they numbered; the connections end
	// here, or a later message could be acknowledged over the hole.
	g.logger.Warn("messages not taken by the log", zap.Int("count", len(w.records)), zap.Error(err))
	w.rollBack()
	for i := range w.records {
		if l, ok := w.records[i].Done.(*link); ok {
			l.breakOff(DropStopping)
		}
	}
}

// rollBack takes back the sequences that were accepted for w's records.
func (w *worker) rollBack() {
	for i := len(w.before) - 1; i >= 0; i-- {
		w.before[i].session.TakeBackOnLane(w.before[i].seq)
	}
}

// message is the scratch for the next message, apart from those of the records.
func (w *worker) message() *envelope.Message {
	if len(w.records) == len(w.msgs) {
		w.msgs = append(w.msgs, new(envelope.Message))
	}
	return w.msgs[len(w.records)]
}

func (w *worker) reset() {
	clear(w.records)
	clear(w.before)
	w.records, w.before, w.settled = w.records[:0], w.before[:0], w.settled[:0]
	if w.bytes > keepBytes {
		w.msgs = nil
	}
	w.bytes = 0
}

// breakOff ends a connection of which a message was lost on the lane: the device
// resumes on a new one.
func (l *link) breakOff(why Drop) {
	if l.lost == 0 {
		l.Close(uint16(eventloop.CloseInternal), "a message was not taken, connect again and resume")
	}
	l.lose(why)
}

// panicked hears of a panic in a worker, which the pool has contained; t is the
// task that was given up for it, or nil.
func (g *Gateway) panicked(t, v any, stack []byte) {
	g.counts.panics.Add(1)
	g.logger.Error("worker panicked", zap.Any("panic", v), zap.ByteString("stack", stack))
	switch t := t.(type) {
	case task:
		t.l.breakOff(DropPanic)
		g.memory.budget.Moving.Put(t.b)
	case *link:
		t.Close(uint16(eventloop.CloseInternal), "internal error")
	case *candidate:
		g.turnAway(t, &eventloop.Refusal{Reason: eventloop.ReasonInternal, Text: "internal error"})
	}
}
