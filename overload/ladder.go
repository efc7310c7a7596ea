package overload

import (
	"sync/atomic"
	"time"
)

// A node goes up when it has been bad for upAfter looks in a row, to the least bad of them,
// and down by one state when it has been better for downAfter: what passes quickly refuses
// nobody, and who was refused does not come back into the same trouble.
const (
	// Every is how often a node is to be measured.
	Every     = time.Second
	upAfter   = 3
	downAfter = 5
)

// A Measurement has the value of each cause, in its unit; 0 where it is not known.
type Measurement [NumCauses]float64

// A Standing is how a node stands. Values are immutable.
type Standing struct {
	State State
	// Cause is what led there; it says nothing of a node that is well.
	Cause Cause
	// Measured is its value when it was looked at last, at least a state's bound at the
	// change.
	Measured float64
	// Since is when State was entered, zero before the first change.
	Since time.Time
	// Levels are the states that each cause by itself asks for.
	Levels [NumCauses]State
}

// A Ladder is the state of a node. The zero value is well, and so is nil, of which all but
// Look may be called.
type Ladder struct {
	// Owned by who calls Look.
	tracks [NumCauses]track

	// Atomic.
	standing atomic.Pointer[Standing] // nil: well since the start
	refused  [NumLoads]atomic.Uint64
	entered  [NumStates]atomic.Uint64
}

// A track follows one cause.
type track struct {
	level State
	worse int   // looks in a row
	least State // of them
	calm  int   // looks in a row
}

// look takes in what would be entered and what is still kept by a measurement.
func (t *track) look(enters, keeps State) {
	switch {
	case enters > t.level:
		if t.worse == 0 || enters < t.least {
			t.least = enters
		}
		if t.worse, t.calm = t.worse+1, 0; t.worse == upAfter {
			t.level, t.worse = t.least, 0
		}
	case keeps < t.level:
		if t.calm, t.worse = t.calm+1, 0; t.calm == downAfter {
			t.level, t.calm = t.level-1, 0
		}
	default:
		t.worse, t.calm = 0, 0
	}
}

// Look takes a measurement, one each Every, and says how the node stood before and how it
// stands now. One goroutine at a time.
func (l *Ladder) Look(now time.Time, m Measurement) (before, after Standing) {
	before = l.Now()
	after = Standing{State: Well, Since: before.Since}
	for c := range numCauses {
		t := &l.tracks[c]
		t.look(reached(c.enters, m[c]), reached(c.Leaves, m[c]))
		after.Levels[c] = t.level
		if t.level > after.State {
			after.State, after.Cause, after.Measured = t.level, c, m[c]
		}
	}
	if after.State != before.State {
		after.Since = now
		l.entered[after.State].Add(1)
	}
	l.standing.Store(&after)
	return before, after
}

// Now is how the node stands. Any goroutine.
func (l *Ladder) Now() Standing {
	if l == nil {
		return Standing{}
	}
	if s := l.standing.Load(); s != nil {
		return *s
	}
	return Standing{}
}

// Refuses says whether a load is to be refused now, and counts it if so. It takes no lock
// and does not allocate; any goroutine.
func (l *Ladder) Refuses(load Load) bool {
	if l == nil {
		return false
	}
	s := l.standing.Load()
	if s == nil || s.State < load.Rung() {
		return false
	}
	l.refused[load].Add(1)
	return true
}

// Stats is a snapshot of what a ladder has counted.
type Stats struct {
	Refused [NumLoads]uint64
	Entered [NumStates]uint64
}

// Stats reads the counters. Any goroutine.
func (l *Ladder) Stats() (st Stats) {
	if l == nil {
		return st
	}
	for i := range st.Refused {
		st.Refused[i] = l.refused[i].Load()
	}
	for i := range st.Entered {
		st.Entered[i] = l.entered[i].Load()
	}
	return st
}
