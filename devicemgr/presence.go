package devicemgr

import "time"

// Cause says why a device came or went.
type Cause uint8

// The causes.
const (
	CauseConnected Cause = iota // it was offline
	CauseTookOver               // it was online with an older connection
	CauseLeft                   // its connection ended
	CauseDiscarded              // its session was discarded, and its connection is being closed
	CauseElsewhere              // it is connected to another node, and its connection here is being closed
	CauseCorrected              // nothing changed here, but other nodes believe something else: see Heard

	numCauses
)

// String is the cause as it is written in events.
func (c Cause) String() string {
	names := [numCauses]string{"connected", "took over", "left", "discarded", "elsewhere", "corrected"}
	if c >= numCauses {
		return "unknown"
	}
	return names[c]
}

// Presence says that a device came or went. The events of each device have growing epochs,
// and offline follows online of the same epoch; corrections (CauseCorrected) are an
// exception. A takeover makes no event for the end of the older connection.
type Presence struct {
	Key    Key
	Epoch  uint64 // of the connection
	Online bool
	At     time.Time
	Cause  Cause
}

// keptEvents is how many events a queue keeps memory for.
const keptEvents = 1024

// eventQueue holds events that have not been delivered yet.
type eventQueue struct {
	// Guarded by mu of the Manager.

	waiting []Presence
	spare   []Presence // an empty slice for the next events
	telling bool       // a goroutine is in unlockAndTell
}

func (q *eventQueue) pushLocked(p Presence) { q.waiting = append(q.waiting, p) }

// unlockAndTell releases mu and delivers the events, without the lock and yet in order: the
// first goroutine delivers those of all that come meanwhile.
func (m *Manager[L]) unlockAndTell() {
	q := &m.events
	if m.cfg.OnPresence == nil {
		q.waiting = q.waiting[:0]
	}
	if q.telling || len(q.waiting) == 0 {
		m.mu.Unlock()
		return
	}
	q.telling = true
	for len(q.waiting) > 0 {
		batch := q.waiting
		q.waiting, q.spare = q.spare, nil
		m.mu.Unlock()
		for _, p := range batch {
			m.cfg.OnPresence(p)
		}
		m.mu.Lock()
		if clear(batch); cap(batch) <= keptEvents {
			q.spare = batch[:0]
		}
	}
	q.telling = false
	m.mu.Unlock()
}
