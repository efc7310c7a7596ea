package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// logLoss is why a line of the log was lost.
type logLoss uint8

const (
	logFull   logLoss = iota // the reader is slower than the log
	logFailed                // the write failed, most likely because the reader is gone
	numLogLosses
)

// String is the label of the metric.
func (l logLoss) String() string { return [numLogLosses]string{"full", "failed"}[l] }

const (
	logQueue    = 1 << 20     // bytes of lines that wait for the reader
	logKeep     = 64 << 10    // bytes of a queue that is kept when it is empty
	logPatience = time.Second // how long Sync waits for the reader
)

// A logWriter stands between those who log and a reader that may be slow, stuck
// or gone: a Write only copies its line into a bounded queue, and one goroutine
// hands the lines on. What does not fit is lost and counted. Write never blocks
// and never fails, Sync waits for a bounded time. It implements
// zapcore.WriteSyncer.
type logWriter struct {
	// Immutable after construction.
	to       io.Writer
	limit    int                             // bytes in the queue
	patience time.Duration                   // of Sync
	confess  func(lost uint64) (line []byte) // says how many lines were lost
	ring     chan struct{}                   // capacity 1: there is something to do
	ended    chan struct{}                   // closed when the goroutine has ended

	// Guarded by mu.
	mu     sync.Mutex
	queue  logLines
	syncs  []chan struct{} // closed when what was queued before is handed on
	closed bool

	// Atomic.
	lost [numLogLosses]atomic.Uint64
}

// logLines are lines, one behind the other.
type logLines struct {
	text []byte
	ends []int // where each line ends in text
}

func newLogWriter(to io.Writer, confess func(uint64) []byte) *logWriter {
	w := &logWriter{
		to: to, limit: logQueue, patience: logPatience, confess: confess,
		ring: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go w.run()
	return w
}

// Write queues one line, borrowed until return, or loses it.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if !w.closed && len(w.queue.text)+len(line) <= w.limit {
		w.queue.text = append(w.queue.text, line...)
		w.queue.ends = append(w.queue.ends, len(w.queue.text))
	} else {
		w.lost[logFull].Add(1)
	}
	w.mu.Unlock()
	w.wake()
	return len(line), nil
}

// Sync waits until what was written before is handed on, and on the disk if it
// is a file; no longer than a reader may be expected to take.
func (w *logWriter) Sync() error {
	done := make(chan struct{})
	w.mu.Lock()
	w.syncs = append(w.syncs, done)
	w.mu.Unlock()
	w.wake()
	await(w.patience, done, w.ended)
	return nil
}

// Close is Sync, and the end: what is written from now on is lost. The goroutine
// ends when the write that it is in does.
func (w *logWriter) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake()
	await(w.patience, w.ended, nil)
}

// Lost is how many lines were lost since the start for this cause.
func (w *logWriter) Lost(why logLoss) uint64 { return w.lost[why].Load() }

func (w *logWriter) wake() {
	select {
	case w.ring <- struct{}{}:
	default:
	}
}

// run hands the lines on until Close.
func (w *logWriter) run() {
	defer close(w.ended)
	var batch logLines
	var told uint64
	for range w.ring {
		batch.text, batch.ends = batch.text[:0], batch.ends[:0]
		if cap(batch.text) > logKeep {
			batch = logLines{}
		}
		w.mu.Lock()
		batch, w.queue = w.queue, batch
		syncs, closed, full := w.syncs, w.closed, w.Lost(logFull)
		w.syncs = nil
		w.mu.Unlock()
		w.writeLines(batch)
		told = w.tell(full+w.Lost(logFailed), told)
		if f, ok := w.to.(interface{ Sync() error }); ok && (closed || len(syncs) > 0) {
			_ = f.Sync() // a pipe or a terminal cannot be synced
		}
		for _, done := range syncs {
			close(done)
		}
		if closed {
			return
		}
	}
}

// writeLines makes one write of each line: other processes may write to the same
// pipe, and lines must not be cut by theirs.
func (w *logWriter) writeLines(batch logLines) {
	from := 0
	for _, end := range batch.ends {
		if _, err := w.to.Write(batch.text[from:end]); err != nil {
			w.lost[logFailed].Add(1)
		}
		from = end
	}
}

// tell says in the log itself how many lines it lost up to here, when it gets
// through again, and returns how many it has told of.
func (w *logWriter) tell(lost, told uint64) uint64 {
	if lost == told {
		return told
	}
	if _, err := w.to.Write(w.confess(lost - told)); err != nil {
		return told
	}
	return lost
}

// await waits for one of two events, and for d at most. A nil channel never comes.
func await(d time.Duration, either, or <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-either:
	case <-or:
	case <-t.C:
	}
}
