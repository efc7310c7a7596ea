package devicemgr_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"edgeloop/devicemgr"
)

func members(m *devicemgr.Manager[link], tenant, group string) (names []string) {
	m.Members(tenant, group, func(s *devicemgr.Session[link]) bool {
		names = append(names, s.Key().Device)
		return true
	})
	slices.Sort(names)
	return names
}

func TestManager_Join(t *testing.T) {
	m := table(t, devicemgr.Config{})
	a, epochA, _ := m.Connect(devicemgr.Key{Tenant: "t", Device: "a"}, &link{})
	b, _, _ := m.Connect(devicemgr.Key{Tenant: "t", Device: "b"}, &link{})
	other, _, _ := m.Connect(devicemgr.Key{Tenant: "u", Device: "a"}, &link{})
	join := func(s *devicemgr.Session[link], group string, want error) {
		t.Helper()
		if err := m.Join(s, s.Epoch(), group, 0); !errors.Is(err, want) {
			t.Errorf("Join %q: %v, want %v", group, err, want)
		}
	}
	t.Run("members are of one tenant, and joining twice is once", func(t *testing.T) {
		join(a, "pumps", nil)
		join(a, "pumps", nil)
		join(b, "pumps", nil)
		join(other, "pumps", nil)
		if got := members(m, "t", "pumps"); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("members %v", got)
		}
		if got := members(m, "nobody", "pumps"); got != nil {
			t.Errorf("members of no tenant: %v", got)
		}
	})
	t.Run("names and numbers are bounded", func(t *testing.T) {
		join(a, "", devicemgr.ErrGroupName)
		join(a, strings.Repeat("g", devicemgr.MaxGroupName+1), devicemgr.ErrGroupName)
		for n := range devicemgr.MaxGroups - 1 {
			join(a, fmt.Sprint("g", n), nil)
		}
		join(a, "one more", devicemgr.ErrTooManyGroups)
		join(a, "g3", nil)
		if info := m.Info(a); len(info.Groups) != devicemgr.MaxGroups || !slices.IsSorted(info.Groups) {
			t.Errorf("groups %v", info.Groups)
		}
	})
	t.Run("leaving makes room", func(t *testing.T) {
		if err := errors.Join(m.Leave(a, epochA, "g3"), m.Leave(a, epochA, "g3"), m.Leave(other, other.Epoch(), "g3")); err != nil {
			t.Error(err)
		}
		join(a, "one more", nil)
	})
	t.Run("the visitor may stop", func(t *testing.T) {
		calls := 0
		m.Members("t", "pumps", func(*devicemgr.Session[link]) bool { calls++; return false })
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
	t.Run("a membership ends with the connection", func(t *testing.T) {
		m.Connect(b.Key(), &link{})
		m.Unregister(a, epochA)
		if got := members(m, "t", "pumps"); got != nil {
			t.Errorf("members %v", got)
		}
		join(a, "pumps", devicemgr.ErrOffline)
		if got := members(m, "u", "pumps"); !slices.Equal(got, []string{"a"}) {
			t.Errorf("members of the other tenant %v", got)
		}
	})
}

// What an older connection asked for does nothing for the newer, which has taken
// over between the message and its turn on the lane.
func TestManager_JoinOfTheOlderConnection(t *testing.T) {
	m := table(t, devicemgr.Config{})
	s, older, _ := m.Connect(device(1), &link{})
	_, newer, _ := m.Connect(device(1), &link{})
	if err := m.Join(s, older, "g", 0); !errors.Is(err, devicemgr.ErrOffline) || members(m, "t", "g") != nil {
		t.Errorf("Join: %v, members %v", err, members(m, "t", "g"))
	}
	err := errors.Join(m.Join(s, newer, "g", 0), m.Leave(s, older, "g"))
	if got := members(m, "t", "g"); err != nil || len(got) != 1 {
		t.Errorf("%v, members %v", err, got)
	}
}

// 20,000 devices leave one group in the order they joined: each leaves in one
// step, not by a search through all.
func TestManager_LargeGroup(t *testing.T) {
	const n = 20_000
	m := table(t, devicemgr.Config{})
	sessions := make([]*devicemgr.Session[link], n)
	for i := range sessions {
		sessions[i], _, _ = m.Connect(device(i), &link{})
		if err := m.Join(sessions[i], sessions[i].Epoch(), "all", 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(members(m, "t", "all")); got != n {
		t.Fatalf("%d members", got)
	}
	for i, s := range sessions[:n/2] {
		if !m.Unregister(s, s.Epoch()) {
			t.Fatal(i)
		}
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if got := members(m, "t", "all"); len(got) != n/2 || got[0] != device(n/2).Device {
		t.Errorf("%d members are left, from %s", len(got), got[0])
	}
}
