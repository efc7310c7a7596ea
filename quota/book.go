package quota

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Others stands for all tenants that have no limits of their own, where a name is expected.
// No tenant has it.
const Others = "*"

// A Book has the limits of all tenants. The zero value has none.
type Book struct {
	// Held by who writes.
	mu sync.Mutex

	// Atomic.
	pages atomic.Pointer[pages]
}

// Changes are limits that were changed by hand, by the names of Fields, of tenants by theirs.
type Changes map[string]map[string]int64

// pages are never changed: new ones take their place.
type pages struct {
	others  Limits            // of whoever is not named
	given   map[string]Limits // of those who are
	byHand  Changes           // over what was given
	inForce map[string]Limits // of all that are in either
}

// Give has the limits of tenants be those of named, and of all others be others. What was
// changed by hand stays.
func (b *Book) Give(others Limits, named map[string]Limits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writeLocked(&pages{others: others, given: maps.Clone(named), byHand: b.now().byHand})
}

// SetByHand has these be the changes by hand, in place of those before. They must not be
// changed afterwards. A tenant of which something is changed is named.
func (b *Book) SetByHand(all Changes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.writeLocked(&pages{others: now.others, given: now.given, byHand: all})
}

func (b *Book) writeLocked(p *pages) {
	p.inForce = maps.Clone(p.given)
	if p.inForce == nil {
		p.inForce = make(map[string]Limits)
	}
	for tenant, changes := range p.byHand {
		limits := p.givenTo(tenant)
		for i := range Fields {
			if value, changed := changes[Fields[i].Name]; changed {
				*Fields[i].Of(&limits) = value
			}
		}
		p.inForce[tenant] = limits
	}
	b.pages.Store(p)
}

func (b *Book) now() *pages {
	if p := b.pages.Load(); p != nil {
		return p
	}
	return new(pages)
}

func (p *pages) givenTo(tenant string) Limits {
	if l, ok := p.given[tenant]; ok {
		return l
	}
	return p.others
}

// Of is what a tenant may use.
func (b *Book) Of(tenant string) Limits {
	p := b.now()
	if l, ok := p.inForce[tenant]; ok {
		return l
	}
	return p.others
}

// Given is the same without what was changed by hand.
func (b *Book) Given(tenant string) Limits { return b.now().givenTo(tenant) }

// ByHand are the changes by hand, not to be written to.
func (b *Book) ByHand() Changes { return b.now().byHand }

// Named says whether the tenant has limits of its own.
func (b *Book) Named(tenant string) bool {
	_, ok := b.now().inForce[tenant]
	return ok
}

// Names are the tenants that have limits of their own, sorted.
func (b *Book) Names() []string { return slices.Sorted(maps.Keys(b.now().inForce)) }
