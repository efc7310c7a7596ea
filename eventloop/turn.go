package eventloop

import "time"

// Turns. While a socket waits, a loop does no more at a time than one slice of what
// others posted, of the timers that are due and of the sockets that are to be
// pushed. A broadcast to all, or a tick in which thousands are due, so takes many
// slices, and a socket that becomes ready meanwhile waits for one of them. The other
// way round, a connection to be woken does not wait for all sockets: while much comes in,
// a slice follows as soon as the sockets have had as long as a slice takes.
//
// gnet empties its queue of tasks before it looks at the sockets, so a loop that told itself to
// come again would not hear its devices until all was done. Another goroutine tells it, the
// bell-ringer, when the loop has gone on to its sockets. On a busy machine the bell-ringer comes
// late; then reads from the sockets make the loop go on. It may also come too early, as may any
// post while the loop delivers. The loop then notices that it has heard nobody since its last turn
// although a socket is ready, and puts the turn off.

const (
	// turnMost is how many of each kind one slice takes, turnLeast how many it
	// takes also when turnTime has passed by then.
	turnMost  = 64
	turnLeast = 8
	turnTime  = 300 * time.Microsecond
	// turnSlices is how many slices follow each other while no socket waits; what
	// else gnet has to do on this loop, new connections first, waits that long.
	turnSlices = 16
	// lookEach is how many reads pass between two looks at the clock: some tens of microseconds.
	lookEach = 8
	// ringAgain is when the bell-ringer comes back, and mostEarly how often he may
	// be sent away: a socket may be ready and bring nothing that we are told of.
	ringAgain = 50 * time.Microsecond
	mostEarly = 8
)

// turnOnLoop takes one turn.
func (l *loop) turnOnLoop() {
	if l.heard == 0 && l.early < mostEarly && l.someoneWaitsOnLoop() {
		l.early++
		l.rung = true
		l.s.wait.Go(func() {
			time.Sleep(ringAgain)
			l.ring()
		})
		return
	}
	l.rung, l.early, l.heard = false, 0, 0
	more := l.sliceOnLoop()
	for n := 1; more && n < turnSlices && !l.someoneWaitsOnLoop(); n++ {
		more = l.sliceOnLoop()
	}
	if (more || !l.mailbox.done()) && !l.rung {
		l.rung = true
		l.s.wait.Go(l.ring)
	}
}

// heardOnLoop follows some reads while the bell-ringer is awaited. When the sockets have
// had their time, one slice is taken here.
func (l *loop) heardOnLoop() {
	if time.Since(l.sliced) >= turnTime {
		l.sliceOnLoop()
	}
}

// sliceOnLoop takes one slice; there may be more.
func (l *loop) sliceOnLoop() (more bool) {
	began := time.Now()
	more = l.eachOnLoop(began, l.wakeNextOnLoop)
	more = l.eachOnLoop(began, l.deliverNextOnLoop) || more
	more = l.eachOnLoop(began, l.fireNextOnLoop) || more
	more = l.eachOnLoop(began, l.pushNextOnLoop) || more
	l.flushOnLoop()
	l.sliced = time.Now()
	return more
}

// eachOnLoop calls next until it says that nothing is left, or until the slice is
// used up; then there may be more.
func (l *loop) eachOnLoop(began time.Time, next func() bool) (more bool) {
	for n := 1; n <= turnMost; n++ {
		if !next() {
			return false
		}
		if n%turnLeast == 0 && time.Since(began) > turnTime {
			break
		}
	}
	return true
}

func (l *loop) wakeNextOnLoop() bool {
	if l.wakes.empty() {
		l.wakes.fill(l.mailbox.takeWakes(l.wakes.spare()))
	}
	c, ok := l.wakes.next()
	if ok {
		l.wakeOnLoop(c)
	}
	return ok
}

func (l *loop) deliverNextOnLoop() bool {
	if l.mails.empty() {
		l.mails.fill(l.mailbox.takeMails(l.mails.spare()))
	}
	m, ok := l.mails.next()
	if ok {
		l.deliverOnLoop(m)
	}
	return ok
}

func (l *loop) fireNextOnLoop() bool {
	return l.wheel.Fire(1, l.fire)
}

// pushNextOnLoop looks after one of those whose output is pushed (pause_linux.go).
func (l *loop) pushNextOnLoop() bool {
	n := len(l.push)
	if n == 0 {
		return false
	}
	c := l.push[n-1]
	l.push[n-1] = nil
	l.push = l.push[:n-1]
	l.pushOnLoop(c)
	return true
}

// A queue is emptied from its front and then filled anew.
type queue[T any] struct {
	items []T
	at    int // the next
}

// keepQueued is how many items a queue may have room for without giving the
// memory back when it is empty.
const keepQueued = 1024

func (q *queue[T]) empty() bool { return q.at == len(q.items) }

// spare is the memory of an empty queue, for what is to be filled in later.
func (q *queue[T]) spare() []T {
	items := q.items
	q.items, q.at = nil, 0
	if cap(items) > keepQueued {
		return nil
	}
	return items[:0]
}

func (q *queue[T]) fill(items []T) { q.items, q.at = items, 0 }

func (q *queue[T]) next() (item T, ok bool) {
	if q.empty() {
		return item, false
	}
	var zero T
	item, q.items[q.at] = q.items[q.at], zero
	q.at++
	return item, true
}

// rest is what was not taken.
func (q *queue[T]) rest() []T { return q.items[q.at:] }
