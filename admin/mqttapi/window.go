package mqttapi

import (
	"context"
	"slices"
	"sync"
)

// window is what a client was sent with QoS 1 and has not acknowledged, and so how far its
// place may move.
//
// The packet identifier of a record follows from its position. So one that is sent again has
// the one it had, whatever lies between, and nothing is kept for that. [MQTT-4.4.0-1]
type window struct {
	// Immutable after construction.
	most  int
	moved chan struct{} // a place of one: the place may move

	mu sync.Mutex
	// Guarded by mu.
	room   chan struct{} // closed when there may be room; nil: nobody waits for it
	sent   []sent        // in the order of the log
	shared []shared
	last   uint64 // the highest position that was in shared
	passed uint64 // the last position that needs no acknowledgement, or is in sent
	next   uint64 // stands for the position of a retained message
}

type sent struct {
	position uint64
	acked    bool
}

// shared is a message that counts for the client as others do, but not for its place: one of a
// group, or, without one, a retained message.
type shared struct {
	position uint64
	of       *group
}

func newWindow(most int) *window {
	return &window{most: most, moved: make(chan struct{}, 1)}
}

// packetID is the packet identifier of the record at a position: 1 to 65,535. [MQTT-2.2.1-3]
func packetID(position uint64) uint16 { return uint16(position%65_535) + 1 } //nolint:gosec // bounded here

// add notes that a record is going to be sent, when the client may have one more. One
// goroutine at a time. [MQTT-3.3.4-9] [MQTT-4.9.0-2]
func (w *window) add(ctx context.Context, position uint64) error {
	return w.await(ctx, func() bool { return w.tryAdd(position) })
}

// await waits until try says that there was room. Others may wait meanwhile, for other room.
func (w *window) await(ctx context.Context, try func() bool) error {
	if try() {
		return nil
	}
	for room := w.freed(); !try(); room = w.freed() {
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// freed is closed when there is more room than now, if only for a moment.
func (w *window) freed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
}

func (w *window) tryAdd(position uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fullLocked(packetID(position)) {
		return false
	}
	w.sent, w.passed = append(w.sent, sent{position: position}), position
	return true
}

// freedLocked has all look who wait for room.
func (w *window) freedLocked() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// pass notes a record that needs no acknowledgement.
func (w *window) pass(position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passed = position
}

// leaveOut is pass for a record that may have been added.
func (w *window) leaveOut(position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = slices.DeleteFunc(w.sent, func(s sent) bool { return s.position == position })
	w.passed = position
	w.freedLocked()
	signal(w.moved)
}

// fullLocked says that the client may have no message more, or none of that packet identifier.
func (w *window) fullLocked(id uint16) bool {
	return len(w.sent)+len(w.shared) >= w.most || w.findLocked(id) >= 0 || w.findSharedLocked(id) >= 0 // [MQTT-2.2.1-4]
}

// awaitRoom waits until the client may have one message more.
func (w *window) awaitRoom(ctx context.Context) error {
	return w.await(ctx, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.sent)+len(w.shared) < w.most
	})
}

// addRetained is add for a retained message, which gets any packet identifier that is free.
func (w *window) addRetained(ctx context.Context) (id uint16, err error) {
	err = w.await(ctx, func() bool {
		id = w.tryRetained()
		return id != 0
	})
	return id, err
}

func (w *window) tryRetained() (id uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sent)+len(w.shared) >= w.most {
		return 0
	}
	for w.next++; w.fullLocked(packetID(w.next)); w.next++ { // there are fewer messages than identifiers
	}
	w.shared = append(w.shared, shared{position: w.next})
	return packetID(w.next)
}

// hasRetained says whether a retained message is not acknowledged.
func (w *window) hasRetained() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.shared, func(s shared) bool { return s.of == nil })
}

// share is tryAdd for a message that is no matter of the place. Any goroutine.
func (w *window) share(position uint64, of *group) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fullLocked(packetID(position)) {
		return false
	}
	w.shared, w.last = append(w.shared, shared{position, of}), max(w.last, position)
	return true
}

// unshare undoes share.
func (w *window) unshare(position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endSharedLocked(packetID(position))
}

// endSharedLocked takes such a message out; false: there is none.
func (w *window) endSharedLocked(id uint16) (of *group, position uint64, was bool) {
	at := w.findSharedLocked(id)
	if at < 0 {
		return nil, 0, false
	}
	of, position = w.shared[at].of, w.shared[at].position
	w.shared = slices.Delete(w.shared, at, at+1)
	w.freedLocked()
	return of, position, true
}

// acknowledge hears a PUBACK. Who acknowledges what it was not sent is not heard.
func (w *window) acknowledge(id uint16) {
	w.mu.Lock()
	of, position, was := w.endSharedLocked(id)
	if !was {
		w.acknowledgeLocked(id)
	}
	w.mu.Unlock()
	if of != nil {
		of.acknowledged(position)
	}
}

func (w *window) acknowledgeLocked(id uint16) {
	at := w.findLocked(id)
	if at < 0 {
		return
	}
	w.sent[at].acked = true
	n := 0
	for n < len(w.sent) && w.sent[n].acked {
		n++
	}
	if n > 0 {
		w.sent = slices.Delete(w.sent, 0, n)
		w.freedLocked()
		signal(w.moved)
	}
}

func (w *window) findLocked(id uint16) int {
	return slices.IndexFunc(w.sent, func(s sent) bool { return packetID(s.position) == id })
}

func (w *window) findSharedLocked(id uint16) int {
	return slices.IndexFunc(w.shared, func(s shared) bool { return packetID(s.position) == id })
}

// done is the position up to which nothing is open.
func (w *window) done() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sent) > 0 {
		return w.sent[0].position - 1
	}
	return w.passed
}

// given is the highest position that the client may have been sent, and shared that of its groups.
func (w *window) given() (given, shared uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed, w.last
}

// signal fills a channel of one place, or leaves it full.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
