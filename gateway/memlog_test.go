package gateway_test

import (
	"context"
	"maps"
	"slices"
	"sync"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// memLog is a log in memory whose Append can be made slow, failing or blocking.
type memLog struct {
	// Immutable after construction.
	before  func(records []backbone.Record) error // runs first, may block
	lastSeq func(device string)                   // likewise, when a device is looked up
	synced  <-chan struct{}                       // nothing is durable until it is closed; nil: all at once

	// Guarded by mu.
	mu      sync.Mutex
	records []stored
	stored  map[string]uint64 // highest sequence by device
	dies    bool              // it does not live for ever, but takes left records more
	left    int
	dead    bool // it takes no more, and tells nobody
}

type stored struct {
	device string
	epoch  uint64
	seq    uint64
	data   string
	kind   string // the type
	keeps  string // of the session
	event  bool
	retain bool
}

func (l *memLog) Append(records []backbone.Record) error {
	if l.before != nil {
		if err := l.before(records); err != nil {
			return err
		}
	}
	l.mu.Lock()
	behind := uint64(len(l.records))
	for i := range records {
		r := &records[i]
		if l.dies && l.left == 0 { // as after kill -9, the last one being stored and not told
			l.dead = true
			records = records[:max(0, i-1)]
			break
		}
		l.left--
		l.records = append(l.records, stored{r.Device, r.Epoch, r.Seq, string(r.Data), r.Type, r.Session, r.Event, r.Retain})
		if r.Seq > l.stored[r.Device] {
			if l.stored == nil {
				l.stored = make(map[string]uint64)
			}
			l.stored[r.Device] = r.Seq
		}
	}
	l.mu.Unlock()
	if l.synced != nil {
		go func(records []backbone.Record) {
			<-l.synced
			durable(records, behind)
		}(slices.Clone(records))
		return nil
	}
	durable(records, behind)
	return nil
}

// durable tells of records behind a position, as the log does.
func durable(records []backbone.Record, behind uint64) {
	for i := range records {
		if to, ok := records[i].Done.(backbone.Placer); ok && records[i].Retain {
			to.Placed(behind+uint64(i)+1, records[i].Data)
		}
	}
	for i := range records {
		records[i].Done.Durable(records[i].Seq, 1)
	}
}

func (l *memLog) Last(_ context.Context, _, device string) (backbone.Last, error) {
	if l.lastSeq != nil {
		l.lastSeq(device)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := backbone.Last{Seq: l.stored[device]}
	for i := range l.records {
		if l.records[i].device == device && !l.records[i].event {
			last.Position, last.Session = uint64(i)+1, l.records[i].keeps
		}
	}
	return last, nil
}

func (l *memLog) Flush(context.Context) error { return nil }

func (l *memLog) of(device string) (out []stored) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r.device == device && r.kind != gateway.SessionRecord {
			out = append(out, r)
		}
	}
	return out
}

// heir is a log with what l has stored, which dies after n records more, as when its node
// is killed.
func (l *memLog) heir(n int) *memLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &memLog{records: slices.Clone(l.records), stored: maps.Clone(l.stored), left: n, dies: true}
}

func (l *memLog) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}
