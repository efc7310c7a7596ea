package devicemgr

import (
	"sync/atomic"
	"time"
)

// Link is what a session needs of its connection.
type Link interface {
	// Close ends the connection. Any goroutine; idempotent.
	Close(code uint16, reason string)
}

// Key names a device.
type Key struct{ Tenant, Device string }

// Session is the presence of one device. There are as many as devices, so each
// field is worth its bytes: 96 in all.
type Session struct {
	// Immutable after construction.

	tenant *tenant
	device string

	// Guarded by mu of the shard.

	chain *Session // the next session with the same hash

	// Guarded by mu of the Manager.

	older, newer *Session // neighbours among the remembered; nil while online
	groups       *[]membership

	// Atomic.

	link     atomic.Pointer[Link] // nil while offline; set with the Manager's mu held
	epoch    atomic.Uint64        // set with the Manager's mu held
	seen     atomic.Int64         // Unix milliseconds
	durable  atomic.Uint64        // highest durable sequence, and the bits loaded and spokenOf
	accepted atomic.Uint64        // raised on the lane only; the bit sealed is the Manager's
}

// Bits of Session.durable; sequences stay below 2^53.
const (
	loaded   = 1 << 63 // the log was asked
	spokenOf = 1 << 62 // the present connection was lifted (Config.Lifted); set with the Manager's mu held
	bits     = loaded | spokenOf
)

// sealed is the bit of Session.accepted that ends it: the session was forgotten, and
// nothing is accepted by it any more. It is set only while nothing is on its way to
// the log, in one step with having looked, so that of a message that is accepted
// while the session is forgotten exactly one of the two happens.
const sealed = 1 << 63

// Key names the device. The strings are shared, never written.
func (s *Session) Key() Key { return Key{s.tenant.name, s.device} }

// Epochs of sessions that are not in the table any more.
const (
	discarded = 1<<64 - 2
	forgotten = 1<<64 - 1
)

// Forgotten says that the device has, or will get, another session. What was not
// handed to the log by this one must not get there: the other does not know of it.
// Any goroutine.
func (s *Session) Forgotten() bool { return s.epoch.Load() >= discarded }

// Discarded says that it was forgotten by Discard: also what was handed to the log
// must not get there any more. Any goroutine.
func (s *Session) Discarded() bool { return s.epoch.Load() == discarded }

// Epoch is the number of the newest connection. A connection should keep the
// epoch that Connect gave it: by the time it asks here, it may be replaced.
func (s *Session) Epoch() uint64 { return s.epoch.Load() }

// Link is the present connection, nil while there is none.
func (s *Session) Link() Link {
	if l := s.link.Load(); l != nil {
		return *l
	}
	return nil
}

// Online says whether there is a connection.
func (s *Session) Online() bool { return s.link.Load() != nil }

// Touch says that the device was heard of.
func (s *Session) Touch(now time.Time) { s.seen.Store(now.UnixMilli()) }

// LastSeen is the last Touch, in milliseconds; registering counts as one.
func (s *Session) LastSeen() time.Time { return time.UnixMilli(s.seen.Load()) }

// Durable is the highest sequence known to be in the log, 0 when there is none.
func (s *Session) Durable() uint64 { return s.durable.Load() &^ bits }

// SetDurable raises Durable; a lower seq does nothing.
func (s *Session) SetDurable(seq uint64) { s.raise(seq, 0) }

// Loaded says whether the log was asked for the device's highest sequence.
func (s *Session) Loaded() bool { return s.durable.Load()&loaded != 0 }

// SetLoaded gives the answer of the log.
func (s *Session) SetLoaded(seq uint64) { s.raise(seq, loaded) }

func (s *Session) raise(seq, flag uint64) {
	for {
		old := s.durable.Load()
		next := max(old&^bits, seq) | old&bits | flag
		if next == old || s.durable.CompareAndSwap(old, next) {
			return
		}
	}
}

// AcceptedOnLane is the highest sequence that was taken in: durable, or on its
// way to the log. A message at or below it is a duplicate.
func (s *Session) AcceptedOnLane() uint64 { return max(s.accepted.Load()&^sealed, s.Durable()) }

// AcceptOnLane notes that seq is on its way to the log. It returns false, and does
// nothing, when the session was forgotten: the message is then not to be stored.
func (s *Session) AcceptOnLane(seq uint64) bool {
	old := s.accepted.Load()
	return old&sealed == 0 && s.accepted.CompareAndSwap(old, seq) // it fails only against the seal
}

// TakeBackOnLane undoes AcceptOnLane of what did not get into the log: seq is what
// AcceptedOnLane was before.
func (s *Session) TakeBackOnLane(seq uint64) { s.AcceptOnLane(seq) }

// seal ends the accepting of messages, unless some are on their way to the log and
// that matters. It says whether it did.
func (s *Session) seal(evenBusy bool) bool {
	for {
		old := s.accepted.Load()
		if !evenBusy && old > s.Durable() {
			return false
		}
		if s.accepted.CompareAndSwap(old, old|sealed) {
			return true
		}
	}
}
