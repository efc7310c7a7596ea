package auth

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Revocation denies a token (TokenID, its jti) or a device (Device, in Tenant) the
// right to connect, until a time or, if that is zero, for good.
// Exactly one of TokenID and Device is set.
type Revocation struct {
	Tenant  string // "" = DefaultTenant
	Device  string
	TokenID string
	Until   time.Time
}

// subject is what is revoked: a token, or a device of a tenant.
type subject struct{ tenant, device, tokenID string }

func (r Revocation) subject() subject {
	switch {
	case r.TokenID != "":
		return subject{tokenID: r.TokenID}
	case r.Tenant == "":
		return subject{tenant: DefaultTenant, device: r.Device}
	}
	return subject{tenant: r.Tenant, device: r.Device}
}

type revocations struct {
	// Immutable after construction.
	max int

	mu sync.RWMutex

	// Guarded by mu.
	until map[subject]time.Time // zero = for good

	// Atomic.
	count atomic.Int64 // len(until)
}

func newRevocations(limit int) *revocations {
	return &revocations{max: limit, until: make(map[subject]time.Time)}
}

func (s *revocations) add(r Revocation, now time.Time) error {
	if (r.TokenID == "") == (r.Device == "") {
		return errors.New("auth: a revocation names either a token id or a device")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.count.Store(int64(len(s.until))) }()
	key := r.subject()
	if _, known := s.until[key]; !known && len(s.until) >= s.max {
		s.sweepLocked(now)
		if len(s.until) >= s.max {
			return ErrFull
		}
	}
	s.until[key] = r.Until
	return nil
}

// sweepLocked drops expired revocations.
func (s *revocations) sweepLocked(now time.Time) {
	for key, until := range s.until {
		if !inForce(until, now) {
			delete(s.until, key)
		}
	}
}

func (s *revocations) remove(r Revocation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.subject()
	_, known := s.until[key]
	delete(s.until, key)
	s.count.Store(int64(len(s.until)))
	return known
}

func (s *revocations) covers(id *Identity, now func() time.Time) bool {
	if s.count.Load() == 0 {
		return false
	}
	t := now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if until, ok := s.until[subject{tenant: id.Tenant, device: id.Device}]; ok && inForce(until, t) {
		return true
	}
	if id.TokenID == "" {
		return false
	}
	until, ok := s.until[subject{tokenID: id.TokenID}]
	return ok && inForce(until, t)
}

func inForce(until, now time.Time) bool { return until.IsZero() || now.Before(until) }
