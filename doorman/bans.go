package doorman

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxAccounts is how many addresses are watched for failures.
	MaxAccounts = 16_384
	// knownBits is how many bits say from which addresses somebody got in. Of 100,000
	// addresses one in eighty that is not known passes for one that is.
	knownBits = 1 << 23
	// knownFor is the least time for which that is remembered, and half of the longest.
	knownFor = 24 * time.Hour
	// knownMost is the longest ban of an address from which somebody got in.
	knownMost = 10 * time.Second
	// firstBan is the length of a first ban; it doubles with each further one.
	firstBan = time.Second
	// forgiveShare of the longest ban without a failure takes one doubling back.
	forgiveShare = 6
	// evictLooks is how many accounts are looked at for one that may be forgotten.
	evictLooks = 32
)

// BanRules say who is banned, and for how long.
type BanRules struct {
	Failures int           // in a window, with which a ban begins
	Window   time.Duration // in which they count
	Most     time.Duration // the longest ban
	Bits6    int           // of an IPv6 address that count: a host has as many addresses as it likes
}

// Bans keep out addresses that fail again and again to prove who they are: for a second at
// first, then for twice as long each time. Time forgives, and so does a success, which
// halves what there is; an address from which somebody got in during the last day, as one
// that many devices share, is never kept out for longer than ten seconds at a time.
//
// Any goroutine. All is bounded: where there is no room for one more account, one is
// forgotten that is not banned, if there is any among some.
type Bans struct {
	// Immutable after construction.
	rules BanRules
	seed  maphash.Seed

	// Guarded by mu.
	mu       sync.RWMutex
	accounts map[netip.Addr]*account
	turned   time.Time // when the generations of known changed places

	// Atomic.
	until     atomic.Int64 // when the last ban ends, Unix ns: nobody is banned afterwards
	changed   atomic.Bool  // since the last Snapshot
	begun     atomic.Uint64
	forgotten atomic.Uint64
	known     [2][knownBits / 64]atomic.Uint64 // the present generation, and the one before
	present   atomic.Int32
}

// account is what an address has to its name. Times are Unix ns.
type account struct {
	due      int64 // when its failures are forgotten
	until    int64 // it is banned
	failed   int64 // the last time
	forgiven int64 // up to when time has forgiven
	doubled  int   // how many bans it has had that are not forgiven
}

// NewBans makes one, with nobody banned.
func NewBans(r BanRules, now time.Time) *Bans {
	return &Bans{rules: r, seed: maphash.MakeSeed(), accounts: map[netip.Addr]*account{}, turned: now}
}

// holder is the address whose account counts.
func (b *Bans) holder(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(b.rules.Bits6); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// Banned says whether an address has to stay out now.
func (b *Bans) Banned(addr netip.Addr, now time.Time) bool {
	at := now.UnixNano()
	if b.until.Load() <= at {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	a := b.accounts[b.holder(addr)]
	return a != nil && a.until > at
}

// Failed notes that somebody with this address could not prove who it is. It returns for
// how long the address has to stay out from now on, 0 if it has not.
func (b *Bans) Failed(addr netip.Addr, now time.Time) time.Duration {
	if !addr.IsValid() {
		return 0
	}
	holder, at := b.holder(addr), now.UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[holder]
	if a == nil {
		b.makeRoomLocked(at)
		a = new(account)
		b.accounts[holder] = a
	}
	if a.until > at { // it came before the ban
		return 0
	}
	b.forgiveLocked(a, at)
	a.failed = at
	window, each := int64(b.rules.Window), int64(b.rules.Window)/int64(b.rules.Failures)
	if a.due = min(max(a.due, at)+each, at+window); a.due-at <= window-each {
		return 0
	}
	length := b.lengthLocked(a.doubled, b.isKnown(holder))
	a.doubled++
	a.until = at + int64(length)
	b.until.Store(max(b.until.Load(), a.until))
	b.begun.Add(1)
	b.changed.Store(true)
	return length
}

// lengthLocked is how long the ban is of one that has had so many.
func (b *Bans) lengthLocked(doubled int, known bool) time.Duration {
	most := b.rules.Most
	if known {
		most = min(most, knownMost)
	}
	if doubled > 30 {
		return most
	}
	return min(firstBan<<doubled, most)
}

// forgiveLocked takes back what time has forgiven.
func (b *Bans) forgiveLocked(a *account, at int64) {
	from, share := max(a.failed, a.until, a.forgiven), int64(b.rules.Most)/forgiveShare
	if n := (at - from) / share; n > 0 {
		a.doubled = max(a.doubled-int(min(n, 1<<20)), 0)
		a.forgiven = from + n*share
	}
}

// Succeeded notes that somebody with this address has proved who it is.
func (b *Bans) Succeeded(addr netip.Addr, now time.Time) {
	if !addr.IsValid() {
		return
	}
	holder := b.holder(addr)
	b.mark(holder, now)
	b.mu.RLock()
	there := b.accounts[holder] != nil
	b.mu.RUnlock()
	if !there {
		return
	}
	at := now.UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[holder]
	if a == nil {
		return
	}
	a.doubled /= 2
	a.due = at + max(a.due-at, 0)/2
	a.until = min(a.until, at) // it came before the ban, and shows that there are good ones
	b.changed.Store(true)
	if a.doubled == 0 && a.due == at {
		delete(b.accounts, holder)
	}
}

// makeRoomLocked forgets an account if there are as many as may be.
func (b *Bans) makeRoomLocked(at int64) {
	if len(b.accounts) < MaxAccounts {
		return
	}
	var least netip.Addr
	weight, looks := int64(1<<62), 0
	for addr, a := range b.accounts { // in no order
		w := max(a.until-at, 0)<<8 + max(a.due-at, 0)>>20
		if w < weight {
			least, weight = addr, w
		}
		if looks++; looks == evictLooks || w == 0 {
			break
		}
	}
	if weight > 0 {
		b.forgotten.Add(1)
	}
	delete(b.accounts, least)
}

// mark has an address be known.
func (b *Bans) mark(holder netip.Addr, now time.Time) {
	b.mu.RLock()
	turned := b.turned
	b.mu.RUnlock()
	if now.Sub(turned) >= knownFor {
		b.turn(now)
	}
	bit := maphash.Comparable(b.seed, holder) % knownBits
	word := &b.known[b.present.Load()][bit/64]
	if mask := uint64(1) << (bit % 64); word.Load()&mask == 0 {
		word.Or(mask)
	}
}

// turn begins a generation, and forgets the one before the last.
func (b *Bans) turn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.turned) < knownFor {
		return
	}
	b.turned = now
	next := 1 - b.present.Load()
	for i := range b.known[next] {
		b.known[next][i].Store(0)
	}
	b.present.Store(next)
}

// isKnown says whether somebody got in from an address.
func (b *Bans) isKnown(holder netip.Addr) bool {
	bit := maphash.Comparable(b.seed, holder) % knownBits
	return (b.known[0][bit/64].Load()|b.known[1][bit/64].Load())>>(bit%64)&1 != 0
}
