package uplog

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
	"edgeloop/internal/latency"
)

// Stats are counters since the start, and gauges of now.
type Stats struct {
	Records  uint64 // durable
	Bytes    uint64 // of them, with their subjects
	Batches  uint64 // that took
	Failed   uint64 // attempts that did not take
	Settled  uint64 // attempts whose end had to be looked up in the log
	Reopened uint64 // times an embedded store was opened again
	Stalls   uint64 // times the log stopped taking records

	Commits latency.Counts // of the batches that took, from the first attempt until durable

	PendingRecords, PendingBytes int // appended and not yet durable

	ReaderMissed uint64 // records that retention took before a named reader came to them
}

type counters struct {
	// Atomic.
	records, bytes, batches           atomic.Uint64
	failed, settled, reopened, stalls atomic.Uint64
	commits                           latency.Histogram
}

// stalled notes that an attempt failed. The first of a row starts the stall.
func (c *committer) stalled(err error) {
	c.count.failed.Add(1)
	old := c.state.Load()
	s := servers.State{Since: time.Now(), Cause: err}
	if old.OK() {
		c.count.stalls.Add(1)
		c.logger.Warn("the log does not take records", zap.Error(err))
	} else {
		s.Since = old.Since
	}
	c.state.Store(&s)
}

func (c *committer) flowing() {
	if old := c.state.Load(); !old.OK() {
		c.logger.Info("the log takes records again", zap.Duration("dur", time.Since(old.Since)))
		c.state.Store(&servers.State{})
	}
}

// State says whether the log takes records, and if not, since when and why: an
// attempt failed, or the connection is lost and the next one would. Any goroutine
// may call it.
func (l *Log) State() servers.State {
	if s := l.committer.state.Load(); !s.OK() || l.alone {
		return *s
	}
	return l.writer.Lost()
}

// Counts are what the log counts. Any goroutine may call it.
func (l *Log) Counts() Stats {
	n := &l.committer.count
	s := Stats{
		Records: n.records.Load(), Bytes: n.bytes.Load(), Batches: n.batches.Load(),
		Failed: n.failed.Load(), Settled: n.settled.Load(),
		Reopened: n.reopened.Load() + l.srv.Reopened(), Stalls: n.stalls.Load(), Commits: n.commits.Read(),
	}
	s.ReaderMissed = l.missed.Load()
	s.PendingRecords, s.PendingBytes = l.pipe.waiting()
	return s
}
