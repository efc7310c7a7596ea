package devicemgr

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Filter selects sessions; zero fields select all.
type Filter struct {
	Tenant string
	Prefix string // of the device's name
	Online *bool
	Group  string // within Tenant
}

// Info is a snapshot of one session.
type Info struct {
	Key         Key
	Online      bool
	Epoch       uint64
	LastSeen    time.Time
	Durable     uint64
	ConnectedAt time.Time // zero when not online
	Groups      []string
	Link        Link // nil when not online
}

// After says where the page behind key begins.
func (k Key) After() string { return k.Tenant + "\x00" + k.Device }

// List is one page of at most limit sessions behind after ("" for the first), in
// the order of tenant and device. next is "" on the last page.
func (m *Manager) List(f Filter, after string, limit int) (page []Info, next string) {
	for i := range m.shards {
		page = m.shards[i].collect(page, f, after)
		if len(page) > 4*limit {
			page = smallest(page, limit+1)
		}
	}
	page = smallest(page, limit+1)
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Key.After()
	}
	return page, next
}

// Info is a snapshot of s.
func (m *Manager) Info(s *Session) Info {
	sh := m.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return s.infoLocked()
}

func (s *Session) infoLocked() Info {
	in := Info{
		Key: s.key, Online: s.link != nil, Epoch: s.Epoch(), LastSeen: s.LastSeen(),
		Durable: s.Durable(), Groups: slices.Clone(s.groups), Link: s.link,
	}
	if in.Online {
		in.ConnectedAt = time.UnixMicro(s.connectedAt)
	}
	return in
}

func (sh *shard) collect(page []Info, f Filter, after string) []Info {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.sessions {
		for ; s != nil; s = s.chain {
			if f.matchesLocked(s) && s.key.behind(after) {
				page = append(page, s.infoLocked())
			}
		}
	}
	return page
}

func (f Filter) matchesLocked(s *Session) bool {
	return (f.Tenant == "" || f.Tenant == s.key.Tenant) &&
		strings.HasPrefix(s.key.Device, f.Prefix) &&
		(f.Online == nil || *f.Online == (s.link != nil)) &&
		(f.Group == "" || slices.Contains(s.groups, f.Group))
}

// behind says whether k comes after the key that after was made of.
func (k Key) behind(after string) bool {
	if after == "" {
		return true
	}
	tenant, device, _ := strings.Cut(after, "\x00")
	return compareKeys(k, Key{tenant, device}) > 0
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Device, b.Device))
}

// smallest sorts the page and keeps its first n.
func smallest(page []Info, n int) []Info {
	slices.SortFunc(page, func(a, b Info) int { return compareKeys(a.Key, b.Key) })
	return page[:min(n, len(page))]
}
