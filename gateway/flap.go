package gateway

import (
	"sync"
	"time"
)

// A device flaps when its connections take over from each other over and over: two
// devices with one identity, or one that connects again before it was answered. Each
// takeover costs the node a handshake, two presence events and a close, so what is
// free for a device that has lost its network is held back when it does not end.
const (
	// forgiven is after how long one takeover is forgotten.
	forgiven = 30 * time.Second
	// firstHold is the delay before the next takeover beyond the free ones; it doubles
	// with each more, up to mostHold.
	firstHold = time.Second
	mostHold  = 32 * time.Second
	// flapLine is the least time between two lines about it.
	flapLine = 10 * time.Second
	// numFlaps bounds the devices that are watched. Of two that share a place, one that has more
	// than one takeover keeps it.
	numFlaps = 4096
)

// flaps watches how often devices take over from themselves.
type flaps struct {
	// Immutable after construction.
	free int // takeovers that are not held back

	// Guarded by mu.
	mu    sync.Mutex
	slots []flap
	line  time.Time // of the last line
}

// flap is the recent past of one device.
type flap struct {
	hash  uint64
	count int       // takeovers that are not forgiven
	last  time.Time // when the last of them was
	until time.Time // before it there is no other
	addr  string    // of who took over last
}

func newFlaps(free int) *flaps { return &flaps{free: free, slots: make([]flap, numFlaps)} }

// slotLocked is the place of a device, with what time has forgiven.
func (f *flaps) slotLocked(hash uint64, now time.Time) *flap {
	s := &f.slots[hash%numFlaps]
	if n := int(now.Sub(s.last) / forgiven); n > 0 {
		s.count = max(s.count-n, 0)
		s.last = s.last.Add(time.Duration(n) * forgiven)
	}
	return s
}

// wait is how long the device has to wait before it may take over from itself.
func (f *flaps) wait(hash uint64, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.slotLocked(hash, now); s.hash == hash {
		return max(0, s.until.Sub(now))
	}
	return 0
}

// note counts a takeover by who comes from addr. It returns for how long the next is
// held back, where the one before came from, and whether to say so in a line.
func (f *flaps) note(hash uint64, addr string, now time.Time) (held time.Duration, before string, say bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.slotLocked(hash, now)
	if s.hash != hash {
		if s.count > 1 {
			return 0, "", false
		}
		*s = flap{hash: hash, last: now}
	}
	before, s.addr = s.addr, addr
	if s.count == 0 {
		s.last = now
	}
	s.count++
	over := s.count - f.free
	if over < 0 {
		return 0, before, false
	}
	held = min(firstHold<<min(over, 10), mostHold)
	s.until = now.Add(held)
	if now.Sub(f.line) < flapLine {
		return held, before, false
	}
	f.line = now
	return held, before, true
}
