package backbone

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

// liftKept is how long the lifting of a ban is kept, for nodes that were cut off
// to hear of it.
const liftKept = 30 * 24 * time.Hour

func banStream(*Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              StreamBans,
		Description:       "devices that are kept out",
		Subjects:          []string{banPrefix + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		AllowMsgTTL:       true,
		AllowDirect:       true,
	}
}

// Ban keeps a device out until the given time; zero: until Unban. It holds on
// this node, and is kept, when Ban returns nil; other nodes follow at once.
func (b *Backbone) Ban(ctx context.Context, tenant, device string, until time.Time, reason string) error {
	n := Ban{Tenant: tenant, Device: device, Until: until, Reason: reason}
	ttl := time.Duration(0)
	if !until.IsZero() {
		if ttl = time.Until(until); ttl <= 0 {
			return fmt.Errorf("backbone: a ban until %s is over", until.Format(time.RFC3339))
		}
	}
	return b.storeBan(ctx, n, ttl)
}

// Unban lets a device in again. It is no error when it was not banned.
func (b *Backbone) Unban(ctx context.Context, tenant, device string) error {
	return b.storeBan(ctx, Ban{Tenant: tenant, Device: device, Lifted: true}, liftKept)
}

func (b *Backbone) storeBan(ctx context.Context, n Ban, ttl time.Duration) error {
	subject, err := subjectOf(banPrefix, n.Tenant, n.Device)
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
	seq, err := b.storeSmall(ctx, StreamBans, m)
	if err != nil {
		return fmt.Errorf("store ban: %w", err)
	}
	b.bans.set(n, seq, false)
	return nil
}

// Banned says whether a device is kept out, and why, without asking the server.
func (b *Backbone) Banned(tenant, device string) (reason string, banned bool) {
	n, ok := b.bans.find(tenant, device)
	if !ok || !n.inForce(time.Now()) {
		return "", false
	}
	return n.Reason, true
}

// Bans are those in force, by tenant and device.
func (b *Backbone) Bans() []Ban { return b.bans.list(time.Now()) }

func (b *Backbone) watchBans() *watcher {
	return &watcher{
		conn:   b.reader,
		stream: StreamBans,
		config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: banPrefix + ">"},
		each: func(m *delivery) {
			var n Ban
			if json.Unmarshal(m.Data, &n) != nil {
				return
			}
			if b.bans.set(n, m.position, true); b.cfg.OnBan != nil && n.inForce(time.Now()) {
				b.cfg.OnBan(n)
			}
		},
		log: b.cfg.Logger,
	}
}

// banSet is this node's copy of the bans.
type banSet struct {
	mu sync.RWMutex
	// Guarded by mu.
	bans     map[deviceKey]storedBan
	followed uint64 // sequence up to which the watcher has come
	sweepAt  int    // size at which what is over is removed next
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

// sweepLocked forgets what is over, but not before the watcher has passed it: an
// older ban that it is about to see would come to life again.
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
