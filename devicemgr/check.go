package devicemgr

import (
	"errors"
	"fmt"
)

// Check walks the whole table and reports inconsistencies. Meanwhile it blocks every
// change; it is for tests.
func (m *Manager[L]) Check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := checker[L]{m: m, keys: map[Key]bool{}, tenants: map[*tenant[L]]int{}, members: map[*group[L]]int{}}
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.RLock()
		n := 0
		for _, s := range sh.buckets {
			for ; s != nil; s = s.chain {
				c.sessionLocked(sh, s)
				n++
			}
		}
		if n != sh.n || n > perBucket*len(sh.buckets) {
			c.faultf("a shard has %d sessions, recorded %d, in %d buckets", n, sh.n, len(sh.buckets))
		}
		sh.mu.RUnlock()
	}
	c.rememberedListLocked()
	c.shared()
	if used := max(len(c.m.memberships.entries)-1, 0) - len(c.m.memberships.free); used != c.joined {
		c.faultf("%d sessions have memberships in %d places", c.joined, used)
	}
	return errors.Join(c.faults...)
}

type checker[L any] struct {
	m               *Manager[L]
	faults          []error
	keys            map[Key]bool
	tenants         map[*tenant[L]]int
	members         map[*group[L]]int
	online, offline int
	joined          int // sessions with an entry for memberships
}

func (c *checker[L]) faultf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("devicemgr: "+format, args...))
}

func (c *checker[L]) sessionLocked(sh *shard[L], s *Session[L]) {
	k := s.Key()
	if c.keys[k] {
		c.faultf("%v is in the table twice", k)
	}
	c.keys[k] = true
	if hash := c.m.Hash(k); c.m.shard(hash) != sh || sh.findLocked(hash, k) != s {
		c.faultf("%v is in the wrong place", k)
	}
	if c.m.tenants[k.Tenant] != s.tenant {
		c.faultf("%v has a tenant of its own", k)
	}
	c.tenants[s.tenant]++
	if s.Epoch() == 0 {
		c.faultf("%v has no epoch", k)
	}
	if !s.Online() {
		c.offline++
		if s.place == 0 || c.m.remembered.places.at(s.place).session != s {
			c.faultf("%v is offline and not remembered", k)
		}
		return
	}
	c.online++
	if s.place != 0 {
		c.joined++
	}
	list := c.m.groupsLocked(s)
	if len(list) > MaxGroups {
		c.faultf("%v is in %d groups", k, len(list))
	}
	for _, ms := range list {
		c.members[ms.group]++
		if ms.at >= len(ms.group.members) || ms.group.members[ms.at] != s || s.tenant.groups[ms.group.name] != ms.group {
			c.faultf("%v is not where it is thought in group %q", k, ms.group.name)
		}
	}
}

func (c *checker[L]) rememberedListLocked() {
	r := &c.m.remembered
	n := 0
	for at := r.places.at(r.head).newer; at != r.head; at = r.places.at(at).newer {
		s := r.places.at(at).session
		if r.places.at(r.places.at(at).newer).older != at || s.place != at {
			c.faultf("the list of the remembered is broken at %v", s.Key())
			return
		}
		n++
		if c.m.shard(c.m.Hash(s.Key())).findLocked(c.m.Hash(s.Key()), s.Key()) != s {
			c.faultf("%v is remembered but not in the table", s.Key())
		}
	}
	if used := len(r.places.entries) - 2 - len(r.places.free); used != n {
		c.faultf("%d sessions are remembered in %d places", n, used)
	}
	if n != r.n || n != c.offline || c.online != c.m.online {
		c.faultf("counted %d online, %d offline, %d remembered; recorded %d and %d", c.online, c.offline, n, c.m.online, r.n)
	}
}

func (c *checker[L]) shared() {
	for name, t := range c.m.tenants {
		if t.name != name || t.sessions != c.tenants[t] || t.sessions == 0 {
			c.faultf("tenant %q has %d sessions, recorded %d", name, c.tenants[t], t.sessions)
		}
		for name, g := range t.groups {
			if g.name != name || len(g.members) == 0 || len(g.members) != c.members[g] {
				c.faultf("group %q has %d members, recorded %d", name, c.members[g], len(g.members))
			}
		}
	}
}
