package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// MaxRevocations is how many revocations are kept, lifted ones included until they are
// forgotten.
const MaxRevocations = 10_000

// ErrRevocationsFull says that MaxRevocations are kept. Nothing was stored.
var ErrRevocationsFull = errors.New("backbone: no room for more revocations: lift those that are over, or replace the key of the tokens")

// Revocation takes tokens back: the one of TokenID, of the tenant, or all that were issued
// before Before, of a device, of a tenant (Device is ""), or of all tenants (Tenant is "").
type Revocation struct {
	Tenant  string    `json:"tenant,omitempty"`
	Device  string    `json:"device,omitempty"`
	TokenID string    `json:"jti,omitempty"`
	Before  int64     `json:"before,omitempty"` // Unix seconds; 0 with a TokenID
	Until   time.Time `json:"until,omitzero"`   // zero: until lifted
	Reason  string    `json:"reason,omitempty"`
	Lifted  bool      `json:"lifted,omitempty"`
}

// ID names what is revoked; a second revocation of the same takes the place of the first.
func (r *Revocation) ID() string {
	sum := sha256.Sum256([]byte(r.Tenant + "\x00" + r.Device + "\x00" + r.TokenID))
	return hex.EncodeToString(sum[:16])
}

func (r *Revocation) target() target { return target{r.Tenant, r.Device, r.TokenID} }

func (r *Revocation) inForce(now time.Time) bool {
	return !r.Lifted && (r.Until.IsZero() || r.Until.After(now))
}

// covers reports whether a token of this target is taken back, issued in Unix seconds.
func (r *Revocation) covers(issued int64, now time.Time) bool {
	return r.inForce(now) && (r.TokenID != "" || issued < r.Before)
}

// target is what a revocation is about.
type target struct{ tenant, device, tokenID string }

// RevocationList holds the tokens that are taken back. Its methods may be called from any
// goroutine.
type RevocationList struct {
	// Immutable after construction.
	srv      *servers.Servers
	onRevoke func(Revocation)

	mu sync.RWMutex

	// Guarded by mu.
	all      map[target]storedRevocation
	followed uint64 // the sequence that the watcher has reached
	sweepAt  int    // size at which what is over is removed next
}

type storedRevocation struct {
	Revocation
	seq uint64 // in the stream: the newest counts
}

// OpenRevocations makes the stream, of most revocations, and catches up with it. onRevoke, if set, is called for
// each revocation once it is in force, of this node and of others, those from before
// included. It must not block.
func OpenRevocations(ctx context.Context, srv *servers.Servers, most int64, onRevoke func(Revocation)) (*RevocationList, error) {
	l := &RevocationList{srv: srv, onRevoke: onRevoke, all: make(map[target]storedRevocation), sweepAt: firstSweep}
	if _, err := srv.Ensure(ctx, servers.Want{Stream: revocationStream(most)}); err != nil {
		return nil, err
	}
	return l, srv.StartWatch(ctx, l.watch())
}

func revocationStream(most int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              names.StreamRevoked,
		Description:       "tokens that are taken back",
		Subjects:          []string{names.Revoked + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgs:           most,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardNew, // never an older one
		AllowMsgTTL:       true,
		AllowDirect:       true,
	}
}

// Revoke takes tokens back until the given time; zero: until LiftRevocation. When it returns
// nil, that is stored and in force on this node; other nodes follow at once. A Before does
// not move back while one is in force. ErrRevocationsFull.
func (l *RevocationList) Revoke(ctx context.Context, r Revocation) (Revocation, error) {
	ttl := time.Duration(0)
	if !r.Until.IsZero() {
		if ttl = time.Until(r.Until); ttl <= 0 {
			return r, fmt.Errorf("backbone: a revocation until %s is over", r.Until.Format(time.RFC3339))
		}
	}
	if old, ok := l.find(r.target()); ok && old.inForce(time.Now()) {
		r.Before = max(r.Before, old.Before)
	}
	return r, l.put(ctx, r, ttl)
}

// LiftRevocation ends the revocation with this ID; false: none is in force.
func (l *RevocationList) LiftRevocation(ctx context.Context, id string) (bool, error) {
	for _, r := range l.Revocations() {
		if r.ID() == id {
			r.Lifted = true
			return true, l.put(ctx, r, liftKept)
		}
	}
	return false, nil
}

func (l *RevocationList) put(ctx context.Context, r Revocation, ttl time.Duration) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("store revocation: %w", err)
	}
	m := &nats.Msg{Subject: names.Revoked + r.ID(), Data: data, Header: nats.Header{}}
	if ttl > 0 {
		m.Header.Set(headerTTL, wholeSeconds(ttl))
	}
	seq, err := l.srv.Put(ctx, names.StreamRevoked, m)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStoreFailed && servers.BoundReached(api.Description) {
		return ErrRevocationsFull
	}
	if err != nil {
		return fmt.Errorf("store revocation: %w", err)
	}
	l.set(r, seq, false)
	return nil
}

// Revoked says whether a token is taken back, without asking the server. tokenID is its jti,
// "" for none, issued its iat in Unix seconds, 0 for none.
func (l *RevocationList) Revoked(tenant, device, tokenID string, issued int64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.all) == 0 {
		return false
	}
	now := time.Now()
	for _, t := range [...]target{{}, {tenant: tenant}, {tenant: tenant, device: device}, {tenant: tenant, tokenID: tokenID}} {
		if r, ok := l.all[t]; ok && r.covers(issued, now) {
			return true
		}
	}
	return false
}

// Revocations returns those in force, sorted by ID.
func (l *RevocationList) Revocations() []Revocation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	now, out := time.Now(), []Revocation(nil)
	for _, r := range l.all {
		if r.inForce(now) {
			out = append(out, r.Revocation)
		}
	}
	slices.SortFunc(out, func(x, y Revocation) int { return cmp.Compare(x.ID(), y.ID()) })
	return out
}

func (l *RevocationList) watch() *servers.Watcher {
	return &servers.Watcher{
		Stream: names.StreamRevoked,
		Config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: names.Revoked + ">"},
		Each: func(m *servers.Delivery) {
			var r Revocation
			if json.Unmarshal(m.Data, &r) != nil {
				return
			}
			if l.set(r, m.Position, true); l.onRevoke != nil && r.inForce(time.Now()) {
				l.onRevoke(r)
			}
		},
	}
}

// set takes r unless it knows a newer one.
func (l *RevocationList) set(r Revocation, seq uint64, followed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if followed {
		l.followed = max(l.followed, seq)
	}
	if l.all[r.target()].seq > seq {
		return
	}
	l.all[r.target()] = storedRevocation{r, seq}
	if len(l.all) < l.sweepAt {
		return
	}
	now := time.Now()
	for t, old := range l.all { // not before the watcher has passed it: see banSet
		if !old.inForce(now) && old.seq <= l.followed {
			delete(l.all, t)
		}
	}
	l.sweepAt = max(firstSweep, 2*len(l.all))
}

func (l *RevocationList) find(t target) (Revocation, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r, ok := l.all[t]
	return r.Revocation, ok
}
