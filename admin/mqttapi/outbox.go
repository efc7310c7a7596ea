package mqttapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/eventloop"
)

// maxOut is how many bytes of packets wait for the socket; a larger packet may, alone.
const maxOut = 64 << 10

// stuckFor is how long a socket that is full is left alone.
const stuckFor = 10 * time.Millisecond

// outbox stands between those who make packets and the socket. What is full makes them wait.
type outbox struct {
	// Immutable after construction.
	conn *eventloop.Conn
	room chan struct{} // a place of one: something was taken

	mu sync.Mutex
	// Guarded by mu.
	bytes []byte

	// Owned by the loop goroutine.
	spare []byte

	// Atomic.
	stuck atomic.Bool // the loop is asked again in a moment
}

// put adds whole packets, which are copied, when there is room. Any goroutine.
func (o *outbox) put(ctx context.Context, packets []byte) error {
	for !o.tryPut(packets) {
		select {
		case <-o.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	o.conn.Wake()
	return nil
}

func (o *outbox) tryPut(packets []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.bytes) > 0 && len(o.bytes)+len(packets) > maxOut {
		return false
	}
	o.bytes = append(o.bytes, packets...)
	return true
}

// flushOnLoop writes what waits, once the socket has taken what was written before: more would
// count against the bound beyond which a connection is cut off.
func (o *outbox) flushOnLoop() {
	if o.conn.BufferedOnLoop() > 0 {
		if !o.stuck.Swap(true) {
			time.AfterFunc(stuckFor, func() {
				o.stuck.Store(false)
				o.conn.Wake()
			})
		}
		return
	}
	o.mu.Lock()
	out := o.bytes
	o.bytes = o.spare[:0]
	o.mu.Unlock()
	if len(out) > 0 {
		o.conn.WriteOnLoop(eventloop.Binary, out)
		signal(o.room)
	}
	if o.spare = out[:0]; cap(out) > 2*maxOut {
		o.spare = nil
	}
}
