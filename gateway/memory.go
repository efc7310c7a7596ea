package gateway

import (
	"sync"
	"sync/atomic"
)

// memory bounds the bytes of all messages between socket and log. Lanes are
// bounded in number of reads, but a read may be 7 bytes or 64 KiB.
type memory struct {
	// Guarded by mu.
	mu      sync.Mutex
	waiting []*link

	// Atomic.
	used    atomic.Int64
	anyWait atomic.Bool
}

// reserve takes n bytes of the node's budget, or none.
func (g *Gateway) reserve(n int) bool {
	limit := g.limits.inFlight.Load()
	if g.memory.anyWait.Load() {
		limit /= 2 // those who wait come first: nobody may keep the budget from sinking
	}
	if used := g.memory.used.Add(int64(n)); used > limit && used > int64(n) {
		g.memory.used.Add(-int64(n))
		g.drops[DropMemoryFull].Add(1)
		return false
	}
	return true
}

// unreserve gives n bytes back, and wakes those who wait for them when half of
// the budget is free again.
func (g *Gateway) unreserve(n int) {
	used := g.memory.used.Add(-int64(n))
	if !g.memory.anyWait.Load() || used > g.limits.inFlight.Load()/2 {
		return
	}
	g.memory.mu.Lock()
	waiting := g.memory.waiting
	g.memory.waiting = nil
	g.memory.anyWait.Store(false)
	g.memory.mu.Unlock()
	for _, l := range waiting {
		l.conn.Wake()
	}
}

// waitForMemory puts l among those to be woken if the budget is what it lacks.
// It announces itself before it looks, so a budget that is given back in
// between is either seen here or wakes l.
func (g *Gateway) waitForMemory(l *link) bool {
	if g.memory.used.Load() <= g.limits.inFlight.Load()/2 {
		return false
	}
	g.memory.mu.Lock()
	g.memory.waiting = append(g.memory.waiting, l)
	g.memory.anyWait.Store(true)
	g.memory.mu.Unlock()
	if g.memory.used.Load() <= g.limits.inFlight.Load()/2 {
		g.unreserve(0)
	}
	return true
}
