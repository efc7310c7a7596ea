package devicemgr_test

import (
	"runtime"
	"testing"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/internal/invariants"
)

func TestSessionSize(t *testing.T) {
	if devicemgr.SessionSize > 80 {
		t.Errorf("a session takes %d bytes, want at most 80", devicemgr.SessionSize)
	}
}

// What a registered device costs in the heap, with everything: session,
// name, and its share of the table.
func TestMemoryPerDevice(t *testing.T) {
	if invariants.Race {
		t.Skip("the race detector makes everything larger")
	}
	const devices, budget = 100_000, 107
	names := make([]devicemgr.Key, devices)
	for n := range names {
		names[n] = device(n)
	}
	l := &link{}
	m := table(t, devicemgr.Config{})
	before := heap()
	for _, k := range names {
		m.Connect(k, l)
	}
	per := float64(heap()-before) / devices
	t.Logf("%.0f bytes per registered device, name of %d bytes included", per, len(names[0].Device))
	if per > budget {
		t.Errorf("%.0f bytes per device, want at most %d", per, budget)
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(names)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestAllocs_Session(t *testing.T) {
	m := table(t, devicemgr.Config{})
	k := device(1)
	s, _, _ := m.Connect(k, &link{})
	now := time.Now()
	for name, f := range map[string]func(){
		"Lookup":     func() { m.Lookup(k) },
		"Hash":       func() { m.Hash(k) },
		"Touch":      func() { s.Touch(now) },
		"Link":       func() { s.Link() },
		"Key":        func() { s.Key() },
		"SetDurable": func() { s.SetDurable(s.Durable() + 1) },
		"Accepted":   func() { s.AcceptOnLane(s.AcceptedOnLane() + 1) },
	} {
		if got := testing.AllocsPerRun(1000, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkManager_Lookup(b *testing.B) {
	m := table(b, devicemgr.Config{})
	keys := make([]devicemgr.Key, 100_000)
	for n := range keys {
		keys[n] = device(n)
		m.Connect(keys[n], &link{})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if m.Lookup(keys[i%len(keys)]) == nil {
			b.Fatal("not found")
		}
		i += 7919
	}
}

func BenchmarkManager_Reconnect(b *testing.B) {
	m := table(b, devicemgr.Config{OnPresence: func(devicemgr.Presence) {}})
	keys := make([]devicemgr.Key, 100_000)
	for n := range keys {
		keys[n] = device(n)
		m.Connect(keys[n], &link{})
	}
	l := &link{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s, epoch, _ := m.Connect(keys[i%len(keys)], l)
		m.Unregister(s, epoch)
		i += 7919
	}
}
