package uplog

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
	"edgeloop/internal/pause"
)

// committer is this node's only writer of the log: a self-clocked group commit.
//
// It takes what was gathered while the previous batch was on its way, stores it,
// reports the records durable in order, and takes the next. Two things hold:
//
//  1. A record is reported only after the log said that it has it, synced.
//  2. The next batch is taken only when all of this one is in the log, exactly
//     once, however often it had to be sent; but for the records of devices of
//     which another node has written meanwhile, which are never in the log.
//
// From both follows that there is no hole under a reported sequence. How a batch
// is stored exactly once is the appender's affair.
type committer struct {
	// Immutable after construction.
	pipe       *pipeline
	log        appender
	writable   func() error // says why nothing may be written now
	ctx        context.Context
	logger     *zap.Logger
	tagBase    string // names this start of this node
	batchMax   int
	batchBytes int
	gather     time.Duration
	stored     func([]item) // hears of what is stored in a log that others write too; nil: it is this node's alone

	// Atomic.
	state atomic.Pointer[servers.State]
	count counters
}

// appender puts records into the log.
type appender interface {
	// store makes one attempt at storing items. It returns how many of them,
	// counted from the first, are durable in the log, or why none is. What became
	// of the others it need not know: the next call is for those, with offset
	// moved on, until all are stored. Items are borrowed until then. Those that
	// must not be stored any more it moves to the front, marks as lost, and
	// returns alone. With 0 and no error it is called again at once.
	store(tag string, offset int, items []item) (int, error)
}

const (
	retryFirst = 10 * time.Millisecond
	retryMost  = time.Second
)

func (c *committer) run() {
	var b batch
	for n := uint64(1); c.pipe.take(&b, c.batchMax, c.batchBytes); n++ {
		began := time.Now()
		if !c.commit(c.tagBase+"."+strconv.FormatUint(n, 36), b.items) {
			return
		}
		c.count.batches.Add(1)
		c.count.commits.Observe(time.Since(began))
		c.pipe.release(&b)
		if !c.gatherUntil(began.Add(c.gather)) {
			return
		}
	}
}

// gatherUntil lets records gather until a time, or until they fill a batch; false
// when the node closes. A batch costs some tenths of a millisecond of CPU whatever
// its size, most of it for the sync, so under a moderate load batches of a few
// records would cost many times what the records do. A record after a
// silence longer than this is not held up at all.
func (c *committer) gatherUntil(due time.Time) bool {
	if waiting, _ := c.pipe.waiting(); waiting >= c.batchMax {
		return c.ctx.Err() == nil
	}
	if wait := time.Until(due); wait > 0 {
		return pause.For(c.ctx, wait) == nil
	}
	return c.ctx.Err() == nil
}

// commit returns when all items are in the log and reported, or false when the
// node closes.
func (c *committer) commit(tag string, items []item) bool {
	delay := retryFirst
	for stored := 0; stored < len(items); {
		n, err := 0, c.writable()
		if err == nil {
			n, err = c.log.store(tag, stored, items[stored:])
			c.report(items[stored : stored+n])
			stored += n
		}
		switch {
		case c.ctx.Err() != nil && stored < len(items):
			return false
		case n > 0:
			delay = retryFirst
		}
		if err == nil {
			continue
		}
		c.stalled(err)
		if pause.For(c.ctx, delay) != nil {
			return false
		}
		delay = min(2*delay, retryMost)
	}
	c.flowing()
	return true
}

// sift moves the items that must not be stored to the front, in their order, and
// says how many they are.
func sift(items []item) (lost int) {
	for i := range items {
		it := &items[i]
		if it.lost = it.lost || it.done != nil && !it.done.Wanted(); it.lost {
			lost++
		}
	}
	if lost > 0 {
		slices.SortStableFunc(items, func(a, b item) int {
			switch {
			case a.lost == b.lost:
				return 0
			case a.lost:
				return -1
			}
			return 1
		})
	}
	return lost
}

func (c *committer) report(settled []item) {
	if len(settled) == 0 {
		return
	}
	lost := settled[0].lost // and so are the others, see appender
	for rest := settled; len(rest) > 0; {
		done, seq, n := cutRun(rest)
		rest = rest[n:]
		switch {
		case lost:
			done.Overtaken(seq, n)
		case done != nil:
			done.Durable(seq, n)
		}
	}
	if !lost {
		c.count.records.Add(uint64(len(settled)))
		c.count.bytes.Add(uint64(bytesOf(settled)))
		if c.stored != nil {
			c.stored(settled)
		}
	}
}

// cutRun says how many items at the front have the same Completion, and the highest
// sequence of them.
func cutRun(items []item) (done Completion, seq uint64, n int) {
	done = items[0].done
	for n < len(items) && items[n].done == done {
		seq = max(seq, items[n].seq)
		n++
	}
	return done, seq, n
}
