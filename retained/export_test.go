package retained

import (
	"context"
	"fmt"
	"time"
)

// Write is what Run does each time.
func (t *Table) Write(ctx context.Context) error { return t.keep(ctx) }

// Stride is how far the place may be behind.
const Stride = stride

// Slots are how many topics it knows, also those that have nothing.
func (t *Table) Slots() (n int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, h := range t.tenants {
		n += len(h.all)
	}
	return n
}

// Check compares what is counted with what is there, and with what may be.
func (t *Table) Check() error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var all room
	n, expiring := 0, 0
	for tenant, h := range t.tenants {
		var of room
		for i, s := range h.all {
			if s.at != i || h.slots[s.topic] != s {
				return fmt.Errorf("%s/%s is not where it says", tenant, s.topic)
			}
			if of = of.plus(s.roomLocked()); s.message != nil {
				n++
				if s.message.expires != 0 {
					expiring++
				}
			}
		}
		if of != h.took || !of.within(t.most, perTenant) || len(h.all) == 0 {
			return fmt.Errorf("tenant %s takes %+v in %d slots, counted are %+v", tenant, of, len(h.all), h.took)
		}
		all = all.plus(of)
	}
	if all != t.took || !all.within(t.most, 1) || n != t.n || expiring != t.expiring {
		return fmt.Errorf("all take %+v with %d messages, counted are %+v and %d", all, n, t.took, t.n)
	}
	return nil
}

// Hold has the lock as Run has it for many slots, until others are through who need it; false: they
// do not get it.
func (t *Table) Hold(others func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	through := make(chan struct{})
	go func() {
		defer close(through)
		others()
	}()
	late := time.Now().Add(time.Minute)
	for i := 1; time.Now().Before(late); i++ {
		select {
		case <-through:
			return true
		default:
			t.breatheLocked(i)
		}
	}
	return false
}
