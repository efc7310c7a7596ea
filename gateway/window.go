package gateway

import (
	"time"

	"edgeloop/eventloop"
)

// The way in, as far as the loop goes: what is taken from a device, and what makes
// it wait. Reading from it pauses
//
//   - at its window, in messages and in bytes, until some have settled;
//   - when its lane is full, until it has room;
//   - when the node's memory is (memory.go);
//   - over its rate, until that is paid for;
//   - when its tenant is over its own (tenant_rate.go).
//
// pumpOnLoop looks at all five, and sees to it that somebody wakes the link for the one
// that holds it.

// A read is posted in pieces. A lane takes its devices in turn, a piece from each,
// so what one device may send at once is not what the others have to wait for.
const (
	pieceMessages = 16
	pieceBytes    = 16 << 10
	// turnCost bounds what a worker takes from one lane before it goes to the next.
	turnCost = 16 << 10
)

// Receive implements eventloop.Receiver.
func (l *link) Receive(kind eventloop.Kind, payload []byte) {
	if l.dialect.hearOnLoop(l, kind, payload) {
		return
	}
	if n := prefixSize + len(payload); l.batch.room() < n && !l.makeRoomOnLoop(n) {
		return
	}
	b := l.batch
	b.add(kind, payload)
	if !l.withinWindowOnLoop() {
		l.stallOnLoop()
	}
	if !l.held() && (b.messages >= pieceMessages || len(b.bytes.B) >= pieceBytes) {
		l.handOnLoop()
	}
}

// answeredOnLoop pays for a message of n bytes that the dialect answered on the loop,
// as for any.
func (l *link) answeredOnLoop(n int) {
	now := l.g.clock()
	l.session.Touch(now)
	if l.chargeOnLoop(now, 1, prefixSize+n); l.overRateOnLoop(now) > 0 {
		l.g.drops[DropOverRate].Add(1)
		l.stallOnLoop()
	}
}

// makeRoomOnLoop takes memory for n bytes more. Beyond the second bound there is none,
// and the connection is closed for it.
func (l *link) makeRoomOnLoop(n int) bool {
	budget, b := l.g.memory.budget, l.batch
	if b != nil {
		n = max(len(b.bytes.B)+n, min(4*cap(b.bytes.B), pieceBytes)) // few copies
	}
	if budget.Over(n, l.conn.ReplayedOnLoop()) {
		l.g.drops[DropMemoryFull].Add(1)
		l.conn.ShedOnLoop()
		return false
	}
	if b == nil {
		l.batch = l.newBatchOnLoop(n)
	} else {
		b.bytes.Grow(&budget.Moving, n-len(b.bytes.B))
	}
	return true
}

// withinWindowOnLoop reports whether one more message may be on its way. Of a batch that is not
// through, all bytes count, and the messages that are not settled.
func (l *link) withinWindowOnLoop() bool {
	way := l.onWay.Load() + l.batch.way()
	return int64(way/oneMessage) <= l.g.limits.window.Load() && int64(way&byteMask) <= l.g.limits.windowBytes.Load() //nolint:gosec // far below 2^63
}

// stallOnLoop pauses reading until pumpOnLoop finds nothing in the way any more. The flag is
// set before the message that is one too many goes to the lane, so who settles that
// message sees the flag, and wakes the link.
func (l *link) stallOnLoop() {
	l.flags.Or(flagStalled)
	l.conn.PauseOnLoop()
}

func (l *link) unstallOnLoop() {
	l.flags.And(^(flagStalled | flagLetOn))
	l.conn.ResumeOnLoop()
}

// Flush implements eventloop.Receiver: the rest of what one read brought goes to
// the lane. What the node has no memory or the device no rate for is here already,
// so it goes as well, and the next read waits.
func (l *link) Flush() {
	switch {
	case l.batch != nil && !l.held():
		l.handOnLoop()
	case l.beats == 0: // a pong, or a part of a message
		l.session.Touch(l.g.clock())
	}
	l.beats = 0
	l.checkQuotaOnLoop()
	if l.flags.Load()&flagStalled != 0 {
		l.pumpOnLoop()
	}
}

// handOnLoop posts the batch to the lane, and pauses reading for what must not go on.
// Flush then has pumpOnLoop look again, once for all.
func (l *link) handOnLoop() {
	now := l.g.clock()
	l.session.Touch(now)
	l.chargeOnLoop(now, int(l.batch.messages), len(l.batch.bytes.B))
	if l.batch.at == 0 {
		l.batch.at = now.Sub(l.g.born)
	}
	switch {
	case !l.postOnLoop():
		l.flags.Or(flagHeld)
		l.g.drops[DropLaneFull].Add(1)
	case l.g.memory.budget.Full():
		l.g.drops[DropMemoryFull].Add(1)
	case l.overRateOnLoop(now) > 0:
		l.g.drops[DropOverRate].Add(1)
	default:
		return
	}
	l.stallOnLoop()
}

// postOnLoop hands the batch to the lane, if that has room.
func (l *link) postOnLoop() bool {
	way := l.batch.way()
	l.onWay.Add(way) // before the lane has it, and might be through with it
	if l.g.lanes.Post(uint64(l.laneKey), l.batch) == 0 {
		l.onWay.Add(-way)
		return false
	}
	l.batch = nil
	l.conn.GatherOnLoop()
	return true
}

// postLastOnLoop is postOnLoop for a connection that has ended.
func (l *link) postLastOnLoop() bool {
	if l.session == nil {
		return false
	}
	l.onWay.Add(l.batch.way())
	if !l.g.lanes.PostLast(uint64(l.laneKey), l.batch) {
		return false
	}
	l.batch = nil
	return true
}

// pumpOnLoop goes on reading when nothing is in the way. Else it sees to it that the link
// is woken: when its messages are settled, or by LaneReady, once, from its lane, from
// the memory that is given back, or from a timer. A link parked for one of those does
// not ask again, however often it is woken for other reasons.
func (l *link) pumpOnLoop() {
	l.heedQuotaOnLoop()
	for l.held() {
		if l.postOnLoop() {
			l.flags.And(^flagHeld)
			break
		}
		if !l.park() || l.g.lanes.Wait(uint64(l.laneKey), l) {
			return
		}
		l.flags.And(^flagParked)
	}
	if l.flags.Load()&flagStalled == 0 || !l.withinWindowOnLoop() {
		return
	}
	if l.g.memory.budget.Full() && l.flags.Load()&flagLetOn == 0 {
		if l.park() {
			l.g.memory.wait(l)
		}
		return
	}
	if wait := l.overRateOnLoop(l.g.clock()); wait > 0 {
		if l.park() {
			time.AfterFunc(min(wait, rateBurst), l.LaneReady) // not longer, or it would keep who has left
		}
		return
	}
	if !l.awaitQuotaOnLoop() && l.flags.Load()&flagParked == 0 {
		l.unstallOnLoop()
	}
}

// held says that the lane had no room for the batch.
func (l *link) held() bool { return l.flags.Load()&flagHeld != 0 }

// park says that LaneReady is going to be called, before it can be; false when it
// is so already.
func (l *link) park() bool { return l.flags.Or(flagParked)&flagParked == 0 }

// rateBurst is how much of its rate a device may use at once, as time.
const rateBurst = time.Second

// chargeOnLoop has n bytes of so many messages paid for at the rates of the device and of
// its tenant: paid moves on by the time they take.
func (l *link) chargeOnLoop(now time.Time, messages, n int) {
	l.tenant.charge(now, messages, n)
	var took time.Duration
	if rate := l.g.limits.rate.Load(); rate > 0 {
		took = time.Duration(int64(n) * int64(time.Second) / rate)
	}
	if rate := l.g.limits.rateMessages.Load(); rate > 0 {
		took = max(took, time.Duration(int64(messages)*int64(time.Second)/rate))
	}
	if took > 0 {
		l.paid = max(l.paid, now.Sub(l.g.born)) + took
	}
}

// overRateOnLoop is for how long a device that used up its burst has to wait until half
// of it is there again.
func (l *link) overRateOnLoop(now time.Time) time.Duration {
	if l.paid == 0 || l.g.limits.rate.Load()|l.g.limits.rateMessages.Load() == 0 {
		return 0
	}
	if ahead := l.paid - now.Sub(l.g.born); ahead > rateBurst {
		return ahead - rateBurst/2
	}
	return 0
}
