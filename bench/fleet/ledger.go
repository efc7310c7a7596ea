package fleet

import "math/bits"

// maxInFlight is the most echoes one connection can have outstanding: the width
// of the ledger's bit set.
const maxInFlight = 64

// verdict says what a ledger makes of an answer.
type verdict uint8

const (
	inTurn verdict = iota
	overtaken
	repeated
	late // it came after it had been given up
	unknown
)

// echoes is the account of one connection's echo traffic: sequence numbers
// 1, 2, 3 … go out, each must come back once and in order.
type echoes struct {
	sent uint64 // highest number sent
	base uint64 // every number up to here is settled
	high uint64 // highest number that came back
	seen uint64 // bit i: base+1+i came back

	gaveFrom, gaveTo uint64 // (gaveFrom, gaveTo] was given up last
}

// room is how many more may be sent so that at most limit are outstanding.
func (e *echoes) room(limit int) int {
	return min(limit-int(e.outstanding()), maxInFlight-int(e.sent-e.base))
}

func (e *echoes) receive(seq uint64) verdict {
	if seq == 0 || seq > e.sent {
		return unknown
	}
	if seq > e.gaveFrom && seq <= e.gaveTo {
		return late
	}
	if seq <= e.base || e.seen&(1<<(seq-e.base-1)) != 0 {
		return repeated
	}
	v := inTurn
	if seq < e.high {
		v = overtaken
	}
	e.high = max(e.high, seq)
	e.seen |= 1 << (seq - e.base - 1)
	n := bits.TrailingZeros64(^e.seen)
	e.base += uint64(n)
	e.seen >>= n
	return v
}

func (e *echoes) outstanding() int64 {
	return int64(e.sent-e.base) - int64(bits.OnesCount64(e.seen))
}

// giveUp settles everything outstanding and returns how much that was.
func (e *echoes) giveUp() int64 {
	n := e.outstanding()
	if n > 0 {
		e.gaveFrom, e.gaveTo = e.base, e.sent
	}
	e.base, e.seen = e.sent, 0
	return n
}

// maxBacklog is the most messages a device queues while its window is full.
const maxBacklog = 4096

// acks is the account of one device's sequenced telemetry. It outlives the
// connection: the node's welcome says from where to resume.
type acks struct {
	acked uint64  // everything up to here is durable
	sent  uint64  // highest number written on this connection
	made  uint64  // highest number that exists; (sent, made] wait for the window
	top   uint64  // highest number ever written
	again uint64  // highest number written again on this connection; 0: none
	spare int     // acks that may still repeat the last one: one for each written again
	real  uint64  // highest number the node acknowledged; below acked after giving up
	known bool    // a welcome told where the node's log ends
	due   []int64 // ring: when each of (acked, made] was due
}

// add makes the next message; false when the backlog is full.
func (a *acks) add(due int64) bool {
	n := int(a.made - a.acked)
	if n == maxBacklog {
		return false
	}
	if n == len(a.due) {
		a.grow()
	}
	a.made++
	a.due[a.made&uint64(len(a.due)-1)] = due
	return true
}

func (a *acks) grow() {
	next := make([]int64, max(2, 2*len(a.due)))
	for seq := a.acked + 1; seq <= a.made; seq++ {
		next[seq&uint64(len(next)-1)] = a.due[seq&uint64(len(a.due)-1)]
	}
	a.due = next
}

// ack settles everything up to upto and calls each with the time it was due.
func (a *acks) ack(upto uint64, each func(due int64)) (newly int64, v verdict) {
	if upto > a.top {
		return 0, unknown
	}
	if upto == a.real && upto <= a.again && a.spare > 0 { // it had it when it was sent again, and says so again
		a.spare--
		return 0, inTurn
	}
	if upto <= a.real {
		return 0, repeated
	}
	a.real = upto
	if upto <= a.acked {
		return 0, late
	}
	a.sent = max(a.sent, upto) // after a resume: written on an earlier connection
	newly = int64(upto - a.acked)
	for a.acked < upto {
		a.acked++
		each(a.due[a.acked&uint64(len(a.due)-1)])
	}
	return newly, inTurn
}

// welcome takes the node's highest durable number. The first one sets where
// this device begins. Later ones settle what became durable behind a lost ack,
// rewind sent so that the rest is written again, and reveal what was forgotten.
func (a *acks) welcome(upto uint64, each func(due int64)) (newly, forgotten int64, v verdict) {
	if !a.known {
		a.known = true
		if a.made == 0 {
			a.acked, a.sent, a.made, a.top, a.real = upto, upto, upto, upto, upto
			return 0, 0, inTurn
		}
	}
	switch {
	case upto < a.real:
		forgotten = int64(a.real - upto)
	case upto > a.acked:
		newly, v = a.ack(upto, each)
	}
	a.sent, a.again, a.spare = a.acked, 0, 0
	return newly, forgotten, v
}

// giveUp settles everything written and unanswered and returns how much that was.
func (a *acks) giveUp() int64 {
	n := int64(a.top - a.acked)
	a.acked, a.sent = a.top, a.top
	return n
}
