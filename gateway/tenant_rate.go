package gateway

import (
	"time"

	"edgeloop/quota"
)

// The rate of a tenant. All its connections pay into two meters, by atomic adds, and each
// looks at them when a read is through. A link over the rate is woken, and pauses then, so
// nothing that was read stays in the node's memory; what comes next waits in the kernel.
// Links go on in slices, as many at a time as the rate has room for: all at once would each
// bring what their sockets hold.
//
//	loop    handOnLoop          charges what goes to the lane             (window.go)
//	loop    checkQuotaOnLoop    once the read was cut: over? wake, to pause
//	loop    heedQuotaOnLoop     pauses
//	loop    awaitQuotaOnLoop    waits in tenant.waiting; nothing is held meanwhile
//	timer   wakeSome            some at a time

const (
	// quotaPace is the time between two slices of those who wait.
	quotaPace = 5 * time.Millisecond
	// quotaSlice is how many go on at a time at most.
	quotaSlice = 64
	// quotaLook is when to look again at the latest: the rate may have changed.
	quotaLook = time.Second
)

// charge has messages paid for; nil: they are no tenant's.
func (t *tenant) charge(now time.Time, messages, bytes int) {
	if t == nil {
		return
	}
	limits, at := t.limits.Load(), now.Sub(t.born)
	t.messages.Charge(at, int64(messages), limits.Messages)
	t.bytes.Charge(at, int64(bytes), limits.Bytes)
}

// wait is for how long the tenant may not send; 0: it may.
func (t *tenant) wait(now time.Time) time.Duration {
	limits := t.limits.Load()
	if limits.Messages|limits.Bytes == 0 {
		return 0
	}
	at := now.Sub(t.born)
	return max(t.messages.Over(at), t.bytes.Over(at))
}

// checkQuotaOnLoop has the link wake, to pause, when its tenant is over its rate.
func (l *link) checkQuotaOnLoop() {
	t := l.tenant
	if t == nil || l.flags.Load()&(flagStalled|flagOver) != 0 {
		return
	}
	if limits := t.limits.Load(); limits.Messages|limits.Bytes == 0 || t.wait(l.g.clock()) == 0 {
		return
	}
	l.flags.Or(flagOver)
	l.conn.Wake()
}

// heedQuotaOnLoop pauses as checkQuotaOnLoop wanted it.
func (l *link) heedQuotaOnLoop() {
	if l.flags.Load()&flagOver != 0 {
		l.flags.And(^flagOver)
		l.stallOnLoop()
	}
}

// awaitQuotaOnLoop reports whether the link has to wait for its tenant's rate, and makes sure that
// it is woken. A link that holds something that was read goes on with it: it would take memory of
// others for as long as it waits.
func (l *link) awaitQuotaOnLoop() bool {
	if l.tenant == nil || l.conn.HoldsOnLoop() {
		return false
	}
	wait := l.tenant.wait(l.g.clock())
	if wait == 0 {
		return false
	}
	if l.flags.Or(flagBroke)&flagBroke == 0 {
		l.g.drops[DropOverQuota].Add(1)
		l.tenant.count(quota.Rate)
		l.tenant.await(l, wait)
	}
	return true
}

// await has l woken when the rate has room for it.
func (t *tenant) await(l *link, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == nil {
		t.waiting = make(map[*link]struct{})
	}
	t.waiting[l] = struct{}{}
	if !t.armed {
		t.armed = true
		time.AfterFunc(min(wait, quotaLook), t.wakeSome)
	}
}

// forget ends l's wait.
func (t *tenant) forget(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, l)
	t.shrinkLocked()
}

// shrinkLocked gives the map back when it is empty: it never gets smaller.
func (t *tenant) shrinkLocked() {
	if len(t.waiting) == 0 {
		t.waiting = nil
	}
}

// waits is how many wait.
func (t *tenant) waits() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// wakeSome wakes as many as the rate has room for, in no order, and is called again while
// others wait.
func (t *tenant) wakeSome() {
	now := time.Now()
	again, n := t.wait(now), 0
	if again == 0 {
		again, n = quotaPace, t.slice(now)
	}
	woken := make([]*link, 0, n)
	t.mu.Lock()
	for l := range t.waiting {
		if len(woken) == n {
			break
		}
		woken = append(woken, l)
		delete(t.waiting, l)
	}
	t.shrinkLocked()
	if t.armed = t.waiting != nil; t.armed {
		time.AfterFunc(min(again, quotaLook), t.wakeSome)
	}
	t.mu.Unlock()
	for _, l := range woken {
		l.flags.And(^flagBroke)
		l.conn.Wake()
	}
}

// slice is how many may go on now: each may bring a read.
func (t *tenant) slice(now time.Time) int {
	limits, at, n := t.limits.Load(), now.Sub(t.born), int64(quotaSlice)
	if limits.Messages > 0 {
		n = min(n, t.messages.Room(at, limits.Messages)/pieceMessages)
	}
	if limits.Bytes > 0 {
		n = min(n, t.bytes.Room(at, limits.Bytes)/pieceBytes)
	}
	return int(max(n, 1))
}
