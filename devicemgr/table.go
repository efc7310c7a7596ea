package devicemgr

import (
	"hash/maphash"
	"strings"
	"sync"
)

// numShards separates lookups on different processors, and keeps each table of buckets small.
const numShards = 256

// shard is one part of the table, by the upper bits of the hash.
type shard[L any] struct {
	// Guarded by mu, and changed with mu of the Manager held as well.

	mu      sync.RWMutex
	buckets []*Session[L] // chains of sessions, by the lower bits of the hash; a power of two
	n       int

	_ [8]byte // keeps two shards off one cache line
}

// A shard's buckets double when there are perBucket sessions for each: with that, and the
// link of the chain, a session costs the table 8 bytes and some 5 more, where a map of hashes
// cost 30. A look-up compares two names on average.
const (
	perBucket    = 2
	firstBuckets = 8
)

// Hash is the hash of a device's name, constant while the process lives. It also chooses the
// device's lane.
func (m *Manager[L]) Hash(k Key) uint64 {
	tenant := maphash.String(m.seed, k.Tenant)
	device := maphash.String(m.seed, k.Device)
	return (tenant*0x9E3779B97F4A7C15 + device) & m.hashMask
}

func (m *Manager[L]) shard(hash uint64) *shard[L] { return &m.shards[hash>>56] }

// findLocked finds the session of k, or nil. The Manager's lock is enough, too.
func (sh *shard[L]) findLocked(hash uint64, k Key) *Session[L] {
	if sh.n == 0 {
		return nil
	}
	s := *sh.bucketLocked(hash)
	for s != nil && (s.device != k.Device || s.tenant.name != k.Tenant) {
		s = s.chain
	}
	return s
}

// bucketLocked is where the chain of a hash begins. There must be buckets.
func (sh *shard[L]) bucketLocked(hash uint64) **Session[L] {
	return &sh.buckets[hash&uint64(len(sh.buckets)-1)]
}

// growLocked makes room for one more session.
func (m *Manager[L]) growLocked(sh *shard[L]) {
	if sh.n < perBucket*len(sh.buckets) {
		return
	}
	old := sh.buckets
	sh.buckets = make([]*Session[L], max(firstBuckets, 2*len(old)))
	for _, s := range old {
		for s != nil {
			next := s.chain
			first := sh.bucketLocked(m.Hash(s.Key()))
			s.chain, *first = *first, s
			s = next
		}
	}
}

// addLocked creates the session of a device that has none.
func (m *Manager[L]) addLocked(hash uint64, k Key) *Session[L] {
	t := m.tenants[k.Tenant]
	if t == nil {
		t = &tenant[L]{name: strings.Clone(k.Tenant)}
		m.tenants[t.name] = t
	}
	t.sessions++
	s := &Session[L]{tenant: t, device: strings.Clone(k.Device)}
	s.epoch.Store(m.floor) // the device may have been here before, when the clock was ahead
	sh := m.shard(hash)
	sh.mu.Lock()
	m.growLocked(sh)
	first := sh.bucketLocked(hash)
	s.chain, *first = *first, s
	sh.n++
	sh.mu.Unlock()
	return s
}

// dropLocked removes a session from the table.
func (m *Manager[L]) dropLocked(s *Session[L]) {
	hash := m.Hash(s.Key())
	sh := m.shard(hash)
	sh.mu.Lock()
	at := sh.bucketLocked(hash)
	for *at != s {
		at = &(*at).chain
	}
	*at, s.chain = s.chain, nil
	sh.n--
	sh.mu.Unlock()
	if s.tenant.sessions--; s.tenant.sessions == 0 {
		delete(m.tenants, s.tenant.name)
	}
}

// appendTo adds the shard's sessions to buf.
func (sh *shard[L]) appendTo(buf []*Session[L]) []*Session[L] {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, s := range sh.buckets {
		for ; s != nil; s = s.chain {
			buf = append(buf, s)
		}
	}
	return buf
}

// Range calls fn for the connected devices of a tenant, or of all tenants for "", until fn
// returns false. It holds no lock meanwhile: devices that come or go while it runs may be
// visited or not; all others are visited once.
func (m *Manager[L]) Range(tenant string, fn func(*Session[L]) bool) {
	m.each(func(s *Session[L]) bool {
		return !s.Online() || tenant != "" && s.tenant.name != tenant || fn(s)
	})
}

// each calls fn for every session until fn returns false. It holds no lock meanwhile.
func (m *Manager[L]) each(fn func(*Session[L]) bool) {
	var buf []*Session[L]
	for i := range m.shards {
		buf = m.shards[i].appendTo(buf[:0])
		for _, s := range buf {
			if !fn(s) {
				return
			}
		}
	}
}
