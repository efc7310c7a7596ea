package devicemgr

import (
	"math"
	"sync/atomic"
	"time"
)

// Key names a device.
type Key struct{ Tenant, Device string }

// Session is the presence of one device. There are as many as devices, so every byte counts:
// 80 in all.
type Session[L any] struct {
	// Immutable after construction.

	tenant *tenant[L]
	device string

	// Guarded by mu of the shard.

	chain *Session[L] // the next session of its bucket

	// Guarded by mu of the Manager.

	turned turned // when it came, or when and how it went
	// place is an entry of Manager.memberships while the session is online, or 0 for no
	// group, and of Manager.remembered while it is not.
	place uint32

	// Atomic.

	seen     atomic.Uint32     // Unix seconds: good until 2106
	link     atomic.Pointer[L] // nil while offline; set with the Manager's mu held
	epoch    atomic.Uint64     // set with the Manager's mu held
	durable  atomic.Uint64     // highest durable sequence, and the bits loaded and spokenOf
	accepted atomic.Uint64     // raised on the lane only; the Manager sets the bit sealed
}

// Bits of Session.durable; sequences stay below 2^53.
const (
	loaded   = 1 << 63 // the log has answered
	spokenOf = 1 << 62 // the current connection was lifted (Config.Lifted); set with the Manager's mu held
	bits     = loaded | spokenOf
)

// sealed is the bit of Session.accepted that ends it: the session was forgotten and accepts
// nothing more. The bit is set only while nothing is on its way to the log, in one step
// with that check: when a message arrives while the session is being forgotten, either
// the message is accepted or the session is forgotten, never both.
const sealed = 1 << 63

// Key names the device. The strings are shared, never written.
func (s *Session[L]) Key() Key { return Key{s.tenant.name, s.device} }

// Epochs of sessions that are no longer in the table.
const (
	discarded = 1<<64 - 2
	forgotten = 1<<64 - 1
)

// Forgotten reports whether the device has, or will get, another session. Messages that this
// session has not handed to the log must not reach it: the other session does not know of
// them. Any goroutine.
func (s *Session[L]) Forgotten() bool { return s.epoch.Load() >= discarded }

// Discarded reports whether Discard dropped the session: then even messages already handed to
// the log must not reach it. Any goroutine.
func (s *Session[L]) Discarded() bool { return s.epoch.Load() == discarded }

// Epoch is the number of the newest connection. A connection keeps the epoch that Connect
// gave it: by the time it asks here, it may have been replaced.
func (s *Session[L]) Epoch() uint64 { return s.epoch.Load() }

// Link is the current connection, nil while there is none.
func (s *Session[L]) Link() *L { return s.link.Load() }

// Online reports whether there is a connection.
func (s *Session[L]) Online() bool { return s.link.Load() != nil }

// Touch records a sign of life of the device.
func (s *Session[L]) Touch(now time.Time) {
	s.seen.Store(uint32(min(max(now.Unix(), 0), math.MaxUint32))) //nolint:gosec // bounded here
}

// LastSeen is the last Touch, in whole seconds, rounded down; registering counts as one.
func (s *Session[L]) LastSeen() time.Time { return time.Unix(int64(s.seen.Load()), 0) }

// Durable is the highest sequence known to be in the log, 0 when there is none.
func (s *Session[L]) Durable() uint64 { return s.durable.Load() &^ bits }

// SetDurable raises Durable; a lower seq does nothing.
func (s *Session[L]) SetDurable(seq uint64) { s.raise(seq, 0) }

// Loaded reports whether the log has said the device's highest sequence.
func (s *Session[L]) Loaded() bool { return s.durable.Load()&loaded != 0 }

// SetLoaded records the answer of the log.
func (s *Session[L]) SetLoaded(seq uint64) { s.raise(seq, loaded) }

func (s *Session[L]) raise(seq, flag uint64) {
	for {
		old := s.durable.Load()
		next := max(old&^bits, seq) | old&bits | flag
		if next == old || s.durable.CompareAndSwap(old, next) {
			return
		}
	}
}

// AcceptedOnLane is the highest accepted sequence: durable, or on its way to the log. A
// message at or below it is a duplicate.
func (s *Session[L]) AcceptedOnLane() uint64 { return max(s.accepted.Load()&^sealed, s.Durable()) }

// AcceptOnLane records that seq is on its way to the log. If the session was forgotten, it
// does nothing and returns false: the caller must not store the message.
func (s *Session[L]) AcceptOnLane(seq uint64) bool {
	old := s.accepted.Load()
	return old&sealed == 0 && s.accepted.CompareAndSwap(old, seq) // fails only against the seal
}

// TakeBackOnLane undoes AcceptOnLane for messages that did not reach the log. seq is what
// AcceptedOnLane was before.
func (s *Session[L]) TakeBackOnLane(seq uint64) { s.AcceptOnLane(seq) }

// seal stops the session from accepting messages and returns true. While some are on their
// way to the log it does so only if evenBusy.
func (s *Session[L]) seal(evenBusy bool) bool {
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
