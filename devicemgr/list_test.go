package devicemgr_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/devicemgr"
)

// all pages through a list.
func all(t *testing.T, m *devicemgr.Manager[link], f devicemgr.Filter, limit int) (keys []devicemgr.Key) {
	t.Helper()
	for after, more := "", true; more; more = after != "" {
		if err := devicemgr.CheckCursor(after); err != nil {
			t.Fatal(err)
		}
		var page []devicemgr.Info[link]
		page, after = m.List(f, after, limit)
		if len(page) > limit || after != "" && len(page) < limit {
			t.Fatalf("a page of %d, want %d", len(page), limit)
		}
		for _, i := range page {
			keys = append(keys, i.Key)
		}
	}
	return keys
}

func TestManager_List(t *testing.T) {
	m := table(t, devicemgr.Config{})
	var want []devicemgr.Key
	for _, tenant := range []string{"a", "ab", "b"} {
		for _, name := range []string{"", "x", "x\x00y", "x1", "x2", "y1", "y2"} {
			k := devicemgr.Key{Tenant: tenant, Device: name}
			want = append(want, k)
			s, epoch, _ := m.Connect(k, &link{})
			switch name {
			case "x1":
				m.Unregister(s, epoch)
			case "y1", "x2":
				if err := m.Join(s, s.Epoch(), "g", 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	yes, no := true, false
	for name, tc := range map[string]struct {
		f    devicemgr.Filter
		want func(k devicemgr.Key) bool
	}{
		"everything":       {devicemgr.Filter{}, func(devicemgr.Key) bool { return true }},
		"of a tenant":      {devicemgr.Filter{Tenant: "a"}, func(k devicemgr.Key) bool { return k.Tenant == "a" }},
		"with a prefix":    {devicemgr.Filter{Prefix: "x"}, func(k devicemgr.Key) bool { return k.Device != "" && k.Device[0] == 'x' }},
		"online":           {devicemgr.Filter{Online: &yes}, func(k devicemgr.Key) bool { return k.Device != "x1" }},
		"offline":          {devicemgr.Filter{Online: &no, Tenant: "b"}, func(k devicemgr.Key) bool { return k.Device == "x1" && k.Tenant == "b" }},
		"of a group":       {devicemgr.Filter{Tenant: "ab", Group: "g"}, func(k devicemgr.Key) bool { return k.Tenant == "ab" && (k.Device == "x2" || k.Device == "y1") }},
		"of no such group": {devicemgr.Filter{Tenant: "ab", Group: "h"}, func(devicemgr.Key) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			var some []devicemgr.Key
			for _, k := range want {
				if tc.want(k) {
					some = append(some, k)
				}
			}
			for _, limit := range []int{1, 2, 5, 1000} {
				if got := all(t, m, tc.f, limit); !slices.Equal(got, some) {
					t.Errorf("pages of %d: %q, want %q", limit, got, some)
				}
			}
		})
	}
	t.Run("a cursor that none is", func(t *testing.T) {
		for _, bad := range []string{"!", "YWJj", "a\x00b"} {
			page, next := m.List(devicemgr.Filter{}, bad, 10)
			if err := devicemgr.CheckCursor(bad); !errors.Is(err, devicemgr.ErrCursor) || page != nil || next != "" {
				t.Errorf("%q: %v, %d entries", bad, err, len(page))
			}
		}
	})
	t.Run("devices that come and go between the pages do not disturb the others", func(t *testing.T) {
		page, next := m.List(devicemgr.Filter{Tenant: "a"}, "", 4)
		last := page[3].Key
		s := m.Lookup(last)
		if s.Online() {
			m.Unregister(s, s.Epoch())
		}
		m.Forget(last) // the cursor names a device that is gone
		m.Connect(devicemgr.Key{Tenant: "a", Device: "0"}, &link{})
		page, next = m.List(devicemgr.Filter{Tenant: "a"}, next, 4)
		if len(page) != 3 || page[0].Key.Device != "x2" || next != "" {
			t.Errorf("%d entries, first %q", len(page), page[0].Key)
		}
	})
}

func TestManager_Info(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := table(t, devicemgr.Config{})
		time.Sleep(700 * time.Millisecond) // signs of life are noted in whole seconds
		l := &link{}
		s, epoch, _ := m.Connect(device(1), l)
		began := time.Now()
		s.SetDurable(9)
		if in := m.Info(s); !in.LastSeen.Equal(began.Truncate(time.Second)) {
			t.Errorf("connected at %v and last seen at %v", in.ConnectedAt, in.LastSeen)
		}
		time.Sleep(time.Minute)
		s.Touch(time.Now())
		in := m.Info(s)
		if !in.Online || in.Link != l || !in.ConnectedAt.Equal(began) || !in.LastSeen.Equal(began.Add(time.Minute).Truncate(time.Second)) ||
			in.Durable != 9 || in.Epoch != epoch || in.Groups != nil {
			t.Errorf("%+v", in)
		}
		if in.End != (devicemgr.End{}) {
			t.Errorf("%+v", in)
		}
		m.Unregister(s, epoch)
		if in := m.Info(s); in.Online || in.Link != nil || !in.ConnectedAt.IsZero() || in.Epoch != epoch {
			t.Errorf("%+v", in)
		}
	})
}

// When a device came is told by the clock, also where its epoch was lifted far above it.
// When and how it went stays with it until it comes back.
func TestManager_InfoOfComingAndGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := table(t, devicemgr.Config{})
		s, epoch, ok := m.Replace(device(1), &link{}, nil)
		epoch, lifted := m.Lift(s, epoch, uint64(time.Now().Add(1000*time.Hour).UnixMicro()))
		if in := m.Info(s); !ok || !lifted || !in.ConnectedAt.Equal(time.Now()) {
			t.Errorf("online: %+v", in)
		}
		time.Sleep(time.Hour)
		if !m.UnregisterAs(s, epoch, devicemgr.End{Code: 65535, Cause: 12}) {
			t.Fatal("it was gone already")
		}
		left := devicemgr.End{At: time.Now(), Code: 65535, Cause: 12}
		time.Sleep(time.Hour)
		in := m.Info(s)
		if !in.End.At.Equal(left.At) || in.End.Code != left.Code || in.End.Cause != left.Cause {
			t.Errorf("offline: %+v", in)
		}
		m.Connect(device(1), &link{})
		if in := m.Info(s); !in.ConnectedAt.Equal(time.Now()) || in.End != (devicemgr.End{}) {
			t.Errorf("online again: %+v", in)
		}
		newer := devicemgr.Presence{Key: device(1), Epoch: s.Epoch() + 1, Online: true}
		if m.Heard(newer, 1) == nil || m.Info(s).End.Cause != devicemgr.EndElsewhere {
			t.Errorf("gone to another node: %+v", m.Info(s))
		}
	})
}

func TestManager_Range(t *testing.T) {
	m := table(t, devicemgr.Config{})
	want := map[devicemgr.Key]bool{}
	for n := range 1000 {
		k := device(n)
		if n%3 == 0 {
			k.Tenant = "u"
		}
		s, epoch, _ := m.Connect(k, &link{})
		if n%10 == 0 {
			m.Unregister(s, epoch)
		} else if k.Tenant == "u" {
			want[k] = true
		}
	}
	m.Range("u", func(s *devicemgr.Session[link]) bool {
		if !want[s.Key()] {
			t.Errorf("%v is met, or met again", s.Key())
		}
		delete(want, s.Key())
		m.Unregister(s, s.Epoch()) // no lock is held
		return true
	})
	if len(want) != 0 {
		t.Errorf("%d were not met", len(want))
	}
	met := 0
	m.Range("", func(*devicemgr.Session[link]) bool { met++; return met < 5 })
	if met != 5 {
		t.Errorf("%d met after the visitor stopped", met)
	}
}

func BenchmarkManager_List(b *testing.B) {
	m := table(b, devicemgr.Config{})
	for n := range 100_000 {
		m.Connect(device(n), &link{})
	}
	_, middle := m.List(devicemgr.Filter{}, "", 50_000)
	b.ReportAllocs()
	for b.Loop() {
		if page, _ := m.List(devicemgr.Filter{}, middle, 100); len(page) != 100 {
			b.Fatal(len(page))
		}
	}
}
