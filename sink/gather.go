package sink

import (
	"context"
	"sync"
	"time"

	"edgeloop/backbone/reader"
	"edgeloop/internal/invariants"
)

// gathering is the batch that fills while another is sent. The reader of a sink puts into
// it, and waits while it is full; the sender takes it.
type gathering struct {
	// Immutable after construction.
	log   string
	want  Filter
	trace tracing
	most  Batch
	// Tokens, each at most one: there is something, it is full, it was taken.
	some, full, room chan struct{}

	// Owned by the sender.
	began time.Time // to wait for the batch to fill; zero: it has not
	spare batch     // empty; the memory of one that was delivered

	mu sync.Mutex
	// Guarded by mu.
	batch batch
}

// A batch is what was read behind the place, as far as the filter lets it through.
type batch struct {
	records  []Record
	buf      []byte // their lines
	upto     uint64 // the position that was read last; 0: nothing was
	missed   uint64 // records that retention took before them
	bad      []badRecord
	filtered uint64 // records that the filter kept back
}

// badRecord is one that cannot be read; it stands in the batch's order before records[at].
type badRecord struct {
	at     int
	record Record
	reason string
}

func newGathering(log string, s *Spec) *gathering {
	return &gathering{
		log: log, want: s.Filter, trace: s.trace, most: s.Batch,
		some: make(chan struct{}, 1), full: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put takes one entry of the log, when there is room for it. e.Line is borrowed.
func (g *gathering) put(ctx context.Context, e reader.Entry) error {
	for !g.tryPut(e) {
		select {
		case <-g.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (g *gathering) tryPut(e reader.Entry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.batch
	if g.fullLocked() {
		return false
	}
	from := len(b.buf)
	b.buf = append(b.buf, e.Line...) // a larger buf leaves the lines before where they are
	before := &Record{}
	if n := len(b.records); n > 0 {
		before = &b.records[n-1]
	}
	r, err := parse(g.log, e.Position, b.buf[from:len(b.buf):len(b.buf)], before, &g.trace)
	switch {
	case err != nil:
		b.bad = append(b.bad, badRecord{len(b.records), r, err.Error()})
	case g.want.Wants(&r):
		b.records = append(b.records, r)
	default:
		b.buf, b.filtered = b.buf[:from], b.filtered+1
	}
	b.upto, b.missed = e.Position, b.missed+e.Missed
	token(g.some)
	if g.fullLocked() {
		token(g.full)
	}
	return true
}

func (g *gathering) fullLocked() bool {
	return len(g.batch.records)+len(g.batch.bad) >= g.most.Records || len(g.batch.buf) >= g.most.Bytes
}

// oldest is when the node got the first record that gathers, Unix milliseconds; 0: none.
func (g *gathering) oldest() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.batch.records) == 0 {
		return 0
	}
	return g.batch.records[0].Received
}

// giveBack takes a batch of which all is confirmed, or with the dead letters: nothing looks into its
// memory any more, which is used again. Made anew for each batch it was most of the garbage of a sink
// that catches up, and collecting it is time that devices wait for. A few records do not hold
// on to what many needed.
func (g *gathering) giveBack(b *batch) {
	if invariants.Enabled {
		for i := range b.buf {
			b.buf[i] = 0xCC
		}
	}
	clear(b.records)
	if cap(b.records) > 0 && len(b.records) >= cap(b.records)/8 {
		g.spare.records = b.records[:0]
	}
	if cap(b.buf) > 0 && len(b.buf) >= cap(b.buf)/8 {
		g.spare.buf = b.buf[:0]
	}
}

// idleKeep is how often the place moves over records that the filter keeps back.
const idleKeep = time.Second

// take waits for something, gives it time to become a full batch, and takes it. poked ends
// the waiting early, and is told. due interrupts it: then there is nothing, and the next call goes on.
func (g *gathering) take(ctx context.Context, poked <-chan struct{}, due <-chan time.Time) (b batch, wasPoked bool, err error) {
	select {
	case <-g.some:
	case <-poked:
		return batch{}, true, nil
	case <-due:
		return batch{}, false, nil
	case <-ctx.Done():
		return batch{}, false, ctx.Err()
	}
	wait := g.most.Wait
	if g.oldest() == 0 {
		wait = max(wait, idleKeep)
	}
	if g.began.IsZero() {
		g.began = time.Now()
	}
	timer := time.NewTimer(time.Until(g.began.Add(wait)))
	defer timer.Stop()
	select {
	case <-g.full:
	case <-timer.C:
	case <-poked:
		wasPoked = true
	case <-due:
		token(g.some)
		return batch{}, false, nil
	case <-ctx.Done():
		return batch{}, false, ctx.Err()
	}
	g.began = time.Time{}
	g.mu.Lock()
	defer g.mu.Unlock()
	b, g.batch, g.spare = g.batch, g.spare, batch{}
	for _, stale := range []chan struct{}{g.some, g.full} {
		select {
		case <-stale:
		default:
		}
	}
	token(g.room)
	return b, wasPoked, nil
}
