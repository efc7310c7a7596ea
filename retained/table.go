package retained

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/internal/defaults"
	"edgeloop/mqttproto"
)

// Config of a Table. Log, Store and Most are needed.
type Config struct {
	Log   Log
	Store Store
	// Most is how many messages are retained, with 4 KiB for each of them over all; of one tenant
	// half of both.
	Most int
	// Topic is the one at which subscribers find what a device published to a topic, default the
	// same. What is retained lies under it, so that no device takes the place of another's.
	Topic func(device, topic string) string
	// Every is how long it is from one write to the store to the next, at least, default 10 s.
	// What is in the log since is read again after a crash.
	Every time.Duration
	// Logger, default none.
	Logger *zap.Logger
}

// Log is the log as a Table needs it, one that this node alone writes: *backbone.Backbone. Errors
// are those of package backbone/reader.
type Log interface {
	// Edge is where the log begins or ends.
	Edge(ctx context.Context, start reader.Start) (store.Place, error)
	// Durable is how far it is durable; false: it does not say.
	Durable() (position uint64, ok bool)
	// AwaitDurable waits until it is durable up to a position.
	AwaitDurable(ctx context.Context, position uint64) error
	// Read is reader.Read.
	Read(ctx context.Context, o reader.Options, fn func(position uint64, line []byte) error) error
}

// Store keeps what is retained: *store.Retained.
type Store interface {
	Keep(ctx context.Context, all []store.RetainedMessage, upto store.Place) (done int, err error)
	Each(ctx context.Context, fn func(store.RetainedMessage)) (upto store.Place, there bool, err error)
}

// The bounds of what is retained.
const (
	perTenant = 2       // a tenant has one of so many parts
	perMost   = 4 << 10 // bytes for each message of Most, over all
	largest   = 4 << 20 // bytes of one
)

// Table is what is retained. It hears of each record when that is durable, in the order of the
// log and before its publisher does. Its methods may be called from any goroutine, but for Load
// and Run.
type Table struct {
	// Immutable after construction.
	cfg  Config
	most room

	mu sync.RWMutex
	// Guarded by mu.
	tenants map[string]*shelf
	took    room
	// n are the messages, and expiring those of them that expire.
	n, expiring int
	changed     map[*Slot]struct{} // those of which the store has to be told

	// Owned by the goroutine of Load, and then that of Run.
	place store.Place // up to where the store has what the log has
}

// New makes a Table that has nothing: Load takes up what is kept.
func New(cfg Config) *Table {
	defaults.Set(&cfg.Every, 10*time.Second)
	if cfg.Topic == nil {
		cfg.Topic = func(_, topic string) string { return topic }
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	cfg.Logger = cfg.Logger.Named("retained")
	return &Table{
		cfg: cfg, most: room{cfg.Most, cfg.Most * perMost},
		tenants: map[string]*shelf{}, changed: map[*Slot]struct{}{},
	}
}

// Topic is Config.Topic: that of Reserve, GiveBack and Retain.
func (t *Table) Topic(device, topic string) string { return t.cfg.Topic(device, topic) }

// Reserve keeps room for a message whose record has about so many bytes, until Retain or
// GiveBack; false: there is none.
func (t *Table) Reserve(tenant, topic string, size int) bool {
	size += len(topic) + extra
	t.mu.Lock()
	defer t.mu.Unlock()
	h, s := t.findLocked(tenant, topic)
	before := s.roomLocked()
	now := room{1, max(before.bytes, size)}
	var took room
	if h != nil {
		took = h.took
	}
	more := now.minus(before)
	fits := more == room{} || took.plus(more).within(t.most, perTenant) && t.took.plus(more).within(t.most, 1)
	if size > largest || !fits {
		return false
	}
	if s == nil {
		h, s = t.addLocked(tenant, topic)
	}
	s.coming++
	s.held = now.bytes
	t.countLocked(h, more)
	return true
}

// GiveBack gives room back that Reserve has kept: the message never comes.
func (t *Table) GiveBack(tenant, topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, s := t.findLocked(tenant, topic)
	if s == nil {
		return
	}
	before := s.roomLocked()
	s.coming--
	t.settleLocked(h, s, before)
}

// Retain has a record that is durable be the one of its topic. One for which no room was reserved
// takes out what its topic has: it has no payload, or there was no room, and what is there is not
// the last any more. line is borrowed until return.
func (t *Table) Retain(tenant, topic string, reserved bool, position uint64, line []byte) {
	var m *Message
	if reserved {
		m = newMessage(position, bytes.Clone(line))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h, s := t.findLocked(tenant, topic)
	if s == nil {
		return
	}
	before := s.roomLocked()
	if reserved {
		s.coming--
	}
	t.putLocked(s, m)
	t.settleLocked(h, s, before)
}

func (t *Table) putLocked(s *Slot, m *Message) {
	t.noteLocked(s.message, -1)
	t.noteLocked(m, 1)
	s.message = m
	t.changed[s] = struct{}{}
}

// noteLocked counts a message that is there from now on, or is not.
func (t *Table) noteLocked(m *Message, n int) {
	if m == nil {
		return
	}
	if t.n += n; m.expires != 0 {
		t.expiring += n
	}
}

// expire takes out what has expired by now.
func (t *Table) expire(now time.Time) {
	t.mu.RLock()
	var all []*Slot
	if t.expiring > 0 {
		for _, h := range t.tenants {
			all = append(all, h.all...)
		}
	}
	t.mu.RUnlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, s := range all {
		if s.message != nil && s.message.Expired(now) {
			h, before := t.tenants[s.tenant], s.roomLocked() // it is on the shelf
			t.putLocked(s, nil)
			t.settleLocked(h, s, before)
		}
		t.breatheLocked(i + 1)
	}
}

// settleLocked counts what a slot takes, which took before, and forgets one that is of no use.
func (t *Table) settleLocked(h *shelf, s *Slot, before room) {
	if s.held = max(s.held, s.sizeLocked()); s.coming == 0 {
		s.held = s.sizeLocked()
	}
	t.countLocked(h, s.roomLocked().minus(before))
	if s.message != nil || s.coming > 0 || s.stored {
		return
	}
	delete(t.changed, s)
	if h.remove(s); len(h.all) == 0 {
		delete(t.tenants, s.tenant)
	}
}

func (t *Table) countLocked(h *shelf, more room) {
	h.took, t.took = h.took.plus(more), t.took.plus(more)
}

func (t *Table) findLocked(tenant, topic string) (*shelf, *Slot) {
	h := t.tenants[tenant]
	if h == nil {
		return nil, nil
	}
	return h, h.slots[topic]
}

// slotLocked is the slot of a topic, which is made where there is none.
func (t *Table) slotLocked(tenant, topic string) (*shelf, *Slot) {
	if h, s := t.findLocked(tenant, topic); s != nil {
		return h, s
	}
	return t.addLocked(tenant, topic)
}

// addLocked makes the slot of a topic that has none.
func (t *Table) addLocked(tenant, topic string) (*shelf, *Slot) {
	h := t.tenants[tenant]
	if h == nil {
		h = &shelf{slots: map[string]*Slot{}}
		t.tenants[tenant] = h
	}
	return h, h.add(tenant, topic)
}

// Await waits until the Table has heard of all records up to a position of the log.
func (t *Table) Await(ctx context.Context, position uint64) error {
	return t.cfg.Log.AwaitDurable(ctx, position) //nolint:wrapcheck // the log says what it could not do
}

// Match are slots of a tenant whose topics a filter matches and lie behind after, in the order of
// topics, and at most so many. It looks at every topic of the tenant, without holding anybody up.
func (t *Table) Match(tenant, filter, after string, most int) []*Slot {
	t.mu.RLock()
	var all []*Slot
	if h := t.tenants[tenant]; h != nil {
		all = slices.Clone(h.all)
	}
	t.mu.RUnlock()
	byTopic := func(a, b *Slot) int { return strings.Compare(a.topic, b.topic) }
	var found []*Slot
	for _, s := range all {
		if s.topic <= after || !mqttproto.Match(filter, s.topic) {
			continue
		}
		if found = append(found, s); len(found) == 2*most {
			slices.SortFunc(found, byTopic)
			found = found[:most]
		}
	}
	slices.SortFunc(found, byTopic)
	return slices.Clip(slices.Clone(found[:min(len(found), most)]))
}

// Message is the message of a slot now; nil: there is none.
func (t *Table) Message(s *Slot) *Message {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return s.message
}

// Counts are how many messages are retained, and what they take, with what is on its way, bytes.
// nil has none.
func (t *Table) Counts() (n, size int) {
	if t == nil {
		return 0, 0
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.n, t.took.bytes
}
