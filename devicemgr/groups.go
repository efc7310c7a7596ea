package devicemgr

import (
	"errors"
	"slices"
	"sync"
)

// Limits of groups.
const (
	MaxGroups    = 16 // groups that one device may be in
	MaxGroupName = 64 // bytes
)

// The errors of Join.
var (
	ErrTooManyGroups = errors.New("devicemgr: a device may be in at most 16 groups")
	ErrGroupName     = errors.New("devicemgr: the name of a group has 1 to 64 bytes")
)

// groups is who is in which group. A membership ends with the connection.
type groups struct {
	// Guarded by mu.
	mu      sync.Mutex
	members map[groupKey]map[*Session]struct{}
}

type groupKey struct{ tenant, group string }

// Join puts a live session into a group of its tenant.
func (m *Manager) Join(s *Session, group string) error {
	if group == "" || len(group) > MaxGroupName {
		return ErrGroupName
	}
	sh := m.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case s.link == nil || slices.Contains(s.groups, group):
		return nil
	case len(s.groups) >= MaxGroups:
		return ErrTooManyGroups
	}
	s.groups = append(s.groups, group)
	m.groups.join(s, group)
	return nil
}

// Leave takes a session out of a group; not being in it is no error.
func (m *Manager) Leave(s *Session, group string) error {
	sh := m.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := slices.Index(s.groups, group); i >= 0 {
		s.groups = slices.Delete(s.groups, i, i+1)
		m.groups.leaveAll(s, []string{group})
	}
	return nil
}

// Members calls fn for each session in a group until it returns false, without
// locks held.
func (m *Manager) Members(tenant, group string, fn func(*Session) bool) {
	for _, s := range m.groups.list(tenant, group) {
		if !fn(s) {
			return
		}
	}
}

func (g *groups) list(tenant, group string) []*Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	members := g.members[groupKey{tenant, group}]
	list := make([]*Session, 0, len(members))
	for s := range members {
		list = append(list, s)
	}
	return list
}

func (g *groups) join(s *Session, group string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := groupKey{s.key.Tenant, group}
	if g.members == nil {
		g.members = make(map[groupKey]map[*Session]struct{})
	}
	if g.members[key] == nil {
		g.members[key] = make(map[*Session]struct{})
	}
	g.members[key][s] = struct{}{}
}

func (g *groups) leaveAll(s *Session, names []string) {
	if len(names) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		key := groupKey{s.key.Tenant, name}
		delete(g.members[key], s)
		if len(g.members[key]) == 0 {
			delete(g.members, key)
		}
	}
}
