package gateway

import (
	"sync"
	"time"

	"edgeloop/internal/bytebuf"
)

// memory makes links wait until there is memory for what they would read. The budget counts how
// much is held, from the pools that lend it.
type memory struct {
	// Immutable after construction.
	budget *bytebuf.Budget

	// Guarded by mu.
	mu      sync.Mutex
	waiting map[*link]struct{}
	armed   bool // some will be woken soon
}

const (
	// wakePace is the time between two slices of those who waited for memory. Each
	// of them reads at once what lies in its socket: all together would fill what
	// has just become free many times over.
	wakePace = 5 * time.Millisecond
	// wakeCost is what one of them may take: a read, and the batch made of it.
	wakeCost = 2 * 64 << 10
	// wakeLeast are woken, and go on, even when there is no room at all. What they
	// hold themselves may be all that is held, and it goes on only with them.
	wakeLeast = 8
)

// wait has l.LaneReady called when there may be memory again.
func (m *memory) wait(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		m.waiting = make(map[*link]struct{})
	}
	m.waiting[l] = struct{}{}
	m.watchLocked()
}

// forget ends l's wait.
func (m *memory) forget(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, l)
	m.shrinkLocked()
}

// shrinkLocked gives the map back when it is empty: it never gets smaller.
func (m *memory) shrinkLocked() {
	if len(m.waiting) == 0 {
		m.waiting = nil
	}
}

// low is called by whoever gives memory back when little of it is moving.
func (m *memory) low() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchLocked()
}

// again looks once more, because the limit has changed.
func (m *memory) again() { m.low() }

// watchLocked makes sure that the links that wait are woken: by a timer if there is memory,
// otherwise by the goroutine that gives some back. It asks for that before it looks, so what comes
// back in between is not missed.
func (m *memory) watchLocked() {
	if m.armed || len(m.waiting) == 0 {
		m.budget.Want(false)
		return
	}
	m.budget.Want(true)
	if m.budget.Low() {
		m.budget.Want(false)
		m.armed = true
		time.AfterFunc(wakePace, m.wakeSome)
	}
}

// wakeSome wakes as many as there is memory for, in no order.
func (m *memory) wakeSome() {
	m.mu.Lock()
	m.armed = false
	n := int(max(wakeLeast, m.budget.Room()/wakeCost))
	woken := make([]*link, 0, min(n, len(m.waiting)))
	for l := range m.waiting {
		if len(woken) == n {
			break
		}
		woken = append(woken, l)
		delete(m.waiting, l)
	}
	m.shrinkLocked()
	m.watchLocked()
	m.mu.Unlock()
	for _, l := range woken {
		l.flags.Or(flagLetOn)
		l.LaneReady()
	}
}
