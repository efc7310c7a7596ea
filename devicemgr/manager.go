package devicemgr

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// DefaultMaxOffline is how many devices that left are remembered by default.
const DefaultMaxOffline = 1 << 18

// Config is what a Manager needs to know. The zero value is usable.
type Config struct {
	// MaxOffline is how many devices that left are remembered; default 262,144,
	// about 150 bytes each. It should be well above the number that may leave
	// within the seconds that a message can be on its way to the log. Too small,
	// and each reconnect asks the log.
	MaxOffline int

	// Now is the clock; default time.Now.
	Now func() time.Time

	// Lifted says that each connection is lifted (see Lift) soon after Connect, above
	// what other nodes have said of its device. Until then it is not spoken of:
	// OnPresence hears of it when it is lifted, and Heard leaves it alone.
	Lifted bool

	// OnPresence, if not nil, hears of each device that comes or goes, in order.
	// It must not block and must not panic; it may call the Manager.
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

// Manager is the session table.
type Manager struct {
	// Immutable after construction.

	cfg      Config
	seed     maphash.Seed
	hashMask uint64 // all ones; tests make collisions with fewer

	// Guarded by mu.

	mu         sync.Mutex
	tenants    map[string]*tenant
	online     int
	remembered remembered
	floor      uint64 // the highest epoch of a session that was forgotten
	stats      Stats
	events     eventQueue

	// Each shard has its own mu.

	shards [numShards]shard
}

// tenant shares what the sessions of one tenant have in common. It lives as
// long as they do.
type tenant struct {
	// Immutable after construction.

	name string

	// Guarded by mu of the Manager.

	sessions int
	groups   map[string]*group
}

// Stats is a snapshot of a Manager.
type Stats struct {
	Online     int    // devices connected
	Remembered int    // devices not connected that have a session
	Tenants    int    // tenants of these
	Registered uint64 // connections registered
	Takeovers  uint64 // of these, while an older one was there
	Fenced     uint64 // closes of connections that were replaced before
	Forgotten  uint64 // sessions dropped to keep to MaxOffline
	Discarded  uint64 // sessions dropped by Discard
}

// New makes an empty table. Its errors name the setting that is out of range.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, seed: maphash.MakeSeed(), hashMask: ^uint64(0), tenants: make(map[string]*tenant)}
	m.remembered.init()
	for i := range m.shards {
		m.shards[i].sessions = make(map[uint64]*Session)
	}
	return m, nil
}

// Connect gives the device of k the connection l; the newest wins. epoch is
// that of l, above all before: the microseconds of the Unix time, or one more
// than the last. It is what Unregister wants to be given: Session.Epoch may be
// that of a newer connection as soon as Connect returns. replaced is the
// connection that was there, for the caller to close, or nil. Memberships end
// with the connection, so the new one has none. The strings of k are copied
// where they are kept.
func (m *Manager) Connect(k Key, l Link) (s *Session, epoch uint64, replaced Link) {
	hash := m.Hash(k)
	m.mu.Lock()
	if s = m.shard(hash).find(hash, k); s != nil {
		replaced = s.Link()
	}
	s, epoch = m.connectLocked(hash, k, s, l)
	m.unlockAndTell()
	return s, epoch, replaced
}

// Replace is Connect for who has looked at the connection that is there, old, or nil
// for none, and found that l may come in its place. When another is there by now
// nothing happens, and ok is false.
func (m *Manager) Replace(k Key, l, old Link) (s *Session, epoch uint64, ok bool) {
	hash := m.Hash(k)
	m.mu.Lock()
	var now Link
	if s = m.shard(hash).find(hash, k); s != nil {
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

// connectLocked gives a device, whose session is s or nil, the connection l.
func (m *Manager) connectLocked(hash uint64, k Key, s *Session, l Link) (_ *Session, epoch uint64) {
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
		m.remembered.remove(s)
		m.online++
	}
	epoch = max(s.epoch.Load()+1, uint64(max(now.UnixMicro(), 1)))
	s.epoch.Store(epoch)
	s.link.Store(&l)
	s.Touch(now)
	m.stats.Registered++
	if m.cfg.Lifted {
		s.durable.And(^uint64(spokenOf))
	} else {
		m.events.push(Presence{Key: s.Key(), Epoch: epoch, Online: true, At: now, Cause: cause})
	}
	return s, epoch
}

// Unregister ends the connection of that epoch: the device is offline, and
// remembered. When a newer connection has taken over, or this was called
// before, it does nothing and returns false.
func (m *Manager) Unregister(s *Session, epoch uint64) bool {
	now := m.cfg.Now()
	m.mu.Lock()
	if s.epoch.Load() != epoch || !s.Online() {
		m.stats.Fenced++
		m.mu.Unlock()
		return false
	}
	m.endLocked(s, Presence{Key: s.Key(), Epoch: epoch, At: now, Cause: CauseLeft})
	m.unlockAndTell()
	return true
}

// endLocked makes s, which is online, offline and remembered.
func (m *Manager) endLocked(s *Session, why Presence) {
	s.link.Store(nil)
	m.leaveAllLocked(s)
	m.online--
	m.remembered.add(s)
	m.forgetSurplusLocked()
	m.events.push(why)
}

// Heard is told what a node has said of a device and all nodes now believe, which is
// what came last, and not what is newest: said may be older than what they believed
// before. speaker compares the names of the node that has said it and of this one:
// 0 is this one. What is known better here is said:
//
//   - another node has a newer connection: an older one here is at its end as with
//     Unregister, and is returned for the caller to close. Of the device the other
//     node speaks. Of two of one epoch, that of the node with the larger name is newer.
//   - the device is online here, and something else was said of it: it is said again
//     that it is online.
//   - this node has said that it is online, and it is not, or not any more: it is said
//     to be offline. This node may have said it in an earlier life.
//
// Else Heard does nothing. Nodes that hear each other so agree in the end, because
// each says again only what it holds, and of two connections only one is newer.
func (m *Manager) Heard(said Presence, speaker int) Link {
	now := m.cfg.Now()
	hash := m.Hash(said.Key)
	m.mu.Lock()
	var epoch uint64
	var here Link
	s := m.shard(hash).find(hash, said.Key)
	if s != nil {
		epoch, here = s.epoch.Load(), s.Link()
	}
	if here != nil && m.cfg.Lifted && s.durable.Load()&spokenOf == 0 {
		m.mu.Unlock()
		return nil
	}
	p := Presence{Key: said.Key, Epoch: epoch, At: now, Cause: CauseCorrected}
	var ended Link
	switch newer := said.Epoch > epoch || said.Epoch == epoch && speaker > 0; {
	case here != nil && speaker != 0 && said.Online && newer:
		p.Cause, ended = CauseElsewhere, here
		m.endLocked(s, p)
	case here != nil && (speaker != 0 || said.Epoch != epoch):
		p.Online = true
		m.events.push(p)
	case here == nil && speaker == 0 && said.Online:
		p.Epoch = max(epoch, said.Epoch)
		m.events.push(p)
	}
	m.unlockAndTell()
	return ended
}

// maxEpoch is the largest that JSON keeps exact; the log has none above it.
const maxEpoch = 1<<53 - 1

// Lift raises the epoch of a connection above another of the same device, which
// the log has, or presence, from before a restart with the clock set back, or from a
// node whose clock is ahead. ok is false, and nothing done, when the connection is not the
// newest any more.
func (m *Manager) Lift(s *Session, epoch, above uint64) (lifted uint64, ok bool) {
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
		m.events.push(Presence{Key: s.Key(), Epoch: lifted, Online: true, At: now, Cause: CauseConnected})
	}
	m.unlockAndTell()
	return lifted, true
}

// Discard drops the session of a device for good, because what it knows of the log
// is not true any more: the device gets another one, which asks the log. It
// returns the connection that was there, for the caller to close, or nil.
func (m *Manager) Discard(s *Session) Link {
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
		m.remembered.remove(s)
	} else {
		s.link.Store(nil)
		m.leaveAllLocked(s)
		m.online--
		m.events.push(Presence{Key: s.Key(), Epoch: epoch, At: now, Cause: CauseDiscarded})
	}
	m.dropLocked(s)
	m.unlockAndTell()
	return l
}

// Forget drops the session of a device that is offline, and says whether there
// was one. What its messages on the way to the log make durable is not seen by
// a session made after.
func (m *Manager) Forget(k Key) bool {
	hash := m.Hash(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shard(hash).find(hash, k)
	if s == nil || s.Online() {
		return false
	}
	return m.forgetLocked(s, true)
}

// Lookup finds the session of a device that is connected or remembered, or nil.
func (m *Manager) Lookup(k Key) *Session {
	hash := m.Hash(k)
	sh := m.shard(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.find(hash, k)
}

// Len is the number of devices connected and of those remembered.
func (m *Manager) Len() (online, remembered int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.online, m.remembered.n
}

// Stats takes a snapshot.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Online, s.Remembered, s.Tenants = m.online, m.remembered.n, len(m.tenants)
	return s
}
