package uplog

import (
	"context"
	"slices"
	"sync"
	"unsafe"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// pipeline holds the records between Append and the committer. A call of Append
// is encoded outside the lock into a pooled segment, and the segment changes
// hands whole, so the lock is held for a few stores however long the records.
//
// A goroutine that finds it full waits in turn, and what it brought goes in as soon as
// there is room. Were the room there for the first to come, those that are running would
// take it before the others have woken up, and one could wait for seconds.
type pipeline struct {
	// Immutable after construction.
	maxRecords, maxBytes int
	known                *knownDevices // nil: nobody asks
	segments             sync.Pool     // of *segment
	latecomers           sync.Pool     // of *latecomer

	mu sync.Mutex
	// Guarded by mu.
	progress sync.Cond // something became durable, or closed
	work     sync.Cond // there is something to take, or closed
	queue    []*segment
	late     []*latecomer // who waits for room, first to last; empty while there is some
	records  int          // appended and not yet durable
	bytes    int
	appended uint64 // records ever appended
	durable  uint64 // records ever durable
	closed   bool
}

// segment is what one Append call brought, encoded.
type segment struct {
	arena   []byte
	entries []entry
	taken   int // entries already handed to a batch
}

// latecomer is a call of Append that waits for room.
type latecomer struct {
	// Guarded by mu of the pipeline.
	segment *segment  // nil: it is in the queue
	let     sync.Cond // it is, or closed
}

// entry is one record within a segment's arena: its subject, then its line.
type entry struct {
	start, line, end uint32
	seq, after       uint64
	high, epoch      uint64
	session          string
	done             Completion
	event, retain    bool
}

// batch is what the committer works on: records in the order of the log.
type batch struct {
	items []item
	bytes int
	whole []*segment // segments whose last record is in this batch
}

type item struct {
	subject string // lies in the segment's arena, valid until the batch is released
	line    []byte // likewise
	seq     uint64
	high    uint64
	epoch   uint64
	after   uint64
	session string // of Record
	done    Completion
	event   bool // Record.Event
	retain  bool // Record.Retain
	lost    bool // another node has overtaken it: it must not be stored
}

// keepArena is the largest arena a segment keeps when it goes back to the pool.
const keepArena = 256 << 10

func newPipeline(maxRecords, maxBytes int) *pipeline {
	p := &pipeline{maxRecords: maxRecords, maxBytes: maxBytes}
	p.progress.L, p.work.L = &p.mu, &p.mu
	p.segments.New = func() any { return new(segment) }
	p.latecomers.New = func() any { return &latecomer{let: sync.Cond{L: &p.mu}} }
	return p
}

// encode copies rs into a segment.
func (p *pipeline) encode(rs []Record, maxRecord int) (*segment, error) {
	s := p.segments.Get().(*segment)
	for i := range rs {
		r := &rs[i]
		if r.Tenant == "" || r.Device == "" {
			p.recycle(s)
			return nil, names.ErrEmpty
		}
		start := len(s.arena)
		if r.Event {
			s.arena = names.AppendEvents(s.arena, r.Tenant)
		} else {
			s.arena = names.AppendSubject(s.arena, names.Up, r.Tenant, r.Device)
		}
		line := len(s.arena)
		if p.known != nil && !r.Event {
			p.known.add(textOf(s.arena[start:line]))
		}
		s.arena = appendRecord(s.arena, r)
		if size := len(s.arena) - line; size > maxRecord {
			p.recycle(s)
			return nil, &servers.TooLargeError{Index: i, Size: size, Max: maxRecord}
		}
		s.entries = append(s.entries, entry{uint32(start), uint32(line), uint32(len(s.arena)), r.Seq, r.After, r.High, r.Epoch, r.Session, r.Done, r.Event, r.Retain})
	}
	return s, nil
}

// put queues a segment, waiting while the pipeline is full. It need not have room
// for all of it: a large segment would wait for ever behind many small ones.
func (p *pipeline) put(s *segment) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return servers.ErrClosed
	case p.roomLocked():
		p.queueLocked(s)
		return nil
	}
	c := p.latecomers.Get().(*latecomer)
	c.segment = s
	p.late = append(p.late, c)
	for c.segment != nil && !p.closed {
		c.let.Wait()
	}
	if c.segment != nil {
		return servers.ErrClosed
	}
	p.latecomers.Put(c)
	return nil
}

func (p *pipeline) roomLocked() bool { return p.records < p.maxRecords && p.bytes < p.maxBytes }

func (p *pipeline) queueLocked(s *segment) {
	p.queue = append(p.queue, s)
	p.records += len(s.entries)
	p.bytes += len(s.arena)
	p.appended += uint64(len(s.entries))
	p.work.Signal()
}

// letInLocked queues what the latecomers brought, as far as there is room.
func (p *pipeline) letInLocked() {
	n := 0
	for ; n < len(p.late) && p.roomLocked(); n++ {
		c := p.late[n]
		p.queueLocked(c.segment)
		c.segment = nil
		c.let.Signal()
	}
	p.late = slices.Delete(p.late, 0, n)
}

// take fills b with up to maxRecords records and about maxBytes bytes, waiting
// for the first. It is false when the pipeline was closed.
func (p *pipeline) take(b *batch, maxRecords, maxBytes int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.closed {
		p.work.Wait()
	}
	if p.closed {
		return false
	}
	used := 0
	for _, s := range p.queue {
		for s.taken < len(s.entries) && len(b.items) < maxRecords {
			e := &s.entries[s.taken]
			if size := int(e.end - e.start); len(b.items) > 0 && b.bytes+size > maxBytes {
				break
			}
			b.add(s, e)
			s.taken++
		}
		if s.taken < len(s.entries) {
			break
		}
		b.whole = append(b.whole, s)
		used++
	}
	n := copy(p.queue, p.queue[used:])
	clear(p.queue[n:])
	p.queue = p.queue[:n]
	return true
}

func (b *batch) add(s *segment, e *entry) {
	subject := s.arena[e.start:e.line]
	b.items = append(b.items, item{
		// The arena is not written again before the batch is released.
		subject: textOf(subject),
		line:    s.arena[e.line:e.end],
		seq:     e.seq,
		high:    e.high,
		epoch:   e.epoch,
		after:   e.after,
		session: e.session,
		done:    e.done,
		event:   e.event,
		retain:  e.retain,
	})
	b.bytes += int(e.end - e.start)
}

// textOf is b as a string, for as long as b is not written.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// release gives a durable batch's memory and room back and empties b.
func (p *pipeline) release(b *batch) {
	for _, s := range b.whole {
		p.recycle(s)
	}
	p.mu.Lock()
	p.records -= len(b.items)
	p.bytes -= b.bytes
	p.durable += uint64(len(b.items))
	p.letInLocked()
	p.progress.Broadcast()
	p.mu.Unlock()
	clear(b.items)
	clear(b.whole)
	*b = batch{items: b.items[:0], whole: b.whole[:0]}
}

func (p *pipeline) recycle(s *segment) {
	if cap(s.arena) > keepArena {
		return
	}
	clear(s.entries)
	*s = segment{arena: s.arena[:0], entries: s.entries[:0]}
	p.segments.Put(s)
}

// flush waits until everything appended before the call is durable.
func (p *pipeline) flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.progress.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for want := p.appended; p.durable < want; {
		if p.closed {
			return servers.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		p.progress.Wait()
	}
	return nil
}

// close ends all waiting. What was not durable stays unconfirmed.
func (p *pipeline) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.late {
		c.let.Signal()
	}
	p.progress.Broadcast()
	p.work.Broadcast()
}

func (p *pipeline) waiting() (records, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records, p.bytes
}
