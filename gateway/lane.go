package gateway

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// A turn is one call of handle: what a worker makes of some batches of its lane, in scratch
// that is used again.
type turn struct {
	records []backbone.Record
	msgs    []*envelope.Message // a record refers to the message it was made of
	before  []accepted          // what to go back to if the records are not appended
	rest    []rest              // what the log does not settle
	// sessions are those that its records change
	sessions   []*clientSession
	retained   []*retaining // messages that are to be retained, with their room
	properties []byte       // of its records
	bytes      int          // of the messages
	now        int64        // Unix milliseconds, when this call of handle began
}

// rest are the messages of a batch that needed no log. batch is nil if the batch has records: it
// belongs to the log once they are appended.
type rest struct {
	link     *link
	batch    *batch
	messages int32
}

// accepted is a session's sequence before a record of it was made.
type accepted struct {
	session *Session
	seq     uint64
}

// keepBytes is the most that a call may have handled for its messages to be kept for
// the next. They refer to what they were made of, and have scratch as large: that
// must not stay in memory for as long as the turn is kept.
const keepBytes = 2 * turnCost

// handle runs on the pool: the messages of one lane, in order. It blocks while
// the log is full, which is what holds the devices of this lane back. A panic
// before the log has the records takes back the sequences that were accepted:
// the pool then hands over the same batches one by one.
func (g *Gateway) handle(batches []*batch) {
	t, ok := g.turns.Get().(*turn)
	if !ok {
		t = new(turn)
	}
	t.now = time.Now().UnixMilli()
	done := false
	defer func() {
		if !done {
			t.rollBackOnLane()
		}
	}()
	for _, b := range batches {
		t.decodeOnLane(b)
	}
	if !g.append(t) {
		t.lostOnLane(batches)
	}
	done = true
	t.endSessionsOnLane(true)
	for _, r := range t.rest {
		bytes := uint64(0)
		if r.batch != nil {
			bytes = r.batch.through()
		}
		r.link.settle(r.messages, bytes)
	}
	t.reset()
	g.turns.Put(t)
}

// decodeOnLane takes in the messages of b and makes records of those that are for the log.
func (t *turn) decodeOnLane(b *batch) {
	t.bytes += len(b.bytes.B)
	made := len(t.records)
	for rest := b.bytes.B; len(rest) > 0; {
		var m message
		m, rest = cutMessage(rest)
		b.link.dialect.takeOnLane(b.link, t, b, m)
	}
	b.link.dialect.doneOnLane(b.link, t, b)
	b.records = int32(len(t.records) - made) //nolint:gosec // at most its messages
	switch {
	case b.records == 0:
		t.rest = append(t.rest, rest{b.link, b, b.messages})
	case b.records < b.messages:
		t.rest = append(t.rest, rest{b.link, nil, b.messages - b.records})
	}
}

// append hands the records to the log, which copies them before it returns. It says
// whether the log has them.
func (g *Gateway) append(t *turn) bool {
	if len(t.records) == 0 {
		return true
	}
	if err := g.log.Append(t.records); err != nil {
		g.logger.Warn("the log did not take messages", zap.Int("count", len(t.records)), zap.Error(err))
		return false
	}
	g.counts.received.Add(uint64(len(t.records)))
	return true
}

// lostOnLane is what becomes of records that the log did not take: it is closed, because
// the node stops. Nothing of this was acknowledged, so devices send again what they
// numbered; the connections end here, or a later message could be acknowledged over
// the hole.
func (t *turn) lostOnLane(batches []*batch) {
	t.rollBackOnLane()
	t.rest = t.rest[:0]
	for _, b := range batches {
		b.void = true
		b.link.breakOffOnLane(DropStopping, b.records)
		t.rest = append(t.rest, rest{b.link, b, b.messages})
	}
}

// rollBackOnLane takes back the sequences that were accepted for t's records, and gives back the
// room of those that were to be retained.
func (t *turn) rollBackOnLane() {
	for i := len(t.before) - 1; i >= 0; i-- {
		t.before[i].session.TakeBackOnLane(t.before[i].seq)
	}
	for _, r := range t.retained {
		r.giveBack()
	}
	t.endSessionsOnLane(false)
}

// endSessionsOnLane tells the sessions that t has changed whether the log has its records.
func (t *turn) endSessionsOnLane(appended bool) {
	for _, s := range t.sessions {
		s.endTurn(appended)
	}
	clear(t.sessions)
	t.sessions = t.sessions[:0]
}

// message is the scratch for the next message, apart from those of the records.
func (t *turn) message() *envelope.Message {
	for len(t.msgs) <= len(t.records) { // some records are made of none
		t.msgs = append(t.msgs, new(envelope.Message))
	}
	return t.msgs[len(t.records)]
}

func (t *turn) reset() {
	clear(t.records)
	clear(t.before)
	clear(t.rest)
	clear(t.retained)
	t.records, t.before, t.rest, t.retained = t.records[:0], t.before[:0], t.rest[:0], t.retained[:0]
	t.properties = t.properties[:0]
	if t.bytes > keepBytes {
		t.msgs, t.properties = nil, nil
	}
	t.bytes = 0
}

// breakOffOnLane ends a connection of which n messages were lost on the lane: the device
// resumes on a new one.
func (l *link) breakOffOnLane(why Drop, n int32) {
	if n == 0 {
		return
	}
	if l.lost == 0 {
		l.Close(uint16(eventloop.CloseInternal), "a message was not taken, connect again and resume")
	}
	l.loseOnLane(why, n)
}

// abandoned is a dialect that wants to know when its batch is given up.
type abandoned interface {
	dialect
	abandonedOnLane(why error)
}

var errPanicked = errors.New("gateway: a worker panicked")

// panicked hears of a panic in a worker, which the pool has contained; t is the
// task that was given up for it, or nil.
func (g *Gateway) panicked(t, v any, stack []byte) {
	g.counts.panics.Add(1)
	g.logger.Error("worker panicked", zap.Any("panic", v), zap.ByteString("stack", stack))
	switch t := t.(type) {
	case *batch:
		l, n := t.link, t.messages
		l.breakOffOnLane(DropPanic, n)
		t.void = true
		if d, minds := l.dialect.(abandoned); minds {
			d.abandonedOnLane(errPanicked)
		}
		l.settle(n, t.through())
	case *link:
		t.Close(uint16(eventloop.CloseInternal), "internal error")
	case *candidate:
		g.turnAway(t, &eventloop.Refusal{Reason: eventloop.ReasonInternal, Text: "internal error"})
	}
}
