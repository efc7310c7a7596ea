package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoLonger ends what a principal has begun that may not ask any more.
var ErrNoLonger = errors.New("the token is no longer valid")

// ExpiredError says that a token was valid once.
type ExpiredError struct{ Name string }

func (e *ExpiredError) Error() string { return fmt.Sprintf("the token %s has expired", e.Name) }

// Holder is a principal, and the context of all that it asks.
type Holder struct {
	// Immutable after construction.
	Principal
	ctx context.Context
	end context.CancelCauseFunc
}

// Roster is who may ask now, by whatever way into the node. Its methods may be called from
// any goroutine. The zero value has nobody.
type Roster struct {
	// Guarded by mu: changes.
	mu sync.Mutex

	// Atomic.
	holders atomic.Pointer[[]*Holder]
}

// Set has these tokens taken from now on and no others. What is being served for others
// ends; what is the same goes on.
func (r *Roster) Set(all ...Principal) error {
	if len(all) == 0 {
		return errors.New("admin: no token")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.all()
	fresh := make([]*Holder, len(all))
	for i := range all {
		fresh[i] = &Holder{Principal: all[i]}
		if at := slices.IndexFunc(before, func(h *Holder) bool { return h.Equal(&all[i]) }); at >= 0 {
			fresh[i] = before[at]
			continue
		}
		fresh[i].ctx, fresh[i].end = context.WithCancelCause(context.Background())
	}
	r.holders.Store(&fresh)
	for _, h := range before {
		if !slices.Contains(fresh, h) {
			h.end(ErrNoLonger)
		}
	}
	return nil
}

func (r *Roster) all() []*Holder {
	if holders := r.holders.Load(); holders != nil {
		return *holders
	}
	return nil
}

// Find is who has a token; nil: nobody. *ExpiredError: its time is over.
func (r *Roster) Find(token string) (*Holder, error) {
	all := r.all()
	i := Find(all, func(h **Holder) *Principal { return &(*h).Principal }, token)
	switch {
	case i < 0:
		return nil, nil
	case all[i].Expired(time.Now()):
		return nil, &ExpiredError{all[i].Name}
	}
	return all[i], nil
}

// Within is the context of a request of the holder's: it ends with ctx, and with
// ErrNoLonger when the holder may not ask any more. The caller calls its end.
func (h *Holder) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(h.ctx, func() { cancel(ErrNoLonger) })
	var timer *time.Timer
	if !h.Expires.IsZero() {
		timer = time.AfterFunc(time.Until(h.Expires), func() { cancel(ErrNoLonger) })
	}
	return ctx, func() {
		forget()
		if timer != nil {
			timer.Stop()
		}
		cancel(nil)
	}
}

// TenantOf is the tenant that the principal gets who asks for one: for none ("") those who
// are bound to a tenant get theirs. false: it may not have that of another. The answer is
// the same whatever there is of that name.
func (p *Principal) TenantOf(asked string) (string, bool) {
	switch {
	case p.Tenant == "" || asked == p.Tenant:
		return asked, true
	case asked == "":
		return p.Tenant, true
	}
	return "", false
}
