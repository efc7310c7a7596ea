package mqttapi

import (
	"context"
	"sync"
	"time"

	"edgeloop/internal/pause"
)

// lookRest is for how long a tenant rests that has looked for what is retained, in the time that took:
// however many clients ask, and how often, a quarter of a core is what a tenant costs.
const lookRest = 3

// looks has clients look for what is retained one after the other, so that all together cost a core at
// most. Each tenant has one turn at a time, which it waits for with the others, and rests behind it:
// so nobody waits for the rests of others, nor for more than one look of each other tenant.
type looks struct {
	// Immutable after construction.
	place chan struct{} // of one: held by who looks

	mu sync.Mutex
	// Guarded by mu.
	tenants map[string]*looker // those that look, or rest, and others until one more comes
}

// looker is a tenant that looks.
type looker struct {
	// Immutable after construction.
	place chan struct{} // of one: held by who looks for the tenant, or is the next one of it to look

	// Guarded by mu of looks.
	users int // who wait for the place, or have it

	// Owned by who has the place; where there are no users, guarded by mu of looks.
	until time.Time // it rests
}

func newLooks() *looks {
	return &looks{place: make(chan struct{}, 1), tenants: map[string]*looker{}}
}

// look calls fn when it is the turn of a client of a tenant, or returns the error of ctx. The rest
// behind it is the next one's to wait for, also if that is another client.
func (k *looks) look(ctx context.Context, tenant string, fn func()) error {
	l := k.enter(tenant)
	defer k.leave(l)
	if err := take(ctx, l.place); err != nil {
		return err
	}
	defer func() { <-l.place }()
	if err := pause.For(ctx, time.Until(l.until)); err != nil {
		return err //nolint:wrapcheck // it is that of ctx
	}
	if err := take(ctx, k.place); err != nil {
		return err
	}
	defer func() { <-k.place }()
	began := time.Now()
	fn()
	now := time.Now()
	l.until = now.Add(lookRest * now.Sub(began))
	return nil
}

// take waits for a place.
func take(ctx context.Context, place chan struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter counts a client in among those of its tenant. Who comes first has tenants forgotten that have
// rested, so there are no more than look or rest at a time.
func (k *looks) enter(tenant string) *looker {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.tenants[tenant]
	if l == nil {
		now := time.Now()
		for name, other := range k.tenants {
			if other.users == 0 && now.After(other.until) {
				delete(k.tenants, name)
			}
		}
		l = &looker{place: make(chan struct{}, 1)}
		k.tenants[tenant] = l
	}
	l.users++
	return l
}

func (k *looks) leave(l *looker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l.users--
}
