package grpcapi

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	v1 "edgeloop/api/edgeloop/v1"
)

// outbox stands between the log and one client. It holds a bounded number of bytes; when it
// is full, the reading of the log waits, which costs nobody else.
type outbox struct {
	// Immutable after construction.
	limit int
	ready chan struct{} // a place of one: there is something to take
	room  chan struct{} // a place of one: something was taken

	mu sync.Mutex
	// Guarded by mu.
	records []*v1.Record
	size    int
	missed  uint64 // records that retention took before the next one
	// Positions: of the last record that was put in, and of the last one that the client
	// does not want.
	wanted, passed uint64
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put takes a record, when there is room for it. One goroutine at a time.
func (o *outbox) put(ctx context.Context, position, missed uint64, r *v1.Record) error {
	size := proto.Size(r) + 8 // and its tag and length
	for !o.tryPut(position, missed, size, r) {
		select {
		case <-o.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// tryPut takes any record into an empty outbox, also one beyond the limit, which could
// never get through otherwise.
func (o *outbox) tryPut(position, missed uint64, size int, r *v1.Record) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size > 0 && o.size+size > o.limit {
		return false
	}
	r.Missed = o.missed + missed
	o.missed, o.wanted = 0, position
	o.records = append(o.records, r)
	o.size += size
	signal(o.ready)
	return true
}

// pass notes a record that the client does not want.
func (o *outbox) pass(position, missed uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.missed += missed
	o.passed = position
}

// take returns the records that wait, and the position of the last.
func (o *outbox) take() ([]*v1.Record, uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	records := o.records
	o.records, o.size = nil, 0
	signal(o.room)
	return records, o.wanted
}

// over is the position up to which there is nothing that a client wants who has
// acknowledged up to acked; 0: there is none beyond.
func (o *outbox) over(acked uint64) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if acked < o.wanted || o.passed <= o.wanted || o.missed > 0 {
		return 0
	}
	return o.passed
}

// signal fills a channel of one place, or leaves it full.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
