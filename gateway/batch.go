package gateway

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"edgeloop/backbone"
	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
)

// A batch is messages of one connection on their way: what one read brought, or a
// piece of it. It goes whole:
//
//	loop    Receive   fills it, handOnLoop posts it to the device's lane  (window.go)
//	lane    handle    makes a record of each message that is for the log (lane.go)
//	log     Durable   hears how many of the records are on the disk, or Overtaken
//
// Whoever is done with the last of it, the log or else the lane, ends it; only then does its memory
// stop counting. So what is on its way is the batches there are.
//
// It belongs to one of the three at a time, the goroutine that has it, and is handed
// over under a lock of the lane or the log. Its link may be gone long before.
type batch struct {
	link *link
	// bytes are the messages, each behind its prefix. A record refers to them only
	// until it was appended, the batch owns them until it ends.
	bytes    *bytebuf.Buf
	messages int32
	cost     int32 // in the turn of its lane
	// records were made of the messages, and are not settled. The lane sets it before
	// the log has the first.
	records int32

	// at is when the loop first handed it on, since the gateway was made; 0: it did not.
	at time.Duration

	// Of a dialect that answers each message, so that the batch goes back to the loop,
	// which ends it (await).
	next    *batch // the loop's: begun after this one
	awaited bool
	void    bool        // not all of it is in the log: nothing of it is acknowledged
	upto    uint64      // a sequence in it that an earlier batch has: it has to be durable first
	done    atomic.Bool // one of the two is through: the loop, or who had it last
}

// prefixSize is the size in bytes of what precedes each message in a batch: its kind and
// its length.
const prefixSize = 1 + 4

// messageCost is what a message costs on its lane beside its bytes, in bytes: to
// be decoded and encoded takes as long as copying that many.
const messageCost = 512

// Messages and bytes on their way are counted as one number, the messages from
// bit 40 on: one add for a batch when it is posted, one when it is through.
const (
	oneMessage = 1 << 40
	byteMask   = oneMessage - 1
)

// way is what b takes of its link's window; nil takes nothing.
func (b *batch) way() uint64 {
	if b == nil {
		return 0
	}
	return uint64(b.messages)*oneMessage + uint64(len(b.bytes.B)) //nolint:gosec // positive
}

// room is how many bytes more it takes before it has to grow; nil has none.
func (b *batch) room() int {
	if b == nil {
		return 0
	}
	return cap(b.bytes.B) - len(b.bytes.B)
}

// A message is one of a batch: its prefix, and what it holds. A piece of the batch.
type message []byte

// kind is what came with it.
func (m message) kind() eventloop.Kind { return eventloop.Kind(m[0]) }

// payload is what it holds.
func (m message) payload() []byte { return m[prefixSize:len(m):len(m)] }

// add copies a message to the end, for which there is room. payload is borrowed until
// return.
func (b *batch) add(kind eventloop.Kind, payload []byte) {
	buf := b.bytes
	buf.B = append(buf.B, byte(kind))
	buf.B = binary.BigEndian.AppendUint32(buf.B, uint32(len(payload))) //nolint:gosec // bounded by --max-message
	buf.B = append(buf.B, payload...)
	b.messages++
	b.cost += int32(len(payload)) + prefixSize + messageCost //nolint:gosec // as above
}

// cutMessage takes the first message off the bytes of a batch.
func cutMessage(b []byte) (m message, rest []byte) {
	n := prefixSize + int(binary.BigEndian.Uint32(b[1:]))
	return b[:n:n], b[n:]
}

// newBatchOnLoop has room for n bytes.
func (l *link) newBatchOnLoop(n int) *batch {
	b, ok := l.g.batches.Get().(*batch)
	if !ok {
		b = new(batch)
	}
	b.link, b.bytes = l, l.g.memory.budget.Moving.Get(n)
	l.dialect.begunOnLoop(b)
	return b
}

// await has b come back to the loop, and must be called before anybody else has it. Two are through with b then, in any order, and the second ends it.
func (b *batch) await() { b.awaited = true }

// through is called by the last holder of b, or by one that gives it up: it ends b or leaves it to
// the loop, and returns what that takes off the window of its link. b must not be touched
// afterwards.
func (b *batch) through() (bytes uint64) {
	l := b.link
	if !b.awaited || b.done.Swap(true) {
		return b.end()
	}
	l.conn.Wake()
	return 0
}

// end gives b back, once nothing of it is on its way any more, and returns what that takes off the
// window of its link. b must not be touched afterwards.
func (b *batch) end() (bytes uint64) {
	g := b.link.g
	bytes = uint64(len(b.bytes.B))
	g.memory.budget.Moving.Put(b.bytes)
	*b = batch{}
	g.batches.Put(b)
	return bytes
}

// Durable implements backbone.Completion: n messages of the device are on the disk.
// The connection that lives now is told, which may be a newer one.
func (b *batch) Durable(seq uint64, n int) {
	l := b.link
	if seq != 0 {
		l.session.SetDurable(seq)
	}
	if b.at != 0 && int(b.records) == n {
		l.g.latencies.ack.Observe(time.Since(l.g.born) - b.at)
	}
	b.settle(n)
	if l.session.Epoch() != l.epoch {
		if now := linkOf(l.session); now != nil {
			now.conn.Wake()
		}
	}
	if seq != 0 || l.flags.Load()&flagStalled != 0 {
		l.conn.Wake()
	}
}

// Overtaken implements backbone.Completion: n messages of the device are not in
// the log, because another node has written of the device. What the session took
// in is then not what the log has, and no later message may be stored over the
// hole. So the session goes, and whichever connection it has now; the device
// connects again, is told what the log has, and resumes.
func (b *batch) Overtaken(_ uint64, n int) {
	l := b.link
	l.g.drops[DropOvertaken].Add(uint64(n)) //nolint:gosec // positive
	b.void = true
	b.settle(n)
	l.g.sessions.forget(l.session.Key())
	if now := l.g.devices.Discard(l.session); now != nil {
		now.Close(uint16(eventloop.CloseInternal), reasonOvertaken)
	}
	if l.flags.Load()&flagStalled != 0 {
		l.conn.Wake()
	}
}

// Wanted implements backbone.Completion.
func (b *batch) Wanted() bool { return !b.link.session.Discarded() }

// settle notes that the log is through with n of the records. After the last b must
// not be touched.
func (b *batch) settle(n int) {
	l, way := b.link, uint64(n)*oneMessage     //nolint:gosec // positive
	if b.records -= int32(n); b.records == 0 { //nolint:gosec // at most as many
		way += b.through()
	}
	l.onWay.Add(-way)
}

var _ backbone.Completion = (*batch)(nil)
