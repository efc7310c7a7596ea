package gateway

import (
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// A worker is the scratch of one call of handle.
type worker struct {
	records []backbone.Record
	msgs    []*envelope.Message // a record refers to the message it was made of
	before  []accepted          // what to go back to if the records are not appended
	rest    []rest              // what the log does not settle
	bytes   int                 // of the messages
	now     int64               // Unix milliseconds, when this call of handle began
}

// rest are the messages of a batch that needed no log. batch is nil where it has
// records: it is the log's once they are appended.
type rest struct {
	link     *link
	batch    *batch
	messages int32
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
// the pool then hands over the same batches one by one.
func (g *Gateway) handle(batches []*batch) {
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
	for _, b := range batches {
		w.decode(b)
	}
	if !g.append(w) {
		w.lost(batches)
	}
	done = true
	for _, r := range w.rest {
		bytes := uint64(0)
		if r.batch != nil {
			bytes = r.batch.end()
		}
		r.link.settle(r.messages, bytes)
	}
	w.reset()
	g.workers.Put(w)
}

// decode takes in the messages of b and makes records of those that are for the log.
func (w *worker) decode(b *batch) {
	w.bytes += len(b.bytes.B)
	made := len(w.records)
	for rest := b.bytes.B; len(rest) > 0; {
		var kind eventloop.Kind
		var payload []byte
		kind, payload, rest = cutMessage(rest)
		b.link.uplink(w, b, kind, payload)
	}
	b.records = int32(len(w.records) - made) //nolint:gosec // at most its messages
	switch {
	case b.records == 0:
		w.rest = append(w.rest, rest{b.link, b, b.messages})
	case b.records < b.messages:
		w.rest = append(w.rest, rest{b.link, nil, b.messages - b.records})
	}
}

// append hands the records to the log, which copies them before it returns. It says
// whether the log has them.
func (g *Gateway) append(w *worker) bool {
	if len(w.records) == 0 {
		return true
	}
	if err := g.log.Append(w.records); err != nil {
		g.logger.Warn("the log did not take messages", zap.Int("count", len(w.records)), zap.Error(err))
		return false
	}
	g.counts.received.Add(uint64(len(w.records)))
	return true
}

// lost is what becomes of records that the log did not take: it is closed, because
// the node stops. Nothing of this was acknowledged, so devices send again what they
// numbered; the connections end here, or a later message could be acknowledged over
// the hole.
func (w *worker) lost(batches []*batch) {
	w.rollBack()
	w.rest = w.rest[:0]
	for _, b := range batches {
		b.link.breakOff(DropStopping, b.records)
		w.rest = append(w.rest, rest{b.link, b, b.messages})
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
	clear(w.rest)
	w.records, w.before, w.rest = w.records[:0], w.before[:0], w.rest[:0]
	if w.bytes > keepBytes {
		w.msgs = nil
	}
	w.bytes = 0
}

// breakOff ends a connection of which n messages were lost on the lane: the device
// resumes on a new one.
func (l *link) breakOff(why Drop, n int32) {
	if n == 0 {
		return
	}
	if l.lost == 0 {
		l.Close(uint16(eventloop.CloseInternal), "a message was not taken, connect again and resume")
	}
	l.lose(why, n)
}

// panicked hears of a panic in a worker, which the pool has contained; t is the
// task that was given up for it, or nil.
func (g *Gateway) panicked(t, v any, stack []byte) {
	g.counts.panics.Add(1)
	g.logger.Error("worker panicked", zap.Any("panic", v), zap.ByteString("stack", stack))
	switch t := t.(type) {
	case *batch:
		l, n := t.link, t.messages
		l.breakOff(DropPanic, n)
		l.settle(n, t.end())
	case *link:
		t.Close(uint16(eventloop.CloseInternal), "internal error")
	case *candidate:
		g.turnAway(t, &eventloop.Refusal{Reason: eventloop.ReasonInternal, Text: "internal error"})
	}
}
