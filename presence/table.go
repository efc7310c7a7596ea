package presence

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// slots is into how many parts the devices are divided that are set again in turn.
	slots = 64
	// maxGone is how many devices that went may wait to be written.
	maxGone = 1 << 16
)

// State says whether a device is here.
type State struct {
	Tenant, Device string
	Epoch          uint64 // of its connection: a later one has a greater one
	Online         bool
	Node           string // that it is, or was, connected to
	At             time.Time
	// Elsewhere says that another node has it: that node speaks of it.
	Elsewhere bool
}

type key struct{ tenant, device string }

// table is who is here, and what of it is not written yet.
type table struct {
	// Immutable after construction.
	seed  maphash.Seed
	ready chan struct{} // a place of one: something waits

	mu sync.Mutex
	// Guarded by mu.
	here    [slots]map[key]State
	waits   map[key]State
	gone    int // of waits
	dropped uint64
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed(), ready: make(chan struct{}, 1), waits: map[key]State{}}
	for i := range t.here {
		t.here[i] = map[key]State{}
	}
	return t
}

// tell takes the state of a device. One of an older connection is old news.
func (t *table) tell(s State) {
	k := key{s.Tenant, s.Device}
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := t.here[maphash.Comparable(t.seed, k)%slots]
	if was, is := slot[k]; is && was.Epoch > s.Epoch {
		return
	}
	if s.Online {
		slot[k] = s
	} else {
		delete(slot, k)
	}
	if s.Elsewhere {
		t.forgetLocked(k)
		return
	}
	t.waitLocked(k, s)
	select {
	case t.ready <- struct{}{}:
	default:
	}
}

func (t *table) forgetLocked(k key) {
	if s, is := t.waits[k]; is && !s.Online {
		t.gone--
	}
	delete(t.waits, k)
}

func (t *table) waitLocked(k key, s State) {
	t.forgetLocked(k)
	if !s.Online {
		if t.gone >= maxGone {
			t.dropped++
			return
		}
		t.gone++
	}
	t.waits[k] = s
}

// take returns at most so many states that wait.
func (t *table) take(most int) (out []State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, s := range t.waits {
		if len(out) == most {
			break
		}
		out = append(out, s)
		t.forgetLocked(k)
	}
	return out
}

// back has states wait again that were not written, where there is nothing newer.
func (t *table) back(states []State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range states {
		k := key{s.Tenant, s.Device}
		_, waits := t.waits[k]
		_, here := t.here[maphash.Comparable(t.seed, k)%slots][k]
		if !waits && here == s.Online { // else it came or went since, maybe to another node
			t.waitLocked(k, s)
		}
	}
}

// again has the devices of a slot wait to be set.
func (t *table) again(slot int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, s := range t.here[slot] {
		if _, waits := t.waits[k]; !waits {
			t.waits[k] = s
		}
	}
}

func (t *table) lost() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}
