package wheel_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"edgeloop/internal/wheel"
)

// entry is what the naive model knows of a timer: it fires at the first tick
// that is not before look.
type entry struct {
	last, look uint32
	mark       uint32
	marked     bool
	parked     bool
	due        bool // taken up by an Advance, and not fired
}

// model drives a Wheel and a map side by side.
type model struct {
	w     *wheel.Wheel
	slots uint32
	now   uint32
	m     map[uint32]entry
}

func (m *model) add(t *rapid.T) {
	wait := rapid.Uint32Range(0, 80).Draw(t, "wait")
	id := m.w.Add(wait)
	if _, ok := m.m[id]; ok || id == 0 {
		t.Fatalf("Add gave id %d, which is in use", id)
	}
	m.m[id] = entry{last: m.now, look: m.lookAfter(wait)}
}

// lookAfter is the tick at which a timer of that wait fires.
func (m *model) lookAfter(wait uint32) uint32 { return m.now + min(max(wait, 1), m.slots-1) }

func (m *model) pick(t *rapid.T) uint32 {
	if len(m.m) == 0 {
		t.Skip("no timers")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.m))).Draw(t, "id")
}

func (m *model) touch(t *rapid.T) { m.heard(m.pick(t)) }

func (m *model) heard(id uint32) {
	m.w.Touch(id)
	e := m.m[id]
	e.last, e.marked = m.now, false
	m.m[id] = e
}

func (m *model) mark(t *rapid.T) {
	id := m.pick(t)
	m.w.Mark(id)
	if e := m.m[id]; !e.marked && e.last != m.now {
		e.mark, e.marked = m.now, true
		m.m[id] = e
	}
}

func (m *model) reset(t *rapid.T) {
	id, wait := m.pick(t), rapid.Uint32Range(0, 80).Draw(t, "wait")
	m.w.Reset(id, wait)
	m.m[id] = entry{last: m.now, look: m.lookAfter(wait)}
}

func (m *model) remove(t *rapid.T) {
	id := m.pick(t)
	m.w.Remove(id)
	delete(m.m, id)
}

func (m *model) advance(t *rapid.T) {
	from := m.now
	m.now += rapid.Uint32Range(0, 90).Draw(t, "ticks")
	m.w.Advance(m.now)
	for id, e := range m.m {
		if m.now != from && !e.parked && int32(m.now-e.look) >= 0 {
			e.due = true
			m.m[id] = e
		}
	}
}

// fire fires a slice of those that are due.
func (m *model) fire(t *rapid.T) {
	most, fired := rapid.IntRange(1, 5).Draw(t, "most"), 0
	more := m.w.Fire(most, func(id uint32) uint32 {
		if fired++; !m.m[id].due {
			t.Fatalf("tick %d: %d fired, which is %+v", m.now, id, m.m[id])
		}
		return m.answer(t, id)
	})
	left := 0
	for _, e := range m.m {
		if e.due {
			left++
		}
	}
	if fired > most || more != (left > 0) || (fired < most && more) {
		t.Fatalf("tick %d: %d of at most %d fired, %d are left, and Fire says %v", m.now, fired, most, left, more)
	}
}

// answer is the body of a fire: it may do anything to any timer.
func (m *model) answer(t *rapid.T, id uint32) uint32 {
	wait := rapid.Uint32Range(0, 80).Draw(t, "answer")
	e := m.m[id]
	e.due = false
	m.m[id] = e
	switch rapid.IntRange(0, 5).Draw(t, "in fire") {
	case 0:
		m.w.Remove(id)
		delete(m.m, id)
	case 1:
		other := m.pick(t)
		m.w.Remove(other)
		delete(m.m, other)
	case 2:
		m.w.Remove(id)
		delete(m.m, id)
		m.add(t) // may get the same id; the answer is not for it
		return wait
	case 3:
		m.heard(id)
	case 4:
		m.w.Reset(id, 7)
		m.m[id] = entry{last: m.now, look: m.lookAfter(7)}
		if wait == 0 {
			return 0 // the Reset stands
		}
	}
	if e, ok := m.m[id]; ok {
		e.look, e.parked = m.lookAfter(wait), wait == 0
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
		if ago, ok := m.w.Marked(id); ok != e.marked || (ok && ago != m.now-e.mark) {
			t.Fatalf("Marked(%d) = %d, %v at tick %d, want %+v", id, ago, ok, m.now, e)
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
			"remove": m.remove, "advance": m.advance, "mark": m.mark, "fire": m.fire, "": m.check,
		})
	})
}
