package devicemgr

import (
	"errors"
	"fmt"
)

// Check walks the whole table and reports inconsistencies. Meanwhile it blocks every
// change; it is for tests.
func (m *Manager) Check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := checker{m: m, keys: map[Key]bool{}, tenants: map[*tenant]int{}, members: map[*group]int{}}
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.RLock()
		n := 0
		for _, s := range sh.buckets {
			for ; s != nil; s = s.chain {
				c.session(sh, s)
				n++
			}
		}
		if n != sh.n || n > perBucket*len(sh.buckets) {
			c.faultf("a shard has %d sessions, recorded %d, in %d buckets", n, sh.n, len(sh.buckets))
		}
		sh.mu.RUnlock()
	}
	c.rememberedList()
	c.shared()
	return errors.Join(c.faults...)
}

type checker struct {
	m               *Manager
	faults          []error
	keys            map[Key]bool
	tenants         map[*tenant]int
	members         map[*group]int
	online, offline int
}

func (c *checker) faultf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("devicemgr: "+format, args...))
}

func (c *checker) session(sh *shard, s *Session) {
	k := s.Key()
	if c.keys[k] {
		c.faultf("%v is in the table twice", k)
	}
	c.keys[k] = true
	if hash := c.m.Hash(k); c.m.shard(hash) != sh || sh.find(hash, k) != s {
		c.faultf("%v is in the wrong place", k)
	}
	if c.m.tenants[k.Tenant] != s.tenant {
		c.faultf("%v has a tenant of its own", k)
	}
	c.tenants[s.tenant]++
	if s.Epoch() == 0 {
		c.faultf("%v has no epoch", k)
	}
	if linked := s.older != nil && s.newer != nil; linked == s.Online() {
		c.faultf("%v: online %v, remembered %v", k, s.Online(), linked)
	}
	if s.Online() {
		c.online++
	} else {
		c.offline++
	}
	if s.groups == nil {
		return
	}
	if !s.Online() || len(*s.groups) > MaxGroups {
		c.faultf("%v: in %d groups, online %v", k, len(*s.groups), s.Online())
	}
	for _, ms := range *s.groups {
		c.members[ms.group]++
		if ms.at >= len(ms.group.members) || ms.group.members[ms.at] != s || s.tenant.groups[ms.group.name] != ms.group {
			c.faultf("%v is not where it is thought in group %q", k, ms.group.name)
		}
	}
}

func (c *checker) rememberedList() {
	r := &c.m.remembered
	n := 0
	for s := r.head.newer; s != &r.head; s = s.newer {
		if s.newer.older != s {
			c.faultf("the list of the remembered is broken at %v", s.Key())
			return
		}
		n++
		if c.m.shard(c.m.Hash(s.Key())).find(c.m.Hash(s.Key()), s.Key()) != s {
			c.faultf("%v is remembered but not in the table", s.Key())
		}
	}
	if n != r.n || n != c.offline || c.online != c.m.online {
		c.faultf("counted %d online, %d offline, %d remembered; recorded %d and %d", c.online, c.offline, n, c.m.online, r.n)
	}
}

func (c *checker) shared() {
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
