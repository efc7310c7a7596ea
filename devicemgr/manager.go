package devicemgr

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// Config is what a Manager needs to know.
type Config struct {
	// MaxOffline is how many sessions of devices that left are remembered;
	// default 1,000,000. Fewer: reconnects cost more reads of the log.
	MaxOffline int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// OnPresence hears of each device that comes or goes, without locks held.
	// Events of one device may arrive in any order: the epoch orders them.
	OnPresence func(Presence)
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxOffline == 0 {
		c.MaxOffline = 1_000_000
	}
	if c.MaxOffline < 0 {
		return c, errors.New("devicemgr: MaxOffline must be positive")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnPresence == nil {
		c.OnPresence = func(Presence) {}
	}
	return c, nil
}

// Presence says that a device came or went.
type Presence struct {
	Key    Key
	Epoch  uint64
	Online bool
	At     time.Time
}

const numShards = 256

// A Manager is the session table of a node.
type Manager struct {
	// Immutable after construction.
	cfg  Config
	seed maphash.Seed

	// Each guarded by its own mu.
	shards  [numShards]shard
	tenants tenants
	groups  groups
}

// A shard is one part of the table.
type shard struct {
	// Guarded by mu.
	mu       sync.Mutex
	sessions map[uint64]*Session
	online   int
	offline  int
	oldest   *Session // of those who left
	newest   *Session
	_        [32]byte // keeps two shards off one cache line
}

// New makes an empty table.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].sessions = make(map[uint64]*Session)
	}
	return m, nil
}

// Hash is the device's place in the table, stable for this process and not to be
// guessed from outside. It serves as the lane's key too.
func (m *Manager) Hash(k Key) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.WriteString(k.Tenant)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(k.Device)
	return h.Sum64()
}

func (m *Manager) shard(hash uint64) *shard { return &m.shards[hash%numShards] }

// Register makes l the device's live connection. The newest wins: the link that
// it replaces, if any, is for the caller to close.
func (m *Manager) Register(k Key, l Link) (s *Session, replaced Link) {
	now := m.cfg.Now()
	hash := m.Hash(k)
	sh := m.shard(hash)
	sh.mu.Lock()
	s = sh.findLocked(hash, k)
	if s == nil {
		s = &Session{m: m, key: Key{m.tenants.intern(k.Tenant), k.Device}, hash: hash, chain: sh.sessions[hash]}
		sh.sessions[hash] = s
		sh.online++
	} else if s.link == nil {
		sh.unlinkLocked(s)
		sh.offline--
		sh.online++
	}
	replaced = s.link
	m.groups.leaveAll(s, s.groups)
	s.groups = nil
	s.link = l
	s.connectedAt = now.UnixMicro()
	epoch := max(s.epoch.Load()+1, uint64(now.UnixMicro())) //nolint:gosec // after 1970
	s.epoch.Store(epoch)
	s.Touch(now)
	sh.mu.Unlock()
	m.cfg.OnPresence(Presence{Key: s.key, Epoch: epoch, Online: true, At: now})
	return s, replaced
}

// Unregister says that the connection of that epoch is gone. It does nothing,
// and returns false, when a newer one lives.
func (m *Manager) Unregister(s *Session, epoch uint64) bool {
	now := m.cfg.Now()
	sh := m.shard(s.hash)
	sh.mu.Lock()
	if s.link == nil || s.epoch.Load() != epoch {
		sh.mu.Unlock()
		return false
	}
	s.link = nil
	m.groups.leaveAll(s, s.groups)
	s.groups = nil
	sh.online--
	sh.offline++
	sh.linkLocked(s)
	for sh.offline > max(1, m.cfg.MaxOffline/numShards) {
		sh.forgetLocked(sh.oldest)
	}
	sh.mu.Unlock()
	m.cfg.OnPresence(Presence{Key: s.key, Epoch: epoch, Online: false, At: now})
	return true
}

// Lookup finds a live or remembered session, or nil.
func (m *Manager) Lookup(k Key) *Session {
	hash := m.Hash(k)
	sh := m.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.findLocked(hash, k)
}

// Len counts the devices that are here and those that are remembered.
func (m *Manager) Len() (online, remembered int) {
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		online += sh.online
		remembered += sh.offline
		sh.mu.Unlock()
	}
	return online, remembered
}

// Range calls fn for each live session, of one tenant or of all (""), until it
// returns false. No lock is held meanwhile.
func (m *Manager) Range(tenant string, fn func(*Session) bool) {
	var live []*Session
	for i := range m.shards {
		live = m.shards[i].live(live[:0], tenant)
		for _, s := range live {
			if !fn(s) {
				return
			}
		}
	}
}

func (sh *shard) live(to []*Session, tenant string) []*Session {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.sessions {
		for ; s != nil; s = s.chain {
			if s.link != nil && (tenant == "" || s.key.Tenant == tenant) {
				to = append(to, s)
			}
		}
	}
	return to
}

func (sh *shard) findLocked(hash uint64, k Key) *Session {
	for s := sh.sessions[hash]; s != nil; s = s.chain {
		if s.key == k {
			return s
		}
	}
	return nil
}

// linkLocked makes s the newest of those who left.
func (sh *shard) linkLocked(s *Session) {
	s.older, s.newer = sh.newest, nil
	if sh.newest != nil {
		sh.newest.newer = s
	} else {
		sh.oldest = s
	}
	sh.newest = s
}

func (sh *shard) unlinkLocked(s *Session) {
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		sh.oldest = s.newer
	}
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		sh.newest = s.older
	}
	s.older, s.newer = nil, nil
}

// forgetLocked takes a session that left out of the table.
func (sh *shard) forgetLocked(s *Session) {
	sh.unlinkLocked(s)
	sh.offline--
	if first := sh.sessions[s.hash]; first == s {
		if s.chain == nil {
			delete(sh.sessions, s.hash)
		} else {
			sh.sessions[s.hash] = s.chain
		}
		return
	}
	for at := sh.sessions[s.hash]; at != nil; at = at.chain {
		if at.chain == s {
			at.chain = s.chain
			return
		}
	}
}

// tenants keeps each tenant's name once.
type tenants struct {
	// Guarded by mu.
	mu    sync.Mutex
	names map[string]string
}

func (t *tenants) intern(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = make(map[string]string)
	}
	if known, ok := t.names[name]; ok {
		return known
	}
	t.names[name] = name
	return name
}
