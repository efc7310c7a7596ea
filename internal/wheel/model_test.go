package wheel_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"edgeloop/internal/wheel"
)

// entry is what the naive model knows of a timer: it fires at the first tick
// that is neither before last+wait nor before look.
type entry struct {
	last, wait, look uint32
	parked           bool
}

func (e entry) due(now uint32) bool {
	return !e.parked && int32(now-e.last-e.wait) >= 0 && int32(now-e.look) >= 0
}

// model drives a Wheel and a map side by side.
type model struct {
	w     *wheel.Wheel
	slots uint32
	now   uint32
	m     map[uint32]entry
}

func (m *model) add(t *rapid.T) {
	wait := rapid.Uint32Range(0, 40).Draw(t, "wait")
	id := m.w.Add(wait)
	if _, ok := m.m[id]; ok || id == 0 {
		t.Fatalf("Add gave id %d, which is in use", id)
	}
	m.m[id] = entry{last: m.now, wait: max(wait, 1), look: m.now}
}

func (m *model) pick(t *rapid.T) uint32 {
	if len(m.m) == 0 {
		t.Skip("no timers")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.m))).Draw(t, "id")
}

func (m *model) touch(t *rapid.T) {
	id := m.pick(t)
	m.w.Touch(id)
	e := m.m[id]
	e.last = m.now
	m.m[id] = e
}

func (m *model) reset(t *rapid.T) {
	id, wait := m.pick(t), rapid.Uint32Range(0, 40).Draw(t, "wait")
	m.w.Reset(id, wait)
	m.m[id] = entry{last: m.now, wait: max(wait, 1), look: m.now}
}

func (m *model) remove(t *rapid.T) {
	id := m.pick(t)
	m.w.Remove(id)
	delete(m.m, id)
}

func (m *model) advance(t *rapid.T) {
	from := m.now
	m.now += rapid.Uint32Range(0, 30).Draw(t, "ticks")
	due := map[uint32]bool{}
	for id, e := range m.m {
		if m.now != from && e.due(m.now) {
			due[id] = true
		}
	}
	m.w.Advance(m.now, func(id uint32) uint32 {
		if !due[id] {
			t.Fatalf("tick %d: %d fired, which is %+v", m.now, id, m.m[id])
		}
		delete(due, id)
		return m.answer(t, id, due)
	})
	for id := range due {
		t.Fatalf("tick %d: %d did not fire, which is %+v", m.now, id, m.m[id])
	}
}

// answer is the body of a fire: it may do anything to any timer.
func (m *model) answer(t *rapid.T, id uint32, due map[uint32]bool) uint32 {
	wait := rapid.Uint32Range(0, 40).Draw(t, "answer")
	switch rapid.IntRange(0, 5).Draw(t, "in fire") {
	case 0:
		m.w.Remove(id)
		delete(m.m, id)
	case 1:
		other := m.pick(t)
		m.w.Remove(other)
		delete(m.m, other)
		delete(due, other)
	case 2:
		m.w.Remove(id)
		delete(m.m, id)
		m.add(t) // may get the same id; the answer is not for it
		return wait
	case 3:
		m.w.Touch(id)
		e := m.m[id]
		e.last = m.now
		m.m[id] = e
	case 4:
		m.w.Reset(id, 7)
		m.m[id] = entry{last: m.now, wait: 7, look: m.now}
		if wait == 0 {
			return 0 // the Reset stands
		}
	}
	if e, ok := m.m[id]; ok {
		e.look, e.parked = m.now+min(wait, m.slots-1), wait == 0
		m.m[id] = e
	}
	return wait
}

func (m *model) check(t *rapid.T) {
	if m.w.Len() != len(m.m) {
		t.Fatalf("Len = %d, want %d", m.w.Len(), len(m.m))
	}
	for id, e := range m.m {
		if got := m.w.Idle(id); got != m.now-e.last {
			t.Fatalf("Idle(%d) = %d, want %d", id, got, m.now-e.last)
		}
	}
}

func TestWheel_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			slots: 1 << rapid.IntRange(2, 6).Draw(t, "slot bits"),
			now:   rapid.SampledFrom([]uint32{0, 1000, 1<<32 - 20}).Draw(t, "now"),
			m:     map[uint32]entry{},
		}
		m.w = wheel.New(int(m.slots), m.now)
		t.Repeat(map[string]func(*rapid.T){
			"add": m.add, "touch": m.touch, "reset": m.reset,
			"remove": m.remove, "advance": m.advance, "": m.check,
		})
	})
}
