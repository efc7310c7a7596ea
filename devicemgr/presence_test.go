package devicemgr_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"edgeloop/devicemgr"
)

// Connections of few devices come and go on many goroutines. Whatever the
// order, each device's events come with growing epochs, offline follows online,
// and the last event says what is so.
func TestManager_PresenceOrder(t *testing.T) {
	const devices = 8
	type state struct {
		epoch  uint64
		online bool
	}
	last := map[devicemgr.Key]state{}
	var inside atomic.Int32
	m := table(t, devicemgr.Config{MaxOffline: 4, OnPresence: func(p devicemgr.Presence) {
		if inside.Add(1) != 1 {
			t.Error("told of two events at once")
		}
		was := last[p.Key]
		if p.Online && p.Epoch <= was.epoch || !p.Online && (p.Epoch != was.epoch || !was.online) {
			t.Errorf("%v: epoch %d online %v follows epoch %d online %v", p.Key, p.Epoch, p.Online, was.epoch, was.online)
		}
		last[p.Key] = state{p.Epoch, p.Online}
		runtime.Gosched()
		inside.Add(-1)
	}})
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for i := range 500 {
				k := device((i*7 + g) % devices)
				s, epoch, _ := m.Connect(k, &link{})
				runtime.Gosched()
				if i%3 != 0 {
					m.Unregister(s, epoch)
				}
			}
		})
	}
	wg.Wait()
	for k, st := range last {
		if s := m.Lookup(k); (s != nil && s.Online()) != st.online || s != nil && s.Epoch() != st.epoch {
			t.Errorf("%v: told online %v in epoch %d", k, st.online, st.epoch)
		}
	}
}

// A hook may use the table, and what it changes is told after.
func TestManager_PresenceReentrant(t *testing.T) {
	var m *devicemgr.Manager[link]
	var told []devicemgr.Cause
	m = table(t, devicemgr.Config{OnPresence: func(p devicemgr.Presence) {
		told = append(told, p.Cause)
		if p.Cause == devicemgr.CauseConnected {
			s := m.Lookup(p.Key)
			m.Unregister(s, p.Epoch)
		}
	}})
	m.Connect(device(1), &link{})
	if len(told) != 2 || told[1] != devicemgr.CauseLeft {
		t.Errorf("told %v", told)
	}
}
