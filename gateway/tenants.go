package gateway

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/eventloop"
	"edgeloop/quota"
)

// A tenant is what the connections of one tenant share. A link finds it by its voice, so it
// costs a connection nothing.
type tenant struct {
	// Immutable after construction.
	name   string
	born   time.Time
	voices voices

	// Atomic.
	connections     atomic.Int64 // set with mu of the table held
	limits          atomic.Pointer[quota.Limits]
	over            atomic.Pointer[overCounts]
	messages, bytes quota.Meter

	// Guarded by mu.
	mu      sync.Mutex
	waiting map[*link]struct{} // for the rate
	armed   bool               // some will be woken
}

// overCounts are how often a quota was found used up. Tenants that are not named share theirs.
type overCounts [quota.NumKinds]atomic.Uint64

// tenants are those that have a connection, have not paid for all that they sent, or are
// named.
type tenants struct {
	// Immutable after construction.
	g    *Gateway
	book *quota.Book

	// Guarded by mu.
	mu      sync.Mutex
	all     map[string]*tenant
	counts  map[string]*overCounts // of those that are named, and of quota.Others
	sweepAt int
}

// firstSweep is how many tenants there are before those are looked for that are gone.
const firstSweep = 1024

func newTenants(g *Gateway) *tenants {
	t := &tenants{g: g, book: g.cfg.Quotas, all: make(map[string]*tenant), counts: make(map[string]*overCounts), sweepAt: firstSweep}
	t.renew()
	return t
}

// renew puts what the book says in force. Connections beyond a new limit stay.
func (t *tenants) renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.counts {
		if name != quota.Others && !t.book.Named(name) {
			t.counts[quota.Others].add(t.counts[name])
			delete(t.counts, name)
		}
	}
	t.countsLocked(quota.Others)
	for _, name := range t.book.Names() {
		t.countsLocked(name)
	}
	for _, one := range t.all {
		t.learnLocked(one)
	}
}

// learnLocked has a tenant go by the book.
func (t *tenants) learnLocked(one *tenant) {
	limits := t.book.Of(one.name)
	if was := one.limits.Swap(&limits); was != nil && *was != limits {
		one.messages.Forgive() // what was taken at another rate would be paid for at this one
		one.bytes.Forgive()
	}
	one.over.Store(t.countsOfLocked(one.name))
}

func (t *tenants) countsLocked(name string) *overCounts {
	c := t.counts[name]
	if c == nil {
		c = new(overCounts)
		t.counts[name] = c
	}
	return c
}

// ofLocked is the tenant of that name. The name is copied.
func (t *tenants) ofLocked(name string) *tenant {
	one := t.all[name]
	if one != nil {
		return one
	}
	t.sweepLocked()
	one = &tenant{name: strings.Clone(name), born: t.g.born}
	for p, v := range t.g.voices {
		one.voices[p] = &voice{g: v.g, dialect: v.dialect, tenant: one}
	}
	t.learnLocked(one)
	t.all[one.name] = one
	return one
}

// sweepLocked forgets tenants that nothing is to be known of.
func (t *tenants) sweepLocked() {
	if len(t.all) < t.sweepAt {
		return
	}
	for _, one := range t.all {
		t.forgetLocked(one)
	}
	t.sweepAt = max(firstSweep, 2*len(t.all))
}

func (t *tenants) forgetLocked(one *tenant) {
	now := time.Since(one.born)
	if one.connections.Load() == 0 && one.messages.Idle(now) && one.bytes.Idle(now) {
		delete(t.all, one.name)
	}
}

// enter counts a connection in; nil: there are as many as there may be, unless it comes in
// the place of another.
func (t *tenants) enter(name string, inPlace bool) *tenant {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.ofLocked(name)
	if most := one.limits.Load().Connections; most > 0 && one.connections.Load() >= most && !inPlace {
		one.count(quota.Connections)
		return nil
	}
	one.connections.Add(1)
	return one
}

func (t *tenants) leave(one *tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.connections.Add(-1) == 0 {
		t.forgetLocked(one)
	}
}

// overCommands notes that a tenant has as many commands waiting as it may.
func (t *tenants) overCommands(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countsOfLocked(name)[quota.Commands].Add(1)
}

// countsOfLocked are those of a tenant, or of all that are not named.
func (t *tenants) countsOfLocked(name string) *overCounts {
	if t.book.Named(name) {
		return t.countsLocked(name)
	}
	return t.countsLocked(quota.Others)
}

// count notes that a quota was found used up.
func (t *tenant) count(k quota.Kind) { t.over.Load()[k].Add(1) }

// storesTooMuch says, and counts, that the tenant has as much in the log as it may have, as far
// as stored knows. What is on its way does not count yet.
func (t *tenant) storesTooMuch(stored func(tenant string) int64) bool {
	if t == nil || stored == nil {
		return false
	}
	most := t.limits.Load().Stored
	if most == 0 || stored(t.name) < most {
		return false
	}
	t.count(quota.Stored)
	return true
}

// joinTenant counts a link in among the connections of its tenant, which its voice then
// knows. old is the connection that it replaces, or nil. It may be called again.
func (g *Gateway) joinTenant(l *link, name string, old *link) *eventloop.Refusal {
	if l.flags.Load()&flagCounted != 0 {
		return nil
	}
	one := g.tenants.enter(name, old != nil)
	if one == nil {
		g.drops[DropQuotaFull].Add(1)
		refusal := g.later(fmt.Sprintf("tenant %s has as many connections as it may have", name))
		refusal.Reason = eventloop.ReasonQuota
		return refusal
	}
	l.flags.Or(flagCounted)
	if p := l.dialect.protocol(); p < numEdgeloop {
		l.voice = one.voices[p]
	} else {
		l.tenant = one // it is this connection's own
	}
	if one.wait(g.clock()) > 0 {
		l.flags.Or(flagOver) // before its first read: whoever comes again would have one each time
	}
	return nil
}

// leaveTenant counts the link out, once.
func (l *link) leaveTenant() {
	if before := l.flags.And(^flagCounted); before&flagCounted != 0 {
		l.g.tenants.leave(l.tenant)
	}
}

// Usage is what a tenant has in use.
type Usage struct {
	Limits      quota.Limits
	Connections int64
	// Waiting connections, from which nothing is read until the rate allows it.
	Waiting int
	// Over is how often a quota was found used up, by its kind; of a tenant that is not
	// named that of all of them.
	Over [quota.NumKinds]uint64
}

// Usage says what a tenant has in use; any goroutine.
func (g *Gateway) Usage(name string) Usage {
	t := g.tenants
	t.mu.Lock()
	defer t.mu.Unlock()
	u := Usage{Limits: t.book.Of(name), Over: t.countsOfLocked(name).read()}
	if one := t.all[name]; one != nil {
		u.Connections = one.connections.Load()
		u.Waiting = one.waits()
	}
	return u
}

// OverQuota is how often quotas were found used up, by the names of those that are named,
// and quota.Others.
func (g *Gateway) OverQuota() map[string][quota.NumKinds]uint64 {
	t := g.tenants
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string][quota.NumKinds]uint64, len(t.counts))
	for name, c := range t.counts {
		all[name] = c.read()
	}
	return all
}

func (c *overCounts) add(more *overCounts) {
	for k := range c {
		c[k].Add(more[k].Load())
	}
}

func (c *overCounts) read() (out [quota.NumKinds]uint64) {
	for k := range c {
		out[k] = c[k].Load()
	}
	return out
}

// QuotasChanged has what Config.Quotas says now put in force.
func (g *Gateway) QuotasChanged() { g.tenants.renew() }
