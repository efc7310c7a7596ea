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
	// newcomersMost is how many of those that spoke last have them beside those, for an
	// answer: a device that is idle speaks too, once for each heartbeat.
	newcomersMost = 64
	// oftenTimes is how many times ciphers are made for one that speaks often, each within
	// oftenWithin sweeps of the one before.
	oftenTimes  = 3
	oftenWithin = 2
)

// A Cache has the connections that keep their ciphers, because they speak often or spoke a
// moment ago. One loop owns it, and the Sessions that use it.
type Cache struct {
	held      []*records // they speak often
	newcomers [newcomersMost]*records
	next      uint16 // of newcomers, who has to go
	sweeps    uint16
	swept     time.Duration
}

// keep notes that r has ciphers now.
func (c *Cache) keep(r *records) {
	if c == nil || r.place > 0 {
		return
	}
	if c.sweeps-r.made > oftenWithin {
		r.makes = 0
	}
	r.made = c.sweeps
	if r.makes++; r.makes >= oftenTimes {
		r.makes = oftenTimes
		c.keepOften(r)
		return
	}
	letGo(c.newcomers[c.next])
	c.newcomers[c.next] = r
	r.place = cachedMost + 1 + c.next
	c.next = (c.next + 1) % newcomersMost
}

// keepOften is keep for one that speaks often. Where there is no room the last has none any
// more, and the others keep theirs: of those that speak in turn the oldest is always the next
// to speak.
func (c *Cache) keepOften(r *records) {
	if len(c.held) < cachedMost {
		c.held = append(c.held, r)
	} else {
		letGo(c.held[cachedMost-1])
		c.held[cachedMost-1] = r
	}
	r.place = uint16(len(c.held)) //nolint:gosec // at most cachedMost
}

// letGo takes the ciphers of one whose place is another's.
func letGo(r *records) {
	if r != nil {
		r.live, r.place = nil, 0
	}
}

// forget lets go of a connection.
func (c *Cache) forget(r *records) {
	switch {
	case c == nil || r.place == 0:
		return
	case r.place > cachedMost:
		c.newcomers[r.place-cachedMost-1] = nil
	default:
		last := len(c.held) - 1
		c.held[r.place-1] = c.held[last]
		c.held[r.place-1].place = r.place
		c.held[last] = nil
		c.held = c.held[:last]
	}
	r.place = 0
}

// Sweep has those that were silent for a while let go of their ciphers. It is to be called
// from time to time; now is any clock that goes on.
func (c *Cache) Sweep(now time.Duration) {
	if now-c.swept < cachedFor {
		return
	}
	c.swept = now
	c.sweeps++
	for _, list := range [][]*records{c.newcomers[:], c.held} {
		for _, r := range slices.Backward(list) {
			switch {
			case r == nil:
			case r.spoke:
				r.spoke = false
			default:
				r.live = nil
				c.forget(r)
			}
		}
	}
	if len(c.held) <= cap(c.held)/4 {
		c.held = slices.Clone(c.held)
	}
}
