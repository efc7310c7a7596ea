package doorman

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pacerShards = 64
	// pacerWays is how many keys share a place, of which the one with the least debt gives
	// way to a new one.
	pacerWays = 8
)

// A Rate is how often something may happen.
type Rate struct {
	Every time.Duration // one, in the long run; 0: without a bound
	Burst int           // at once, 1 or more
}

// PerMinute is a rate of n a minute, of which a sixth may come at once; 0: without a bound.
func PerMinute(n int64) Rate {
	if n <= 0 {
		return Rate{}
	}
	return Rate{Every: max(time.Minute/time.Duration(n), 1), Burst: int(max(n/6, 1))}
}

// A Pacer holds many to their rates, each known by a key, by the generic cell rate
// algorithm: of each it keeps 16 bytes, the key and when its debt is paid. It has room for
// a fixed number. One without debt is forgotten for a new one, and is as it was; where all
// that share a place have some, the one with the least is forgotten and may come sooner
// than it should (Forgotten). Nobody is refused for want of room.
//
// Any goroutine. It takes its memory with the first Take.
type Pacer struct {
	// Immutable after construction.
	seed  maphash.Seed
	start time.Time
	size  int // slots of a shard, a multiple of pacerWays

	// Atomic.
	forgotten atomic.Uint64

	shards [pacerShards]pacerShard
}

type pacerShard struct {
	// Guarded by mu.
	mu    sync.Mutex
	slots []pacerSlot
}

type pacerSlot struct {
	key uint64
	due int64 // ns since start, when it has paid its debt
}

// NewPacer makes one with room for most keys, rounded up to 512.
func NewPacer(most int, now time.Time) *Pacer {
	const step = pacerShards * pacerWays
	return &Pacer{seed: maphash.MakeSeed(), start: now, size: max((most+step-1)/step, 1) * pacerWays}
}

// KeyOf is the key of a value. Nobody outside can make two with the same.
func KeyOf[T comparable](m *Pacer, v T) uint64 { return maphash.Comparable(m.seed, v) }

// Take says how long key has to wait; 0: it may go on now, and this is counted. A Take that
// has to wait is not.
func (m *Pacer) Take(key uint64, r Rate, now time.Time) (wait time.Duration) {
	if r.Every <= 0 {
		return 0
	}
	at := int64(now.Sub(m.start))
	sh := &m.shards[key%pacerShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.slots == nil {
		sh.slots = make([]pacerSlot, m.size)
	}
	s := m.slotLocked(sh, key, at)
	due := max(s.due, at)
	if over := time.Duration(due-at) - r.Every*time.Duration(r.Burst-1); over > 0 {
		return over
	}
	s.key, s.due = key, due+int64(r.Every)
	return 0
}

// slotLocked is the slot of key: its own, or the one with the least debt.
func (m *Pacer) slotLocked(sh *pacerShard, key uint64, at int64) *pacerSlot {
	first := int(key/pacerShards%uint64(m.size/pacerWays)) * pacerWays //nolint:gosec // a remainder
	ways := sh.slots[first : first+pacerWays]
	least := &ways[0]
	for i := range ways {
		if ways[i].key == key {
			return &ways[i]
		}
		if ways[i].due < least.due {
			least = &ways[i]
		}
	}
	if least.due > at {
		m.forgotten.Add(1)
	}
	*least = pacerSlot{key: key}
	return least
}

// Forgotten is how many were forgotten who had debt.
func (m *Pacer) Forgotten() uint64 { return m.forgotten.Load() }
