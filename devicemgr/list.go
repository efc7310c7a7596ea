package devicemgr

import (
	"cmp"
	"container/heap"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrCursor is returned by CheckCursor for a cursor that List never returned.
var ErrCursor = errors.New("devicemgr: not a cursor of a device list")

// Filter selects devices; the zero value selects all.
type Filter struct {
	Tenant string // "" = all
	Prefix string // of the device's name
	Group  string // connected members of this group; needs Tenant
	Online *bool  // nil = both
}

// Info is a snapshot of a session.
type Info[L any] struct {
	Key      Key
	Epoch    uint64
	Online   bool
	Link     *L        // nil while offline
	LastSeen time.Time // in whole seconds, rounded down
	Durable  uint64
	Groups   []string // sorted; the slice belongs to the caller

	ConnectedAt time.Time // when the connection was registered; zero while offline
	End         End       // of the last connection; zero while online
}

// Info takes a snapshot of a session.
func (m *Manager[L]) Info(s *Session[L]) Info[L] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.infoLocked(s)
}

func (m *Manager[L]) infoLocked(s *Session[L]) Info[L] {
	i := Info[L]{
		Key: s.Key(), Epoch: s.Epoch(), Link: s.Link(), Online: s.Online(),
		LastSeen: s.LastSeen(), Durable: s.Durable(),
	}
	if !i.Online {
		i.End = s.turned.end()
		return i
	}
	i.ConnectedAt = s.turned.at()
	for _, ms := range m.groupsLocked(s) {
		i.Groups = append(i.Groups, ms.group.name)
	}
	slices.Sort(i.Groups)
	return i
}

// List returns one page of at most limit devices after the cursor, in the order of tenant
// and name; "" starts. next is the cursor of the following page, "" on the last. Devices
// that come or go between pages do not disturb the others. It looks at every session, a
// shard at a time: about 20 ms with 100,000. An invalid cursor (CheckCursor) gives an
// empty page.
func (m *Manager[L]) List(f Filter, after string, limit int) (page []Info[L], next string) {
	from, err := parseCursor(after)
	if err != nil {
		return nil, ""
	}
	// One more than the page, to know whether another follows.
	first := firstOf[L]{limit: max(limit, 1) + 1}
	visit := func(s *Session[L]) bool {
		if selects(&f, s) && (after == "" || compare(s.Key(), from) > 0) {
			first.offer(s)
		}
		return true
	}
	if f.Group != "" {
		m.Members(f.Tenant, f.Group, visit)
	} else {
		m.each(visit)
	}
	found := first.sessions
	slices.SortFunc(found, func(a, b *Session[L]) int { return compare(a.Key(), b.Key()) })
	if len(found) == first.limit {
		found = found[:len(found)-1]
		next = cursor(found[len(found)-1].Key())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range found {
		page = append(page, m.infoLocked(s))
	}
	return page, next
}

// CheckCursor returns ErrCursor for a cursor that List would not accept.
func CheckCursor(after string) error {
	_, err := parseCursor(after)
	return err
}

func selects[L any](f *Filter, s *Session[L]) bool {
	return (f.Tenant == "" || s.tenant.name == f.Tenant) &&
		strings.HasPrefix(s.device, f.Prefix) &&
		(f.Online == nil || s.Online() == *f.Online)
}

func compare(a, b Key) int {
	return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Device, b.Device))
}

// cursor encodes k. Callers treat a cursor as opaque: names may hold any byte.
func cursor(k Key) string {
	return base64.RawURLEncoding.EncodeToString([]byte(k.Tenant + "\x00" + k.Device))
}

func parseCursor(s string) (Key, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	tenant, device, ok := strings.Cut(string(b), "\x00")
	if s != "" && (err != nil || !ok) {
		return Key{}, ErrCursor
	}
	return Key{tenant, device}, nil
}

// firstOf keeps the first few, by name, of the offered sessions. It is a heap with the last
// of them on top, so most offers cost one comparison.
type firstOf[L any] struct {
	limit    int
	sessions []*Session[L]
}

func (h *firstOf[L]) offer(s *Session[L]) {
	switch {
	case len(h.sessions) < h.limit:
		heap.Push(h, s)
	case compare(s.Key(), h.sessions[0].Key()) < 0:
		h.sessions[0] = s
		heap.Fix(h, 0)
	}
}

// Len implements heap.Interface.
func (h *firstOf[L]) Len() int { return len(h.sessions) }

// Less implements heap.Interface.
func (h *firstOf[L]) Less(i, j int) bool {
	return compare(h.sessions[i].Key(), h.sessions[j].Key()) > 0
}

// Swap implements heap.Interface.
func (h *firstOf[L]) Swap(i, j int) { h.sessions[i], h.sessions[j] = h.sessions[j], h.sessions[i] }

// Push implements heap.Interface.
func (h *firstOf[L]) Push(x any) { h.sessions = append(h.sessions, x.(*Session[L])) }

// Pop implements heap.Interface.
func (h *firstOf[L]) Pop() any { panic("devicemgr: the heap of a list only grows") }
