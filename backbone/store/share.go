package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
)

// The share of a tenant. What waits for its devices takes at most three times what is free:
// one alone has three quarters of the store, of two each three sevenths, and however many
// there are, something is left for the next. Beside it each may have a quota.
const shareOfFree = 3

// recountEvery is the least time between two counts of what the stream really has.
const recountEvery = time.Second

// A claim is room for a command that is being stored, or of which the stream has yet to tell.
type claim struct {
	set   *commandSet
	tally *tally
	bytes int64

	// Guarded by mu of the set; from when it is stored.
	key     names.Key
	expires int64 // Unix milliseconds
}

// claim takes room for a command of a tenant. A tenant that seems to have none is counted
// anew: commands have expired, or went out by another node.
func (c *Commands) claim(ctx context.Context, tenant, subject string, data int) (*claim, error) {
	quota := int64(0)
	if c.cfg.Quota != nil {
		quota = c.cfg.Quota(tenant)
	}
	token := tokenOf(subject)
	if got := c.set.claim(token, data, quota, c.cfg.Bytes); got != nil {
		return got, nil
	}
	if now, before := time.Now().UnixMilli(), c.looked.Load(); now-before >= recountEvery.Milliseconds() && c.looked.CompareAndSwap(before, now) {
		info, err := c.stream.Info(ctx, jetstream.WithSubjectFilter(names.Down+token+".*"))
		if err == nil {
			c.set.recount(token, info.State.Subjects)
			if got := c.set.claim(token, data, quota, c.cfg.Bytes); got != nil {
				return got, nil
			}
		}
	}
	return nil, ErrTenantCommandsFull
}

// claim takes room, if there is; quota and most of 0 are no bound.
func (s *commandSet) claim(tenant string, data int, quota, most int64) *claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, size := s.tallyLocked(tenant), sizeOf(data)
	switch free := most - s.bytes - size; {
	case quota > 0 && t.commands+t.claims >= quota, most > 0 && t.bytes+t.claimed+size > shareOfFree*free:
		s.releaseLocked(t)
		return nil
	}
	t.claims++
	t.claimed += size
	s.bytes += size
	return &claim{set: s, tally: t, bytes: size}
}

// drop ends the claim: the command was not stored.
func (c *claim) drop() {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	c.dropLocked()
}

func (c *claim) dropLocked() {
	c.tally.claims--
	c.tally.claimed -= c.bytes
	c.set.bytes -= c.bytes
	c.set.releaseLocked(c.tally)
}

// tallyLocked is that of a tenant.
func (s *commandSet) tallyLocked(tenant string) *tally {
	if s.tenants == nil {
		s.tenants = make(map[string]*tally)
	}
	t := s.tenants[tenant]
	if t == nil {
		t = &tally{name: tenant}
		s.tenants[tenant] = t
	}
	return t
}

// releaseLocked forgets a tally of which there is nothing.
func (s *commandSet) releaseLocked(t *tally) {
	if t.devices == 0 && t.claims == 0 {
		delete(s.tenants, t.name)
	}
}

// recount corrects what waits for a tenant downwards: now is what the stream has, by subject.
func (s *commandSet) recount(tenant string, now map[string]uint64) {
	left := make(map[names.Key]uint64, len(now))
	for subject, n := range now {
		left[names.KeyOf(subject)] = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(time.Now().UnixMilli())
	t := s.tenants[tenant]
	for k, w := range s.waiting {
		if n := left[k]; w.tally == t && n < uint64(w.count) {
			gone := uint64(w.count) - n
			bytes := uint64(w.bytes) * gone / uint64(w.count)
			s.waiting[k] = s.countLocked(w, -int64(gone), -int64(bytes)) //nolint:gosec // within 32 bits
		}
	}
}

// TenantCommands is how many commands wait for the devices of a tenant, as far as this node
// knows: some may have gone.
func (c *Commands) TenantCommands(tenant string) int64 {
	var buf [128]byte
	token := names.AppendToken(buf[:0], tenant)
	c.set.mu.RLock()
	defer c.set.mu.RUnlock()
	if t := c.set.tenants[string(token)]; t != nil {
		return t.commands + t.claims
	}
	return 0
}
