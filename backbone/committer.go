package backbone

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// committer is the only writer of the log: a self-clocked group commit.
//
// It takes what was gathered while the previous batch was on its way, sends it
// as one atomic batch, waits for the one answer, reports each record durable in
// order, and takes the next. Two things must hold:
//
//  1. A record is reported only after the log said it has it, synced.
//  2. A batch is followed by the next one only when all of it is in the log,
//     exactly once.
//
// From both follows that under a reported sequence there is no hole. Batches
// are stored whole or not at all, so while answers are clear nothing else is
// needed. After an unclear one (no answer, connection lost) the batch may or may
// not be stored, and even a part of it when the server's disk failed within its
// commit. So the log is asked what it holds (settle), and only what is missing
// is sent again; see wire.sendBatch for the copy still under way at that time.
type committer struct {
	// Immutable after construction.
	pipe       *pipeline
	wire       *wire
	find       func(ctx context.Context, from uint64, it *item, tag string, place int) (bool, error)
	mark       func() error // writes and syncs a mark, to prove that what is found is on the disk
	gate       func() error // says why nothing may be written now
	reopen     func() error // opens an embedded store again; nil for an external server
	ctx        context.Context
	log        *zap.Logger
	tagBase    string
	batchBytes int

	// Owned by the committer goroutine.
	limit      int    // messages to one batch
	lastSeq    uint64 // of the log, as last answered
	tags       uint64
	unanswered int // attempts in a row without any answer

	// Atomic.
	state atomic.Pointer[State]
	count counters
}

const (
	retryFirst = 10 * time.Millisecond
	retryMost  = time.Second
	// reopenAfter attempts without an answer, an embedded store is opened again.
	reopenAfter = 2
)

func (c *committer) run() {
	var b batch
	for c.pipe.take(&b, serverBatchMax, c.batchBytes) {
		if !c.commit(&b) {
			return
		}
		for i := range b.items {
			if done := b.items[i].done; done != nil {
				done.Durable(b.items[i].seq)
			}
		}
		c.count.add(&b)
		c.pipe.release(&b)
	}
}

// commit returns when all of b is in the log, or false when the node closes.
func (c *committer) commit(b *batch) bool {
	c.tags++
	tag := c.tagBase + "." + strconv.FormatUint(c.tags, 36)
	stored := 0 // of b.items, known to be in the log
	delay := retryFirst
	for stored < len(b.items) {
		n, err := c.advance(tag, b.items[stored:], stored)
		stored += n
		if err == nil {
			delay = retryFirst
			continue
		}
		if errors.Is(err, ErrClosed) || c.ctx.Err() != nil {
			return false
		}
		c.stalled(err)
		if !pause(c.ctx, delay) {
			return false
		}
		delay = min(2*delay, retryMost)
	}
	c.flowing()
	return true
}

// advance makes one attempt at storing items, settles it if its end is unclear,
// and says how many of them are in the log now, counted from the first.
func (c *committer) advance(tag string, items []item, offset int) (int, error) {
	if err := c.gate(); err != nil {
		return 0, err
	}
	items = items[:min(len(items), c.limit)]
	before := c.lastSeq
	seq, err := c.wire.send(tag, offset, items)
	var no *refusal
	switch {
	case err == nil:
		c.lastSeq, c.unanswered = seq, 0
		return len(items), nil
	case errors.Is(err, ErrClosed):
		return 0, err
	case errors.As(err, &no):
		c.count.refused.Add(1)
		c.unanswered = 0
		if no.code == codeBatchTooLarge {
			c.limit = max(1, c.limit/2)
		}
		return 0, err
	}
	c.stalled(err)
	return c.settle(tag, items, offset, before, err)
}
