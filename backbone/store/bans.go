package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// Ban keeps a device out.
type Ban struct {
	Tenant string    `json:"tenant"`
	Device string    `json:"device"`
	Until  time.Time `json:"until,omitzero"` // zero: until lifted
	Reason string    `json:"reason,omitempty"`
	Lifted bool      `json:"lifted,omitempty"`
}

func (n *Ban) inForce(now time.Time) bool {
	return !n.Lifted && (n.Until.IsZero() || n.Until.After(now))
}

// BanList holds the devices that are kept out. Its methods may be called from any
// goroutine.
type BanList struct {
	// Immutable after construction.
	srv   *servers.Servers
	onBan func(Ban)

	// With a lock of its own.
	set banSet
}

// OpenBans makes the stream and catches up with it. onBan, if set, is called for each ban, of
// this node and of others, those from before included. It must not block.
func OpenBans(ctx context.Context, srv *servers.Servers, onBan func(Ban)) (*BanList, error) {
	b := &BanList{srv: srv, onBan: onBan}
	if _, err := srv.Ensure(ctx, servers.Want{Stream: banStream()}); err != nil {
		return nil, err
	}
	return b, srv.StartWatch(ctx, b.watch())
}

// liftKept is how long the lifting of a ban is kept, so that nodes that were cut off learn
// of it.
const liftKept = 30 * 24 * time.Hour

func banStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              names.StreamBans,
		Description:       "devices that are kept out",
		Subjects:          []string{names.Ban + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		AllowMsgTTL:       true,
		AllowDirect:       true,
	}
}

// Ban keeps a device out until the given time; zero: until Unban. When Ban returns nil, the
// ban is stored and in force on this node; other nodes follow at once.
func (b *BanList) Ban(ctx context.Context, tenant, device string, until time.Time, reason string) error {
	n := Ban{Tenant: tenant, Device: device, Until: until, Reason: reason}
	ttl := time.Duration(0)
	if !until.IsZero() {
		if ttl = time.Until(until); ttl <= 0 {
			return fmt.Errorf("backbone: a ban until %s is over", until.Format(time.RFC3339))
		}
	}
	return b.storeBan(ctx, n, ttl)
}

// Unban lets a device in again. It is not an error if the device was not banned.
func (b *BanList) Unban(ctx context.Context, tenant, device string) error {
	return b.storeBan(ctx, Ban{Tenant: tenant, Device: device, Lifted: true}, liftKept)
}

func (b *BanList) storeBan(ctx context.Context, n Ban, ttl time.Duration) error {
	subject, err := names.Subject(names.Ban, n.Tenant, n.Device)
	if err != nil {
		return err
	}
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("store ban: %w", err)
	}
	m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	if ttl > 0 {
		m.Header.Set(headerTTL, wholeSeconds(ttl))
	}
	seq, err := b.srv.Put(ctx, names.StreamBans, m)
	if err != nil {
		return fmt.Errorf("store ban: %w", err)
	}
	b.set.set(n, seq, false)
	return nil
}

// Banned says whether a device is kept out and why, without asking the server.
func (b *BanList) Banned(tenant, device string) (reason string, banned bool) {
	n, ok := b.set.find(tenant, device)
	if !ok || !n.inForce(time.Now()) {
		return "", false
	}
	return n.Reason, true
}

// Bans returns the bans in force, sorted by tenant and device.
func (b *BanList) Bans() []Ban { return b.set.list(time.Now()) }

func (b *BanList) watch() *servers.Watcher {
	return &servers.Watcher{
		Stream: names.StreamBans,
		Config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: names.Ban + ">"},
		Each: func(m *servers.Delivery) {
			var n Ban
			if json.Unmarshal(m.Data, &n) != nil {
				return
			}
			if b.set.set(n, m.Position, true); b.onBan != nil && n.inForce(time.Now()) {
				b.onBan(n)
			}
		},
	}
}

// banSet is this node's copy of the bans.
type banSet struct {
	mu sync.RWMutex
	// Guarded by mu.
	bans     map[deviceKey]storedBan
	followed uint64 // the sequence that the watcher has reached
	sweepAt  int    // size at which expired bans are removed next
}

type storedBan struct {
	Ban
	seq uint64 // in the stream: the newest counts
}

// set takes n unless it knows a newer one.
func (s *banSet) set(n Ban, seq uint64, followed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bans == nil {
		s.bans, s.sweepAt = make(map[deviceKey]storedBan), firstSweep
	}
	if followed {
		s.followed = max(s.followed, seq)
	}
	k := deviceKey{n.Tenant, n.Device}
	if s.bans[k].seq > seq {
		return
	}
	s.bans[k] = storedBan{n, seq}
	if len(s.bans) >= s.sweepAt {
		s.sweepLocked(time.Now())
	}
}

// sweepLocked forgets what is over, but not before the watcher has passed it: an older ban
// that the watcher has yet to see would come back to life.
func (s *banSet) sweepLocked(now time.Time) {
	for k, n := range s.bans {
		if !n.inForce(now) && n.seq <= s.followed {
			delete(s.bans, k)
		}
	}
	s.sweepAt = max(firstSweep, 2*len(s.bans))
}

func (s *banSet) find(tenant, device string) (Ban, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.bans[deviceKey{tenant, device}]
	return n.Ban, ok
}

func (s *banSet) list(now time.Time) []Ban {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Ban
	for _, n := range s.bans {
		if n.inForce(now) {
			out = append(out, n.Ban)
		}
	}
	slices.SortFunc(out, func(x, y Ban) int {
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.Device, y.Device))
	})
	return out
}
