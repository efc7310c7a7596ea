package wheel

import (
	"math/bits"

	"edgeloop/internal/invariants"
)

// Wheel is a set of timers that count from their last Touch. Not safe for
// concurrent use.
//
// Advance makes a timer due at the tick that Add, Reset or its last firing asked for, and Fire fires it.
// A Touch does not move a timer: when it fires, its owner checks Idle, and asks for another firing if
// the timer was touched.
type Wheel struct {
	// Owned by the goroutine that uses the wheel.

	// nodes[0:slots] are the heads of the slots' rings and nodes[slots] heads
	// the ring being visited; timers follow. So no id is ever 0.
	nodes  []node
	mask   uint32 // slots - 1; slots are a power of two
	now    uint32
	free   uint32 // first removed node, chained by next; 0 = none
	firing uint32 // the id whose fire is running; 0 = none, or it was removed
	live   int
}

// node is 16 bytes: four of them share a cache line.
type node struct {
	next, prev uint32 // neighbours in a ring; a parked node is its own ring
	last       uint32 // tick of the last Touch
	mark       uint32 // tick of the last Mark; holds when it is after last
}

// unused is the prev of a node that was removed.
const unused = ^uint32(0)

const minSlots = 4

// New makes a wheel at tick now. slots is rounded up to a power of two. Choose
// more slots than the longest usual wait has ticks (16 bytes each): longer
// waits work, but are visited once a turn of the wheel.
func New(slots int, now uint32) *Wheel {
	slots = 1 << bits.Len(uint(max(slots, minSlots)-1))
	w := &Wheel{nodes: make([]node, slots+1), mask: uint32(slots - 1), now: now}
	for i := range w.nodes {
		w.park(uint32(i))
	}
	return w
}

// Add starts a timer that fires in wait ticks, at most slots-1 (more is cut to
// that, here and wherever a wait is told); it counts as a Touch. A wait of 0 is
// taken as 1. The id is never 0.
func (w *Wheel) Add(wait uint32) (id uint32) {
	if id = w.free; id != 0 {
		w.free = w.nodes[id].next
	} else {
		id = uint32(len(w.nodes))
		w.nodes = append(w.nodes, node{})
	}
	w.live++
	w.nodes[id] = node{last: w.now, mark: w.now}
	w.park(id)
	w.place(id, wait)
	return id
}

// Now is the current tick.
func (w *Wheel) Now() uint32 { return w.now }

// Touch records a sign of life of id in the current tick.
func (w *Wheel) Touch(id uint32) { w.nodes[id].last = w.now }

// Mark records the current tick for id, unless it is already marked. A Touch removes the mark, even in
// the same tick.
func (w *Wheel) Mark(id uint32) {
	if n := &w.nodes[id]; !n.marked() {
		n.mark = w.now
	}
}

// Marked is how many ticks ago id was marked, if it was not touched since.
func (w *Wheel) Marked(id uint32) (ago uint32, ok bool) {
	n := &w.nodes[id]
	return w.now - n.mark, n.marked()
}

func (n *node) marked() bool { return int32(n.mark-n.last) > 0 } //nolint:gosec // ticks wrap around

// Reset has id fire in wait ticks from now; it counts as a Touch.
func (w *Wheel) Reset(id, wait uint32) {
	n := &w.nodes[id]
	n.last, n.mark = w.now, w.now
	w.Move(id, wait)
}

// Move has id fire in wait ticks from now. Unlike Reset it is no Touch.
func (w *Wheel) Move(id, wait uint32) {
	w.check(id)
	w.unlink(id)
	w.place(id, wait)
}

// Idle is the number of ticks since the last Touch of id.
func (w *Wheel) Idle(id uint32) uint32 { return w.now - w.nodes[id].last }

// Remove ends the timer id. The id may be given out again at once.
func (w *Wheel) Remove(id uint32) {
	w.check(id)
	w.unlink(id)
	w.nodes[id] = node{next: w.free, prev: unused}
	w.free = id
	w.live--
	if w.firing == id {
		w.firing = 0
	}
}

// Len is the number of timers, parked ones included.
func (w *Wheel) Len() int { return w.live }

// Advance moves the wheel to tick now: timers whose tick has come are due, and
// wait for Fire. Ticks that are not after the present one do nothing; a jump over
// many ticks makes each timer due once.
func (w *Wheel) Advance(now uint32) {
	steps := now - w.now
	if int32(steps) <= 0 {
		return
	}
	from := w.now
	w.now = now
	// A node is at most one turn ahead, so one turn meets every due node. A node placed from
	// here on belongs to a later Advance, even if its slot was just emptied.
	for i := uint32(1); i <= min(steps, w.mask+1); i++ {
		w.gather((from + i) & w.mask)
	}
}

// Fire calls fire for at most so many of the due timers, in no particular order, and reports whether
// more are due. fire returns the number of ticks until the timer fires again; 0 parks it: it does
// not fire until Reset.
//
// fire may call every method except Advance and Fire, for any id, including its own, and must not
// panic.
func (w *Wheel) Fire(most int, fire func(id uint32) (wait uint32)) (more bool) {
	head := w.mask + 1
	for ; most > 0; most-- {
		id := w.nodes[head].next
		if id == head {
			return false
		}
		w.visit(id, fire)
	}
	return w.nodes[head].next != head
}

// visit fires one node that is due.
func (w *Wheel) visit(id uint32, fire func(id uint32) uint32) {
	w.unlink(id)
	if n := &w.nodes[id]; !n.marked() {
		n.mark = n.last // an old mark must not seem to be in the future
	}
	w.firing = id
	wait := fire(id)
	if w.firing == id && wait > 0 {
		w.unlink(id)
		w.place(id, wait)
	}
	w.firing = 0
}

// place links an unlinked node so that it is due in ahead ticks, or at the end of
// this turn of the wheel when that is sooner.
func (w *Wheel) place(id, ahead uint32) {
	slot := (w.now + min(max(ahead, 1), w.mask)) & w.mask
	first := w.nodes[slot].next
	w.nodes[id].next, w.nodes[id].prev = first, slot
	w.nodes[slot].next, w.nodes[first].prev = id, id
}

// unlink takes id out of its ring and parks it.
func (w *Wheel) unlink(id uint32) {
	n := w.nodes[id]
	w.nodes[n.prev].next, w.nodes[n.next].prev = n.next, n.prev
	w.park(id)
}

// park makes id a ring of its own.
func (w *Wheel) park(id uint32) { w.nodes[id].next, w.nodes[id].prev = id, id }

// gather moves the nodes of a slot to the end of the ring of those that are due.
func (w *Wheel) gather(slot uint32) {
	first, last := w.nodes[slot].next, w.nodes[slot].prev
	if first == slot {
		return
	}
	head := w.mask + 1
	end := w.nodes[head].prev
	w.nodes[end].next, w.nodes[first].prev = first, end
	w.nodes[last].next, w.nodes[head].prev = head, last
	w.park(slot)
}

// check panics on an id that is not in use, in builds with invariants.
func (w *Wheel) check(id uint32) {
	if invariants.Enabled && (id <= w.mask+1 || w.nodes[id].prev == unused) {
		panic("wheel: timer used after Remove")
	}
}
