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
	waiting map[*link]struct{}

	// Atomic.
	used    atomic.Int64
	anyWait atomic.Bool
}

// reserve takes n bytes of the node's budget, or none. While others wait it
// takes none: nobody may keep the budget from sinking. While half of the budget
// is free it takes any n, or a read that is larger than the other half would
// wait for what never comes; the bound may be passed by one such read.
func (g *Gateway) reserve(n int) bool {
	if g.memory.anyWait.Load() {
		return false
	}
	limit := g.limits.inFlight.Load()
	used := g.memory.used.Add(int64(n))
	if used > limit && used-int64(n) > limit/2 {
		g.unreserve(n) // not only the number: it may be this that somebody waits for
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
	for l := range waiting {
		l.LaneReady()
	}
}

// waitForMemory has l.LaneReady called when half of the budget is free. It
// announces itself before it looks, so a budget that is given back in between
// is either seen here or by who gives it back.
func (g *Gateway) waitForMemory(l *link) {
	g.memory.mu.Lock()
	if g.memory.waiting == nil {
		g.memory.waiting = make(map[*link]struct{})
	}
	g.memory.waiting[l] = struct{}{}
	g.memory.anyWait.Store(true)
	g.memory.mu.Unlock()
	g.unreserve(0)
}

// forgetMemory ends l's wait. When it was the last, the others may go on.
func (g *Gateway) forgetMemory(l *link) {
	g.memory.mu.Lock()
	defer g.memory.mu.Unlock()
	delete(g.memory.waiting, l)
	g.memory.anyWait.Store(len(g.memory.waiting) > 0)
}
