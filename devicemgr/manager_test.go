package devicemgr_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/devicemgr"
)

// link is a connection.
type link struct{ name string }

// table makes a Manager that is checked when the test ends.
func table(t testing.TB, cfg devicemgr.Config) *devicemgr.Manager[link] {
	t.Helper()
	m, err := devicemgr.New[link](cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Check(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func device(n int) devicemgr.Key {
	return devicemgr.Key{Tenant: "t", Device: fmt.Sprintf("device-%05d", n)}
}

func TestNew(t *testing.T) {
	if _, err := devicemgr.New[link](devicemgr.Config{MaxOffline: -1}); err == nil {
		t.Error("a negative MaxOffline is accepted")
	}
}

// A device connects, connects again while the first connection hangs, and only
// then does the first connection's end become known.
func TestManager_Takeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []devicemgr.Presence
		m := table(t, devicemgr.Config{OnPresence: func(p devicemgr.Presence) { told = append(told, p) }})
		began := time.Now()
		k := device(1)
		first, second := &link{"first"}, &link{"second"}
		s, one, replaced := m.Connect(k, first)
		if replaced != nil || s.Link() != first || s.Key() != k || one != uint64(began.UnixMicro()) {
			t.Fatalf("first: epoch %d, replaced %v", one, replaced)
		}
		again, two, replaced := m.Connect(k, second)
		if again != s || replaced != first || s.Link() != second {
			t.Fatalf("second: replaced %v, link %v", replaced, s.Link())
		}
		if two != one+1 || s.Epoch() != two {
			t.Fatalf("epochs %d and %d within one microsecond", one, two)
		}
		if m.Unregister(s, one) || s.Link() != second || !s.Online() {
			t.Fatal("the close of the old connection ended the new one")
		}
		time.Sleep(time.Hour)
		if !m.Unregister(s, two) || s.Link() != nil || s.Online() {
			t.Fatal("the close of the present connection did nothing")
		}
		if m.Unregister(s, two) {
			t.Fatal("closed twice")
		}
		_, three, replaced := m.Connect(k, first)
		if three != uint64(time.Now().UnixMicro()) || replaced != nil {
			t.Fatalf("third: epoch %d, replaced %v", three, replaced)
		}
		want := []devicemgr.Presence{
			{Key: k, Epoch: one, Online: true, At: began, Cause: devicemgr.CauseConnected},
			{Key: k, Epoch: two, Online: true, At: began, Cause: devicemgr.CauseTookOver},
			{Key: k, Epoch: two, At: time.Now(), Cause: devicemgr.CauseLeft},
			{Key: k, Epoch: three, Online: true, At: time.Now(), Cause: devicemgr.CauseConnected},
		}
		if len(told) != len(want) {
			t.Fatalf("told %+v", told)
		}
		for i := range want {
			if told[i] != want[i] {
				t.Errorf("event %d: %+v, want %+v", i, told[i], want[i])
			}
		}
		if st := m.Stats(); st.Registered != 3 || st.Takeovers != 1 || st.Fenced != 2 || st.Online != 1 || st.Tenants != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// The clock of the node is set back by a day. Epochs grow all the same.
func TestManager_ClockSetBack(t *testing.T) {
	now := time.UnixMicro(1_000_000_000)
	m := table(t, devicemgr.Config{Now: func() time.Time { return now }})
	s, one, _ := m.Connect(device(1), &link{})
	m.Unregister(s, one)
	now = now.Add(-24 * time.Hour)
	_, two, _ := m.Connect(device(1), &link{})
	if two != one+1 {
		t.Errorf("epoch %d after %d", two, one)
	}
	m.Unregister(s, two)
	m.Forget(device(1))
	if _, three, _ := m.Connect(device(1), &link{}); three != two+1 {
		t.Errorf("epoch %d after %d, which was forgotten", three, two)
	}
}

func TestManager_Remembered(t *testing.T) {
	t.Run("the device that left first is forgotten first, and the bound is exact", func(t *testing.T) {
		m := table(t, devicemgr.Config{MaxOffline: 3})
		for n := range 10 {
			s, epoch, _ := m.Connect(device(n), &link{})
			s.SetDurable(uint64(n))
			m.Unregister(s, epoch)
			if _, remembered := m.Len(); remembered != min(n+1, 3) {
				t.Fatalf("%d remembered after %d left", remembered, n+1)
			}
		}
		for n := range 10 {
			if s := m.Lookup(device(n)); (s != nil) != (n >= 7) || s != nil && s.Durable() != uint64(n) {
				t.Errorf("device %d: %v", n, s)
			}
		}
		s, epoch, _ := m.Connect(device(7), &link{}) // the oldest comes and goes: now the newest
		m.Unregister(s, epoch)
		s, epoch, _ = m.Connect(device(0), &link{})
		m.Unregister(s, epoch)
		if m.Lookup(device(7)) == nil || m.Lookup(device(8)) != nil {
			t.Error("coming back did not renew the memory")
		}
		if st := m.Stats(); st.Forgotten != 8 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("a session whose messages are on their way to the log is kept", func(t *testing.T) {
		m := table(t, devicemgr.Config{MaxOffline: 1})
		busy, epoch, _ := m.Connect(device(0), &link{})
		busy.SetLoaded(4)
		busy.AcceptOnLane(7)
		m.Unregister(busy, epoch)
		for n := 1; n < 4; n++ {
			s, epoch, _ := m.Connect(device(n), &link{})
			m.Unregister(s, epoch)
		}
		if m.Lookup(device(0)) != busy {
			t.Fatal("it was forgotten")
		}
		if err := m.Check(); err != nil {
			t.Error(err)
		}
		busy.SetDurable(7)
		s, epoch, _ := m.Connect(device(9), &link{})
		m.Unregister(s, epoch)
		if _, remembered := m.Len(); remembered != 1 || m.Lookup(device(9)) != s {
			t.Errorf("%d remembered once all is durable", remembered)
		}
	})
	t.Run("Forget drops the offline only", func(t *testing.T) {
		m := table(t, devicemgr.Config{})
		s, epoch, _ := m.Connect(device(1), &link{})
		if m.Forget(device(1)) || m.Forget(device(2)) {
			t.Error("forgot a device that is online, or none")
		}
		m.Unregister(s, epoch)
		if !m.Forget(device(1)) || m.Lookup(device(1)) != nil || m.Unregister(s, epoch) {
			t.Error("the session is still there")
		}
		if st := m.Stats(); st.Tenants != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSession_Sequences(t *testing.T) {
	m := table(t, devicemgr.Config{})
	s, _, _ := m.Connect(device(1), &link{})
	if s.Loaded() || s.Durable() != 0 || s.AcceptedOnLane() != 0 {
		t.Error("a new session knows something")
	}
	s.SetDurable(5) // a message of the last connection became durable meanwhile
	if s.Loaded() || s.Durable() != 5 {
		t.Error("SetDurable is not SetLoaded")
	}
	s.SetLoaded(3)
	if !s.Loaded() || s.Durable() != 5 || s.AcceptedOnLane() != 5 {
		t.Errorf("loaded %v, durable %d, accepted %d", s.Loaded(), s.Durable(), s.AcceptedOnLane())
	}
	s.AcceptOnLane(9)
	s.SetDurable(8)
	s.SetDurable(2)
	if s.Durable() != 8 || s.AcceptedOnLane() != 9 || !s.Loaded() {
		t.Errorf("durable %d, accepted %d", s.Durable(), s.AcceptedOnLane())
	}
	at := time.UnixMilli(1_795_234_836_123)
	if s.Touch(at); !s.LastSeen().Equal(at.Truncate(time.Second)) {
		t.Errorf("last seen %v", s.LastSeen())
	}
	for wrong, want := range map[time.Time]int64{{}: 0, time.Unix(1<<33, 0): math.MaxUint32} {
		if s.Touch(wrong); s.LastSeen().Unix() != want { // the clock of a machine may say anything
			t.Errorf("last seen %v, which is %d, not %d", s.LastSeen(), s.LastSeen().Unix(), want)
		}
	}
}

// Everything that reads the table runs while connections come and go: for the
// race detector, and for locks taken in the wrong order.
func TestManager_Concurrent(t *testing.T) {
	m := table(t, devicemgr.Config{MaxOffline: 50})
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for g := range 3 {
		writers.Go(func() {
			for i := range 1500 {
				s, epoch, _ := m.Connect(device((i*11+g)%200), &link{})
				if err := m.Join(s, s.Epoch(), "g", 0); err != nil && s.Epoch() == epoch {
					t.Error(err)
				}
				if i%2 == 0 {
					m.Unregister(s, epoch)
				}
			}
		})
	}
	visit := func(s *devicemgr.Session[link]) bool { s.Link(); return true }
	for _, read := range []func(i int){
		func(i int) { m.Lookup(device(i % 200)) },
		func(int) { m.List(devicemgr.Filter{Tenant: "t"}, "", 20) },
		func(int) { m.Range("", visit); m.Members("t", "g", visit) },
		func(int) {
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		},
	} {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					read(i)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// A device of an earlier life of the node is there until it returns, behind those that
// left, and never in the place of one that is known better.
func TestManager_Remember(t *testing.T) {
	m := table(t, devicemgr.Config{MaxOffline: 2})
	seen := time.UnixMilli(1_000_000)
	s, epoch, _ := m.Connect(device(1), &link{})
	for n, want := range map[int]bool{1: false, 2: true} {
		if got := m.Remember(device(n), devicemgr.Memory{Epoch: 1 << 52, Durable: 9, Seen: seen}); got != want {
			t.Errorf("device %d: remembered %v", n, got)
		}
	}
	old := m.Lookup(device(2))
	if in := m.Info(old); in.Online || in.Durable != 9 || !in.LastSeen.Equal(seen) || in.End != (devicemgr.End{}) || old.Loaded() {
		t.Errorf("remembered as %+v", in)
	}
	m.Unregister(s, epoch)
	if m.Remember(device(3), devicemgr.Memory{}) {
		t.Error("more are remembered than MaxOffline")
	}
	if s, epoch, _ := m.Connect(device(2), &link{}); s != old || epoch != 1<<52+1 {
		t.Errorf("it returned with epoch %d", epoch)
	}
}
