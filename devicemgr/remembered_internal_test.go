package devicemgr

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

type noLink struct{ _ byte } // one that has a place of its own

// come has a device connect and leave at once.
func come(m *Manager[noLink], name string) {
	s, epoch, _ := m.Connect(Key{"t", name}, &noLink{})
	m.Unregister(s, epoch)
}

// TestSession_ForgottenOrAccepted: a lane accepts messages of a device that has
// left while the table forgets the device. Either the session stays, or the lane
// sees that it is gone: never both accept and forget, and once one message was
// lost none is accepted any more.
func TestSession_ForgottenOrAccepted(t *testing.T) {
	both, holes, kept, dropped := 0, 0, 0, 0
	for range 2000 {
		m, err := New[noLink](Config{MaxOffline: 1})
		if err != nil {
			t.Fatal(err)
		}
		s, epoch, _ := m.Connect(Key{"t", "old"}, &noLink{})
		s.SetLoaded(0)
		m.Unregister(s, epoch)
		next, nextEpoch, _ := m.Connect(Key{"t", "new"}, &noLink{})
		var all sync.WaitGroup
		taken, lost := false, false
		all.Go(func() {
			for seq := uint64(1); seq < 8; seq++ {
				switch ok := s.Epoch() == epoch && s.AcceptOnLane(seq); {
				case !ok:
					lost = true
				case lost:
					holes++
				default:
					taken = true
				}
			}
		})
		all.Go(func() { m.Unregister(next, nextEpoch) }) // one too many is remembered now
		all.Wait()
		switch gone := m.Lookup(Key{"t", "old"}) == nil; {
		case gone && taken:
			both++
		case taken:
			kept++
		default:
			dropped++
		}
	}
	t.Logf("%d kept, %d dropped", kept, dropped)
	if both > 0 || holes > 0 {
		t.Errorf("%d times messages were accepted by a session that was forgotten, %d times behind a lost one", both, holes)
	}
}

// TestSession_BusyIsNotTouched: a session with messages on their way is looked at
// for being forgotten over and over, and stays. Its lane and its connection must see
// nothing of that: not one message is dropped, for the next would be accepted.
func TestSession_BusyIsNotTouched(t *testing.T) {
	m, err := New[noLink](Config{MaxOffline: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, epoch, _ := m.Connect(Key{"t", "busy"}, &noLink{})
	s.SetLoaded(0)
	s.AcceptOnLane(1)
	m.Unregister(s, epoch)
	var stop atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		defer stop.Store(true)
		for range 50_000 {
			come(m, "a")
			come(m, "b")
		}
	})
	lost := 0
	for seq := uint64(2); !stop.Load(); seq++ {
		if s.Epoch() != epoch || !s.AcceptOnLane(seq) {
			lost++
		}
	}
	all.Wait()
	if looked := m.remembered.looked; lost > 0 || looked < 50_000 || m.Lookup(Key{"t", "busy"}) != s {
		t.Errorf("%d messages lost while it was looked at %d times", lost, looked)
	}
}

// TestManager_MassDisconnect: thousands leave while the log stands still, so none can
// be forgotten. Each looks at a few, not at all who left before.
func TestManager_MassDisconnect(t *testing.T) {
	const devices = 20_000
	m, err := New[noLink](Config{MaxOffline: 1})
	if err != nil {
		t.Fatal(err)
	}
	sessions := make([]*Session[noLink], devices)
	for i := range sessions {
		s, epoch, _ := m.Connect(Key{"t", fmt.Sprint(i)}, &noLink{})
		s.AcceptOnLane(1)
		m.Unregister(s, epoch)
		sessions[i] = s
	}
	if looked := m.remembered.looked; looked > devices*forgetSteps {
		t.Errorf("%d departures looked at %d sessions", devices, looked)
	}
	for _, s := range sessions {
		s.SetDurable(1)
	}
	for range devices {
		come(m, "one more")
	}
	if _, n := m.Len(); n != 1 {
		t.Errorf("%d remembered after the log went on, want 1", n)
	}
}
