package admin

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"
)

// errSlowReader ends the reading of the log for a reader that fell behind.
var errSlowReader = errors.New("admin: the reader of a tail is too slow")

// tailLine is one record on its way to a reader.
type tailLine struct {
	position uint64
	json     []byte
}

// tailBuffer stands between the log and one reader. It holds a bounded number
// of bytes. When it is full, the log's side waits: it reads from the log at its
// own pace, so this costs nobody else. When it stays full for the whole stall,
// the reader is given up.
type tailBuffer struct {
	// Immutable after construction.
	limit int
	stall time.Duration
	ready chan struct{} // a place of one: there is something to take
	room  chan struct{} // a place of one: something was written

	// Guarded by mu.
	mu    sync.Mutex
	lines []tailLine
	size  int // bytes held, those being written included
}

func newTailBuffer(limit int, stall time.Duration) *tailBuffer {
	return &tailBuffer{
		limit: limit, stall: stall,
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// put copies line, which is borrowed until return, and waits for room up to the
// stall. One goroutine at a time.
func (b *tailBuffer) put(ctx context.Context, position uint64, line []byte) error {
	if b.tryPut(position, line) {
		return nil
	}
	stalled := time.NewTimer(b.stall)
	defer stalled.Stop()
	for {
		select {
		case <-b.room:
			if b.tryPut(position, line) {
				return nil
			}
		case <-stalled.C:
			return errSlowReader
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryPut takes any line into an empty buffer, also one beyond the limit, which
// could never get through otherwise.
func (b *tailBuffer) tryPut(position uint64, line []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size > 0 && b.size+len(line) > b.limit {
		return false
	}
	b.lines = append(b.lines, tailLine{position, bytes.Clone(line)})
	b.size += len(line)
	signal(b.ready)
	return true
}

// take returns all lines that wait; they count until written tells otherwise.
func (b *tailBuffer) take() []tailLine {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

// written makes room again for n bytes.
func (b *tailBuffer) written(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size -= n
	signal(b.room)
}

// signal fills a channel of one place, or leaves it full.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
