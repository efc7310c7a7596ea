package history

import (
	"fmt"
	"sync"
	"time"
)

// EventKind says what a device or the run wrote down.
type EventKind uint8

// The kinds of events.
const (
	Welcomed EventKind = iota // From: upto of the welcome, To: the epoch
	Sent                      // From..To: sequences written to the socket
	Acked                     // To: upto of an ack
	Ended                     // a connection ended; Note says how
	Injected                  // the run hurt the node; Note says how
	numEventKinds
)

// String is the word used in printed histories.
func (k EventKind) String() string {
	names := [numEventKinds]string{"welcome", "sent", "ack", "ended", "FAULT"}
	if k < numEventKinds {
		return names[k]
	}
	return "unknown"
}

// Event is one line of a record.
type Event struct {
	At       time.Duration // since the run began
	Kind     EventKind
	From, To uint64
	Note     string
}

// String is the event as a line of a printed history.
func (e Event) String() string {
	at := fmt.Sprintf("%10.4fs  %-8s", e.At.Seconds(), e.Kind)
	switch e.Kind {
	case Welcomed:
		return fmt.Sprintf("%s upto=%d epoch=%d", at, e.From, e.To)
	case Sent:
		return fmt.Sprintf("%s %d..%d", at, e.From, e.To)
	case Acked:
		return fmt.Sprintf("%s upto=%d", at, e.To)
	default:
		return at + " " + e.Note
	}
}

// Record is what one device knows. The log is compared with it.
type Record struct {
	Device string
	Sent   uint64 // highest sequence ever written; all of 1..Sent were
	Acked  uint64 // highest sequence ever acknowledged, by ack or welcome
	Epoch  uint64 // of the newest welcome
	Events []Event
}

// Journal gathers what happens to the node during a run, and every violation.
type Journal struct {
	// Immutable after construction.
	began time.Time

	// Guarded by mu.
	mu         sync.Mutex
	events     []Event
	violations []Violation
	dropped    int
}

// maxViolations bounds the violations that one life keeps; a broken log may have one for each
// message.
const maxViolations = 100

// NewJournal begins a journal now.
func NewJournal() *Journal { return &Journal{began: time.Now()} }

// Now is the time since the journal began.
func (j *Journal) Now() time.Duration { return time.Since(j.began) }

// Inject records that the run is about to hurt the node. Any goroutine.
func (j *Journal) Inject(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, Event{At: j.Now(), Kind: Injected, Note: fmt.Sprintf(format, args...)})
}

// Break records broken promises. Any goroutine.
func (j *Journal) Break(vs ...Violation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, v := range vs {
		if len(j.violations) == maxViolations {
			j.dropped++
			continue
		}
		j.violations = append(j.violations, v)
	}
}

// Events is a copy of the injections so far. Any goroutine.
func (j *Journal) Events() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Event(nil), j.events...)
}

// Violations is a copy of the kept violations, and the number of further ones. Any
// goroutine.
func (j *Journal) Violations() (kept []Violation, more int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Violation(nil), j.violations...), j.dropped
}

// Forget drops the events before mark, which have been checked.
func (j *Journal) Forget(mark time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = Since(j.events, mark)
}

// Since copies the events from mark on, so that the memory of the others can be freed.
func Since(events []Event, mark time.Duration) []Event {
	for i, e := range events {
		if e.At >= mark {
			return append([]Event(nil), events[i:]...)
		}
	}
	return nil
}
