package sink

import (
	"sync"
	"time"
)

// State is what a sink does.
type State uint8

// Values of State.
const (
	// Starting: it opens its place in the log.
	Starting State = iota
	// Running: it sends, or waits for records.
	Running
	// Waiting: an attempt failed, and it waits for the next one.
	Waiting
	// Paused: somebody paused it.
	Paused
	// Stopped: a record was refused, and somebody has to decide.
	Stopped
	// Misplaced: its place is of another log, and somebody has to decide.
	Misplaced
	// Elsewhere: another node runs the sink of this name.
	Elsewhere
	// Ended: the node stops, or the sink is not configured any more.
	Ended
	// NumStates is how many there are.
	NumStates
)

func (s State) String() string {
	return [NumStates]string{"starting", "running", "waiting", "paused", "stopped", "misplaced", "elsewhere", "ended"}[s]
}

// Counts of one sink since the node began it.
type Counts struct {
	Records, Bytes   uint64 // confirmed
	Attempts, Failed uint64 // to send; failed ones are of the moment
	Refused          uint64 // records, to the dead letters
	Unkept           uint64 // of those, left out: their device had its share of the letters
	Missed           uint64 // records that retention took first
	Filtered         uint64 // records that the filter kept back
}

// Status is what is known of a sink.
type Status struct {
	Name, Type string
	State      State
	Breaker    Breaker
	Counts     Counts

	Log      string // of Place; "" until it is open
	Place    uint64 // up to where the destination has confirmed all
	LastErr  string // "" if there was none
	LastAt   time.Time
	RetryAt  time.Time // of the next attempt, while it waits
	Since    time.Time // it is in State
	Oldest   time.Time // when the node got the oldest record that is not confirmed; zero: it has read none
	Gathered int       // records read and not confirmed
	Next     string    // the position of the first of them; "" if there is none

	PerSecond float64 // records confirmed a second, lately
	sent      meter
}

// watchable is the part of a sink that others look at.
type watchable struct {
	mu sync.Mutex
	// Guarded by mu.
	is    Status
	head  *Record // the first record that is not confirmed; its bytes are shared, never written
	stuck bool    // the sink stops in front of it
}

// at notes the first record that is not confirmed, nil for none. It forgets no record that
// the sink has stopped in front of.
func (w *watchable) at(rec *Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case rec != nil:
		head := *rec
		w.head, w.is.Next = &head, head.ID()
	case !w.stuck:
		w.head, w.is.Next = nil, ""
	}
}

// refused notes the record that the sink stops in front of.
func (w *watchable) refused(rec *Record) {
	w.at(rec)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = true
}

// first is the first record that is not confirmed, nil if there is none.
func (w *watchable) first() *Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

func (w *watchable) change(fn func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.is.State
	fn(&w.is)
	if w.is.State != before {
		w.is.Since = time.Now()
	}
}

func (w *watchable) read() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	is := w.is
	is.PerSecond = is.sent.perSecond(time.Now())
	return is
}

// inherit takes over what was known of a sink that begins again.
func (w *watchable) inherit(from *watchable) {
	was := from.read()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.is.Log, w.is.Place, w.is.Oldest, w.is.LastErr, w.is.LastAt = was.Log, was.Place, was.Oldest, was.LastErr, was.LastAt
}
