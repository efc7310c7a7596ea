package devicemgr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The bounds of groups.
const (
	MaxGroups    = 16 // groups that one device may be in
	MaxGroupName = 64 // bytes in a group's name
)

// The errors of Join; they may be wrapped.
var (
	ErrGroupName     = errors.New("devicemgr: a group's name has 1 to 64 bytes")
	ErrTooManyGroups = errors.New("devicemgr: a device may be in 16 groups")
	ErrTenantGroups  = errors.New("devicemgr: the tenant has as many groups as it may have")
	ErrOffline       = errors.New("devicemgr: this connection of the device has ended")
)

// group is a set of connected devices of one tenant. It exists while it has members.
type group[L any] struct {
	// Immutable after construction.

	name string

	// Guarded by mu of the Manager.

	members []*Session[L]
}

// membership is a session's place in a group: group.members[at].
type membership[L any] struct {
	group *group[L]
	at    int
}

// Join adds a connected device to a group of its tenant, for the connection with that epoch.
// For an older connection it returns ErrOffline: a newer one starts without memberships.
// Joining twice is not an error. The membership ends with Leave or with the connection.
// Where the tenant has most groups, 0 for any number, only these can be joined
// (ErrTenantGroups).
func (m *Manager[L]) Join(s *Session[L], epoch uint64, name string, most int64) error {
	if name == "" || len(name) > MaxGroupName {
		return fmt.Errorf("%w, not %d", ErrGroupName, len(name))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.Online() || s.epoch.Load() != epoch {
		return ErrOffline
	}
	list := m.groupsLocked(s)
	if indexOf(list, name) >= 0 {
		return nil
	}
	if len(list) == MaxGroups {
		return ErrTooManyGroups
	}
	g := s.tenant.groups[name]
	if g == nil && most > 0 && int64(len(s.tenant.groups)) >= most {
		return ErrTenantGroups
	}
	if g == nil {
		g = &group[L]{name: strings.Clone(name)}
		if s.tenant.groups == nil {
			s.tenant.groups = make(map[string]*group[L])
		}
		s.tenant.groups[g.name] = g
	}
	if s.place == 0 {
		s.place = m.memberships.put(nil)
	}
	list = append(list, membership[L]{g, len(g.members)})
	*m.memberships.at(s.place) = list
	g.members = append(g.members, s)
	return nil
}

// Leave ends a membership of the connection with that epoch. It does nothing if there is
// none.
func (m *Manager[L]) Leave(s *Session[L], epoch uint64, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.Online() || s.epoch.Load() != epoch {
		return nil
	}
	if i := indexOf(m.groupsLocked(s), name); i >= 0 {
		m.leaveLocked(s, i)
	}
	return nil
}

// LeaveUnless ends the memberships of the connection with that epoch for whose groups may
// returns false, and returns their names. may is called with the manager's lock held: it must
// not block or call the manager.
func (m *Manager[L]) LeaveUnless(s *Session[L], epoch uint64, may func(group string) bool) (left []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.Online() || s.epoch.Load() != epoch {
		return nil
	}
	for i := len(m.groupsLocked(s)) - 1; i >= 0; i-- { // the last takes the place of one that goes
		if name := m.groupsLocked(s)[i].group.name; !may(name) {
			m.leaveLocked(s, i)
			left = append(left, name)
		}
	}
	return left
}

// groupsLocked is the memberships of a session that is online.
func (m *Manager[L]) groupsLocked(s *Session[L]) []membership[L] {
	if s.place == 0 {
		return nil
	}
	return *m.memberships.at(s.place)
}

// Groups is how many groups of a tenant have members.
func (m *Manager[L]) Groups(tenant string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tenants[tenant]; t != nil {
		return len(t.groups)
	}
	return 0
}

// Members calls fn for the devices in a group until fn returns false. It holds no lock
// meanwhile; a device may have left when its turn comes.
func (m *Manager[L]) Members(tenant, name string, fn func(*Session[L]) bool) {
	for _, s := range m.members(tenant, name) {
		if !fn(s) {
			return
		}
	}
}

// members takes a snapshot of the whole group: with a partial copy, a member that stays could
// be missed when another leaves.
func (m *Manager[L]) members(tenant, name string) []*Session[L] {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tenants[tenant]
	if t == nil || t.groups[name] == nil {
		return nil
	}
	return slices.Clone(t.groups[name].members)
}

// leaveAllLocked ends the memberships of a connection that has ended. The session has no
// place then.
func (m *Manager[L]) leaveAllLocked(s *Session[L]) {
	if s.place == 0 {
		return
	}
	for i := len(m.groupsLocked(s)) - 1; i >= 0; i-- {
		m.leaveLocked(s, i)
	}
	m.memberships.drop(s.place)
	s.place = 0
}

// leaveLocked ends the membership i of s. The last entry takes the free place, both in the
// session's list and in the group.
func (m *Manager[L]) leaveLocked(s *Session[L], i int) {
	list := m.groupsLocked(s)
	g, at := list[i].group, list[i].at
	last := len(list) - 1
	list[i], list[last] = list[last], membership[L]{}
	*m.memberships.at(s.place) = list[:last]

	last = len(g.members) - 1
	moved := g.members[last]
	g.members[at], g.members[last] = moved, nil
	g.members = g.members[:last]
	if moved != s {
		theirs := m.groupsLocked(moved)
		theirs[indexOf(theirs, g.name)].at = at
	}
	if last == 0 {
		delete(s.tenant.groups, g.name)
	}
}

func indexOf[L any](list []membership[L], name string) int {
	return slices.IndexFunc(list, func(ms membership[L]) bool { return ms.group.name == name })
}
