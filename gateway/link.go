package gateway

import (
	"net"
	"sync/atomic"
	"time"

	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// A link is one connection of one device, whatever it speaks: what is said in which
// words is its dialect's (dialect.go). The way of a message:
//
//	loop    Receive   copies it behind the others of this read      (window.go; the one copy)
//	loop    Flush     posts the batch to the device's lane; no room: pauses reading
//	lane    dialect   decodes (edgeloop.go); recordOnLane checks the sequence (uplink.go)
//	log     Durable   after the sync: the session's durable sequence grows, Wake (batch.go)
//	log     Overtaken instead, where another node wrote: the session is discarded
//	loop    Woken     the dialect writes one ack for all that became durable; reading goes on
//
// and of a command:
//
//	any     command   encodes it and posts it to the loop (downlink.go)
//
// There is one for each connected device, so its fields lie where they leave no gap: 112
// bytes, and 128 with the padding at their end.
type link struct {
	// Immutable after construction.
	*voice                  // g and dialect
	conn    *eventloop.Conn // nil: of nobody (ofNobody, errand)
	session *Session
	remote  *net.TCPAddr // the peer's; nil: not known. Shared, never written
	epoch   uint64
	after   uint64 // where the log ended for this device when the connection began
	laneKey uint32 // chooses the lane: bits of the hash of the device

	// Owned by the device's lane.
	faults uint8
	lost   uint8 // 1 + the Drop for which a message was lost here: nothing more is accepted
	short  uint8 // how far above what was accepted the sequence is for which there was no room; 0: none

	// Owned by the loop goroutine.
	beats uint8         // messages of this read that were looked at for heartbeats
	batch *batch        // messages that are not posted yet, or nil
	acked uint64        // what the device was last told
	paid  time.Duration // until when what it sent is paid for, by its rates: since the gateway was made

	// Atomic.
	expires atomic.Uint32               // when its token ends, in Unix seconds; 0: never
	flags   atomic.Uint32               // and, above closeShift, the code with which it is being closed
	onWay   atomic.Uint64               // messages and bytes with the lane and the log, see oneMessage; the bytes of a batch until it ends
	rights  atomic.Pointer[auth.Rights] // what its token or certificate allows now; nil: all
	mark    atomic.Uint64               // which token it has shown: markOf; 0: none

	// Each connect drops two objects of 112 bytes, a socket address and an auth.Identity.
	// Links of that size would share pages with their holes, so a link is 128.
	_ [16]byte
}

// linkOf is the connection of a session, nil where there is none or it is one of nobody.
// Any goroutine.
func linkOf(s *Session) *link {
	if l := s.Link(); l != nil && l.conn != nil {
		return l
	}
	return nil
}

// ofNobody is a link without a connection, which counts as being closed.
func ofNobody() *link {
	l := new(link)
	l.markClosing(uint16(eventloop.CloseGoingAway))
	return l
}

// grant takes over what a token or certificate allows; nil: it showed none. The mark goes last: a
// check for a revocation that comes after it sees every revocation that did not see the mark.
func (l *link) grant(id *auth.Identity) {
	if id != nil {
		l.rights.Store(id.Rights)
		l.mark.Store(markOf(id))
	}
}

const (
	flagAdmitted uint32 = 1 << iota // frames that are posted reach the device
	flagStalled                     // reading is paused until messages settle
	flagReack                       // the device sent again what is durable: say so again
	flagStored                      // commands may wait in the store: look, once the device has read what was sent
	flagFetching                    // somebody is looking, or will in a moment
	flagLetOn                       // it waited for memory: it may go on for once, with what it holds
	flagParked                      // LaneReady will be called when it is worth while to look again
	flagHeld                        // the lane had no room for batch: reading is paused; the loop's own
	flagWelcomed                    // the first message went out; the loop's own
	flagToken                       // the token or the clock is another one: look when it ends
	flagMute                        // it has not asked for commands
	flagCounted                     // it is one of the connections of its tenant
	flagOver                        // the tenant's rate is used up: pause when the read is through
	flagBroke                       // it waits for the tenant's rate
	flagUnheard                     // what follows is the Will: nobody hears whether it was taken
	flagConfirms                    // it confirms commands, which are kept until then

	closeShift = 16
)

// No flag reaches into the close code: this does not compile where one would.
const _ uint32 = 1<<closeShift - flagConfirms<<1

var _ eventloop.Receiver = (*link)(nil)

// LaneReady implements pool.Waiter. The flag goes before the wake, so whoever
// is woken sees that it may ask again.
func (l *link) LaneReady() {
	l.flags.And(^flagParked)
	l.conn.Wake()
}

// unpark takes back the wish to be told, so that those who leave while the log
// stands still are not kept in memory by their places in the queue.
func (l *link) unpark() {
	if l.flags.Load()&flagBroke != 0 {
		l.tenant.forget(l)
	}
	if l.flags.Load()&flagParked != 0 {
		l.g.memory.forget(l)
		l.g.lanes.Forget(uint64(l.laneKey), l)
	}
}

// settle counts n messages that needed no log, and bytes where they were all of
// their batch.
func (l *link) settle(n int32, bytes uint64) {
	l.onWay.Add(-(uint64(n)*oneMessage + bytes)) //nolint:gosec // positive
	if l.flags.Load()&(flagStalled|flagReack) != 0 {
		l.conn.Wake()
	}
}

// Woken implements eventloop.Receiver: what the dialect has to tell, and reading on.
// The first call comes right behind the handshake's answer, so what others post
// from here on reaches the device. It is marked before the welcome goes out: who
// has seen a device welcomed can send it commands.
func (l *link) Woken() {
	if l.flags.Load()&flagAdmitted == 0 {
		l.admitted()
	}
	l.dialect.tellOnLoop(l)
	if l.flags.Load()&flagToken != 0 {
		l.flags.And(^flagToken)
		l.certifyOnLoop()
		l.conn.AskQuietOnLoop()
	}
	l.fetchOnLoop()
	l.pumpOnLoop()
}

// Quiet implements eventloop.Receiver.
func (l *link) Quiet(idle, asked time.Duration) time.Duration {
	verdict, next := l.dialect.silenceOnLoop(l).Verdict(idle, asked)
	switch verdict {
	case devicemgr.Ping:
		l.conn.PingOnLoop()
	case devicemgr.Evict:
		l.g.counts.evicted.Add(1)
		l.markClosing(uint16(eventloop.CloseSilent))
		l.conn.CloseOnLoop(eventloop.CloseSilent, "silent for "+idle.String())
		return 0
	case devicemgr.Wait:
	}
	return l.tokenOnLoop(next)
}

// Closed implements eventloop.Receiver. What was received and held back goes to the
// lane all the same, behind what went there before: it is counted in the node's
// memory already.
func (l *link) Closed(gone *eventloop.Gone) {
	l.dialect.goneOnLoop(l, gone)
	if l.batch != nil && !l.postLastOnLoop() {
		l.giveUpOnLoop()
	}
	l.unpark()
	l.g.leave(l, gone)
}

// giveUpOnLoop drops messages that cannot be handed on. They were not acknowledged,
// so the device keeps those it numbered; the others are lost, and counted.
func (l *link) giveUpOnLoop() {
	l.g.drops[DropClosed].Add(uint64(l.batch.messages)) //nolint:gosec // positive
	l.batch.void = true
	l.batch.through()
	l.batch = nil
}

// admitted marks the link as one that frames reach, once the handshake's answer was posted or
// written. The worker that posted it and the loop that wrote it both come here; the first of them
// closes a connection whose close had to wait for this.
func (l *link) admitted() {
	before := l.flags.Or(flagAdmitted)
	if code := uint16(before >> closeShift); code != 0 && before&flagAdmitted == 0 { //nolint:gosec // 16 bits are left
		l.conn.Close(eventloop.CloseCode(code), l.g.reasonOf(code))
	}
}

// Close ends the connection, once; any goroutine. A connection whose handshake is not answered
// yet is closed right after it was (admitted): only then the device hears why.
func (l *link) Close(code uint16, reason string) {
	if before, first := l.markClosing(code); first && before&flagAdmitted != 0 {
		l.conn.Close(eventloop.CloseCode(code), reason)
	}
}

// markClosing notes that the connection is being closed, so that nothing is
// given to it that it could only lose. The first code stays; before are the
// flags until then.
func (l *link) markClosing(code uint16) (before uint32, first bool) {
	for {
		before = l.flags.Load()
		if before>>closeShift != 0 {
			return before, false
		}
		if l.flags.CompareAndSwap(before, before|uint32(code)<<closeShift) {
			return before, true
		}
	}
}

// hears says whether commands that are posted now reach the device.
func (l *link) hears() bool { return l.live() && l.flags.Load()&flagMute == 0 }

// live says whether frames that are posted now reach the device.
func (l *link) live() bool {
	flags := l.flags.Load()
	return flags&flagAdmitted != 0 && flags>>closeShift == 0
}
