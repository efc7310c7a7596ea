package gateway_test

import (
	"context"
	"slices"
	"sync"

	"edgeloop/backbone"
)

// appendMode says what a steppedLog does with what is appended.
type appendMode int

const (
	logTakes   appendMode = iota
	logRefuses            // as a log that is closed
	logBlocks             // as a log that is full
)

// steppedLog is a log that takes, refuses or holds up records, and makes them
// durable, as a test says. A call that is held up does what the new mode says once
// the mode changes.
type steppedLog struct {
	mu sync.Mutex
	// Guarded by mu.
	change  sync.Cond
	mode    appendMode
	held    int // records of the call that is held up
	pending []stepped
	stored  []stepped
	after   uint64 // of the last record appended
	ahead   bool   // another node stored something while records were pending

	wanted []uint64 // sequences that were wanted still when one before them had been dropped; of who commits
}

// stepped is a record, and who hears of its becoming durable.
type stepped struct {
	epoch, seq, high uint64
	data             string
	done             backbone.Completion
}

func newSteppedLog() *steppedLog {
	l := new(steppedLog)
	l.change.L = &l.mu
	return l
}

func (l *steppedLog) Append(records []backbone.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.mode == logBlocks {
		l.held = len(records)
		l.change.Wait()
	}
	l.held = 0
	if l.mode == logRefuses {
		return backbone.ErrClosed
	}
	for i := range records {
		r := &records[i]
		l.after = r.After
		l.pending = append(l.pending, stepped{r.Epoch, r.Seq, r.High, string(r.Data), r.Done})
	}
	return nil
}

// Last knows one device only; the stored records are all its own.
func (l *steppedLog) Last(context.Context, string, string) (last backbone.Last, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.stored); n > 0 {
		last = backbone.Last{Seq: l.stored[n-1].high, Epoch: l.stored[n-1].epoch, Position: uint64(n)}
	}
	return last, nil
}

func (l *steppedLog) Flush(context.Context) error { return nil }

// turn changes the mode; those held up look again.
func (l *steppedLog) turn(mode appendMode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = mode
	l.change.Broadcast()
}

// commit makes the first n pending records durable; -1 is all. If another node was
// ahead of them, they all are dropped.
func (l *steppedLog) commit(n int) {
	l.mu.Lock()
	if l.ahead {
		lost := l.pending
		l.pending, l.ahead = nil, false
		l.mu.Unlock()
		for i, r := range lost {
			if i > 0 && r.done.Wanted() {
				l.wanted = append(l.wanted, r.seq)
			}
			r.done.Overtaken(r.seq, 1)
		}
		return
	}
	if n < 0 {
		n = len(l.pending)
	}
	done := slices.Clone(l.pending[:n])
	l.pending = l.pending[n:]
	l.stored = append(l.stored, done...)
	l.mu.Unlock()
	for _, r := range done {
		r.done.Durable(r.seq, 1)
	}
}

// foreign stores a record of another node.
func (l *steppedLog) foreign(r stepped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = append(l.stored, r)
	l.ahead = len(l.pending) > 0
}

// waiting are the records that are not durable.
func (l *steppedLog) waiting() []stepped {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pending)
}

// lastAfter is the position behind which the last record appended belongs.
func (l *steppedLog) lastAfter() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.after
}

// state copies what was taken, first what is durable, and how many records the
// call has that is held up.
func (l *steppedLog) state() (taken []stepped, durable, held int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.stored, l.pending), len(l.stored), l.held
}

// clear begins a new device.
func (l *steppedLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending, l.stored, l.ahead = nil, nil, false
}
