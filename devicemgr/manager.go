package devicemgr

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// DefaultMaxOffline is the default of Config.MaxOffline.
const DefaultMaxOffline = 1 << 18

// Config holds the settings of a Manager. The zero value is usable.
type Config struct {
	// MaxOffline bounds the remembered devices that left; default 262,144, about 120
	// bytes each with names of up to 16. It should be well above the number that may leave within the
	// seconds that a message can be on its way to the log. Too small: each reconnect
	// asks the log.
	MaxOffline int

	// Now is the clock; default time.Now.
	Now func() time.Time

	// Lifted says that the caller lifts each connection (see Lift) soon after Connect,
	// above what other nodes have said of its device. Until then the connection is not
	// announced: OnPresence gets it when it is lifted, and Heard leaves it alone.
	Lifted bool

	// OnPresence, if not nil, is called for each device that comes or goes, in order. It
	// must not block and must not panic; it may call the Manager.
	OnPresence func(Presence)
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxOffline == 0 {
		c.MaxOffline = DefaultMaxOffline
	}
	if c.MaxOffline < 1 {
		return c, fmt.Errorf("devicemgr: %d remembered devices: want at least 1", c.MaxOffline)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Manager is the session table. L is a connection as its owner knows it, a type of which two
// never have one address, so of a size above 0: the table keeps where it is, and never looks
// into it. (An interface in its place costs each device the 16 bytes that it points to.)
type Manager[L any] struct {
	// Immutable after construction.

	cfg      Config
	seed     maphash.Seed
	hashMask uint64 // all ones; tests make collisions with fewer

	// Guarded by mu.

	mu         sync.Mutex
	tenants    map[string]*tenant[L]
	online     int
	remembered remembered[L]
	// memberships of those who have joined a group since they connected.
	memberships slab[[]membership[L]]
	floor       uint64 // the highest epoch of a session that was forgotten
	stats       Stats
	events      eventQueue

	// Each shard has its own mu.

	shards [numShards]shard[L]
}

// tenant holds what the sessions of one tenant share. It exists while they do.
type tenant[L any] struct {
	// Immutable after construction.

	name string

	// Guarded by mu of the Manager.

	sessions int
	groups   map[string]*group[L]
}

// Stats is a snapshot of a Manager.
type Stats struct {
	Online     int    // devices connected
	Remembered int    // disconnected devices that have a session
	Tenants    int    // tenants of these
	Registered uint64 // connections registered
	Takeovers  uint64 // of these, while an older one was connected
	Fenced     uint64 // closes of connections that had already been replaced
	Forgotten  uint64 // sessions dropped to keep to MaxOffline
	Discarded  uint64 // sessions dropped by Discard
}

// New makes an empty table. Its errors name the setting that is out of range.
func New[L any](cfg Config) (*Manager[L], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager[L]{cfg: cfg, seed: maphash.MakeSeed(), hashMask: ^uint64(0), tenants: make(map[string]*tenant[L])}
	m.remembered.init()
	return m, nil
}

// Connect gives the device k the connection l; the newest wins. epoch is that of l, above
// all before: the microseconds of the Unix time, or one more than the last. Keep it for
// Unregister: as soon as Connect returns, Session.Epoch may be that of a newer connection.
// replaced is the previous connection, for the caller to close, or nil. Memberships end
// with the connection, so the new one has none. The strings of k are copied where they
// are kept.
func (m *Manager[L]) Connect(k Key, l *L) (s *Session[L], epoch uint64, replaced *L) {
	hash := m.Hash(k)
	m.mu.Lock()
	if s = m.shard(hash).findLocked(hash, k); s != nil {
		replaced = s.Link()
	}
	s, epoch = m.connectLocked(hash, k, s, l)
	m.unlockAndTell()
	return s, epoch, replaced
}

// Replace is Connect for a caller that has checked that l may replace the connection old,
// or nil for none. If another connection is there by now, nothing happens and ok is
// false.
func (m *Manager[L]) Replace(k Key, l, old *L) (s *Session[L], epoch uint64, ok bool) {
	hash := m.Hash(k)
	m.mu.Lock()
	var now *L
	if s = m.shard(hash).findLocked(hash, k); s != nil {
		now = s.Link()
	}
	if now != old {
		m.mu.Unlock()
		return nil, 0, false
	}
	s, epoch = m.connectLocked(hash, k, s, l)
	m.unlockAndTell()
	return s, epoch, true
}

// connectLocked gives a device the connection l. s is its session, or nil.
func (m *Manager[L]) connectLocked(hash uint64, k Key, s *Session[L], l *L) (_ *Session[L], epoch uint64) {
	now := m.cfg.Now()
	cause := CauseConnected
	switch {
	case s == nil:
		s = m.addLocked(hash, k)
		m.online++
	case s.Online():
		m.leaveAllLocked(s)
		m.stats.Takeovers++
		cause = CauseTookOver
	default:
		m.remembered.removeLocked(s)
		m.online++
	}
	epoch = max(s.epoch.Load()+1, uint64(max(now.UnixMicro(), 1)))
	s.epoch.Store(epoch)
	s.link.Store(l)
	s.turned = came(now)
	s.Touch(now)
	m.stats.Registered++
	if m.cfg.Lifted {
		s.durable.And(^uint64(spokenOf))
	} else {
		m.events.pushLocked(Presence{Key: s.Key(), Epoch: epoch, Online: true, At: now, Cause: cause})
	}
	return s, epoch
}

// Unregister is UnregisterAs for an end of which nothing is known.
func (m *Manager[L]) Unregister(s *Session[L], epoch uint64) bool {
	return m.UnregisterAs(s, epoch, End{})
}

// UnregisterAs ends the connection with that epoch: the device goes offline and is
// remembered, with how it went; why.At is filled in. If a newer connection has taken over, or Unregister was called before, it
// does nothing and returns false.
func (m *Manager[L]) UnregisterAs(s *Session[L], epoch uint64, why End) bool {
	now := m.cfg.Now()
	m.mu.Lock()
	if s.epoch.Load() != epoch || !s.Online() {
		m.stats.Fenced++
		m.mu.Unlock()
		return false
	}
	why.At = now
	m.endLocked(s, why, Presence{Key: s.Key(), Epoch: epoch, At: now, Cause: CauseLeft})
	m.unlockAndTell()
	return true
}

// endLocked takes s, which is online, offline, and remembers it.
func (m *Manager[L]) endLocked(s *Session[L], end End, why Presence) {
	s.link.Store(nil)
	s.turned = went(end)
	m.leaveAllLocked(s)
	m.online--
	m.remembered.addLocked(s)
	m.forgetSurplusLocked()
	m.events.pushLocked(why)
}

// Heard takes the presence that a node has announced for a device and all nodes now
// believe. That is the last announcement, which need not be the newest: said may be older
// than what they believed before. speaker compares the name of the announcing node with
// this one's: 0 is this node. Heard corrects what this node knows better:
//
//   - Another node has a newer connection: an older one here ends as with Unregister, and
//     is returned for the caller to close. The other node speaks for the device. Of two
//     connections with one epoch, that of the node with the larger name is newer.
//   - The device is online here, and something else was announced: Heard announces again
//     that it is online.
//   - This node has announced the device as online, perhaps in an earlier life, and it is
//     not online, or no longer: Heard announces that it is offline.
//
// Otherwise Heard does nothing. Nodes that hear each other agree in the end, because each
// repeats only what it holds, and of two connections only one is newer.
func (m *Manager[L]) Heard(said Presence, speaker int) *L {
	now := m.cfg.Now()
	hash := m.Hash(said.Key)
	m.mu.Lock()
	var epoch uint64
	var here *L
	s := m.shard(hash).findLocked(hash, said.Key)
	if s != nil {
		epoch, here = s.epoch.Load(), s.Link()
	}
	if here != nil && m.cfg.Lifted && s.durable.Load()&spokenOf == 0 {
		m.mu.Unlock()
		return nil
	}
	p := Presence{Key: said.Key, Epoch: epoch, At: now, Cause: CauseCorrected}
	var ended *L
	switch newer := said.Epoch > epoch || said.Epoch == epoch && speaker > 0; {
	case here != nil && speaker != 0 && said.Online && newer:
		p.Cause, ended = CauseElsewhere, here
		m.endLocked(s, End{At: now, Cause: EndElsewhere}, p)
	case here != nil && (speaker != 0 || said.Epoch != epoch):
		p.Online = true
		m.events.pushLocked(p)
	case here == nil && speaker == 0 && said.Online:
		p.Epoch = max(epoch, said.Epoch)
		m.events.pushLocked(p)
	}
	m.unlockAndTell()
	return ended
}

// maxEpoch is the largest epoch that JSON keeps exact; the log has none above it.
const maxEpoch = 1<<53 - 1

// Lift raises the epoch of a connection above another of the same device. The log or
// presence may have a higher one, from before a restart with the clock set back, or from a
// node whose clock is ahead. If the connection is no longer the newest, Lift does nothing
// and ok is false.
func (m *Manager[L]) Lift(s *Session[L], epoch, above uint64) (lifted uint64, ok bool) {
	now := m.cfg.Now()
	m.mu.Lock()
	if s.epoch.Load() != epoch || !s.Online() {
		m.mu.Unlock()
		return epoch, false
	}
	lifted = epoch
	if above >= epoch && above < maxEpoch {
		lifted = above + 1
		s.epoch.Store(lifted)
	}
	if m.cfg.Lifted || lifted != epoch {
		s.durable.Or(spokenOf)
		m.events.pushLocked(Presence{Key: s.Key(), Epoch: lifted, Online: true, At: now, Cause: CauseConnected})
	}
	m.unlockAndTell()
	return lifted, true
}

// Discard drops the session of a device for good, because what it knows of the log is no
// longer true: the device gets a new one, which asks the log. It returns the connection
// of the session, for the caller to close, or nil.
func (m *Manager[L]) Discard(s *Session[L]) *L {
	now := m.cfg.Now()
	m.mu.Lock()
	epoch := s.epoch.Swap(discarded)
	if epoch >= discarded {
		m.mu.Unlock()
		return nil
	}
	m.floor = max(m.floor, epoch)
	m.stats.Discarded++
	l := s.Link()
	if l == nil {
		m.remembered.removeLocked(s)
	} else {
		s.link.Store(nil)
		m.leaveAllLocked(s)
		m.online--
		m.events.pushLocked(Presence{Key: s.Key(), Epoch: epoch, At: now, Cause: CauseDiscarded})
	}
	m.dropLocked(s)
	m.unlockAndTell()
	return l
}

// Forget drops the session of an offline device, and says whether there was one. A later
// session does not see what the old session's messages on their way to the log make
// durable.
func (m *Manager[L]) Forget(k Key) bool {
	hash := m.Hash(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shard(hash).findLocked(hash, k)
	if s == nil || s.Online() {
		return false
	}
	return m.forgetLocked(s, true)
}

// Lookup finds the session of a connected or remembered device, or nil.
func (m *Manager[L]) Lookup(k Key) *Session[L] {
	hash := m.Hash(k)
	sh := m.shard(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.findLocked(hash, k)
}

// Len is the number of connected and of remembered devices.
func (m *Manager[L]) Len() (online, remembered int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.online, m.remembered.n
}

// Stats takes a snapshot.
func (m *Manager[L]) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Online, s.Remembered, s.Tenants = m.online, m.remembered.n, len(m.tenants)
	return s
}
