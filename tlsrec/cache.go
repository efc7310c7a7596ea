package tlsrec

import (
	"slices"
	"time"
)

const (
	// cachedMost is how many connections of a loop keep their ciphers, about 2.7 KB each.
	// Those beyond have them made anew for each record, at the price of some twenty.
	cachedMost = 8192
	// cachedFor is how long a silent connection keeps them, up to twice that.
	cachedFor = 2 * time.Second
)

// A Cache has the connections that keep their ciphers, because they spoke a moment ago. One
// loop owns it, and the Sessions that use it.
type Cache struct {
	held  []*records
	swept time.Duration
}

// keep notes that r has ciphers now. Where there is no room the last has none any more, and
// the others keep theirs: of those that speak in turn the oldest is always the next to speak.
func (c *Cache) keep(r *records) {
	switch {
	case c == nil || r.place > 0:
	case len(c.held) < cachedMost:
		c.held = append(c.held, r)
		r.place = uint16(len(c.held)) //nolint:gosec // at most cachedMost
	default:
		last := c.held[cachedMost-1]
		last.live, last.place = nil, 0
		c.held[cachedMost-1] = r
		r.place = cachedMost
	}
}

// forget lets go of a connection.
func (c *Cache) forget(r *records) {
	if c == nil || r.place == 0 {
		return
	}
	last := len(c.held) - 1
	c.held[r.place-1] = c.held[last]
	c.held[r.place-1].place = r.place
	c.held[last] = nil
	c.held, r.place = c.held[:last], 0
}

// Sweep has those that were silent for a while let go of their ciphers. It is to be called
// from time to time; now is any clock that goes on.
func (c *Cache) Sweep(now time.Duration) {
	if now-c.swept < cachedFor {
		return
	}
	c.swept = now
	for _, r := range slices.Backward(c.held) {
		if !r.spoke {
			r.live = nil
			c.forget(r)
		}
		r.spoke = false
	}
	if len(c.held) <= cap(c.held)/4 {
		c.held = slices.Clone(c.held)
	}
}
