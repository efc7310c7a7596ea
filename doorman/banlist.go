package doorman

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// A Ban is an address that has to stay out, or had to and would have to for longer now.
type Ban struct {
	Address string    `json:"address"` // of IPv6 the network
	Until   time.Time `json:"until"`
	Times   int       `json:"times"`  // bans that are not forgiven
	Failed  time.Time `json:"failed"` // the last time
}

// BanStats are counters since the start.
type BanStats struct {
	Banned, Accounts int
	Begun, Forgotten uint64
}

// Stats reads them.
func (b *Bans) Stats(now time.Time) (st BanStats) {
	at := now.UnixNano()
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, a := range b.accounts {
		if a.until > at {
			st.Banned++
		}
	}
	st.Accounts, st.Begun, st.Forgotten = len(b.accounts), b.begun.Load(), b.forgotten.Load()
	return st
}

// List is who has to stay out now, by address.
func (b *Bans) List(now time.Time) []Ban {
	return slices.DeleteFunc(b.all(now), func(x Ban) bool { return !x.Until.After(now) })
}

// Snapshot is what is to be kept over a restart; changed says that it is not what it was.
func (b *Bans) Snapshot(now time.Time) (all []Ban, changed bool) {
	if !b.changed.Swap(false) {
		return nil, false
	}
	return b.all(now), true
}

// all are those who have had a ban that is not forgiven.
func (b *Bans) all(now time.Time) (all []Ban) {
	at := now.UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	for addr, a := range b.accounts {
		b.forgiveLocked(a, at)
		if a.doubled > 0 {
			all = append(all, Ban{b.name(addr), time.Unix(0, a.until), a.doubled, time.Unix(0, a.failed)})
		}
	}
	slices.SortFunc(all, func(x, y Ban) int { return cmp.Compare(x.Address, y.Address) })
	return all
}

// name is an account as people write it.
func (b *Bans) name(holder netip.Addr) string {
	if holder.Is6() && b.rules.Bits6 < 128 {
		return netip.PrefixFrom(holder, b.rules.Bits6).String()
	}
	return holder.String()
}

// Restore takes back what was kept, as far as it is of use: no ban ends later than one that
// begins now might.
func (b *Bans) Restore(all []Ban, now time.Time) {
	at := now.UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range all {
		p, err := ParsePrefix(x.Address)
		if err != nil || x.Times < 1 || len(b.accounts) >= MaxAccounts {
			continue
		}
		a := &account{
			until: min(x.Until.UnixNano(), at+int64(b.rules.Most)), failed: min(x.Failed.UnixNano(), at), doubled: min(x.Times, 64),
		}
		if b.forgiveLocked(a, at); a.doubled == 0 {
			continue
		}
		b.accounts[b.holder(p.Addr())] = a
		b.until.Store(max(b.until.Load(), a.until))
	}
}

// Lift lets an address in again, and forgets what it had to its name; false if it is not
// banned.
func (b *Bans) Lift(addr netip.Addr, now time.Time) bool {
	at, holder := now.UnixNano(), b.holder(addr)
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[holder]
	if a == nil {
		return false
	}
	delete(b.accounts, holder)
	b.changed.Store(true)
	return a.until > at
}
