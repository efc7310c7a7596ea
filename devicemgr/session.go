package devicemgr

import (
	"sync/atomic"
	"time"
)

// Link is what a session needs of its connection.
type Link interface {
	// Send posts one or more whole frames; any goroutine, never blocks. The bytes
	// are shared, never written.
	Send(frame []byte) error
	// Close closes the connection; any goroutine, idempotent.
	Close(code uint16, reason string)
}

// A Key names a device. Neither part is empty.
type Key struct{ Tenant, Device string }

// A Session is one device's presence here. It outlives its connections.
type Session struct {
	// Immutable after construction.
	m    *Manager
	key  Key
	hash uint64

	// Owned by the device's lane.
	accepted uint64

	// Guarded by the shard's mu.
	link        Link // nil when the device is not here
	older       *Session
	newer       *Session // neighbours among those who left
	chain       *Session // the next session with the same hash
	connectedAt int64    // Unix microseconds
	groups      []string

	// Atomic.
	epoch   atomic.Uint64
	seen    atomic.Int64 // Unix milliseconds
	durable atomic.Uint64
	loaded  atomic.Bool
}

// Key names the session's device.
func (s *Session) Key() Key { return s.key }

// Epoch is the number of the device's newest connection; any goroutine.
func (s *Session) Epoch() uint64 { return s.epoch.Load() }

// Link is the live connection, or nil; any goroutine.
func (s *Session) Link() Link {
	sh := s.m.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return s.link
}

// Touch notes that the device was heard of; any goroutine.
func (s *Session) Touch(now time.Time) { s.seen.Store(now.UnixMilli()) }

// LastSeen is when the device was last heard of; any goroutine.
func (s *Session) LastSeen() time.Time { return time.UnixMilli(s.seen.Load()) }

// Durable is the device's highest durable sequence; any goroutine.
func (s *Session) Durable() uint64 { return s.durable.Load() }

// SetDurable raises the highest durable sequence; any goroutine.
func (s *Session) SetDurable(seq uint64) {
	for {
		old := s.durable.Load()
		if seq <= old || s.durable.CompareAndSwap(old, seq) {
			return
		}
	}
}

// Loaded says whether the sequences are known; any goroutine.
func (s *Session) Loaded() bool { return s.loaded.Load() }

// SetLoaded sets the highest durable sequence as the log has it. Before it no
// connection of the device may be admitted; a second call changes nothing.
func (s *Session) SetLoaded(seq uint64) {
	sh := s.m.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.loaded.Load() {
		return
	}
	s.accepted = seq
	s.SetDurable(seq)
	s.loaded.Store(true)
}

// AcceptedOnLane is the highest sequence handed to the log.
func (s *Session) AcceptedOnLane() uint64 { return s.accepted }

// SetAcceptedOnLane notes the highest sequence handed to the log.
func (s *Session) SetAcceptedOnLane(seq uint64) { s.accepted = seq }
