package mqttapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/internal/pause"
)

// RetainedConfig is what Retained needs; all of it is, but Logger.
type RetainedConfig struct {
	Log    Log
	Store  RetainedStore
	Topics Topics
	// Most is how many messages are retained, of one tenant half of that.
	Most   int
	Logger *zap.Logger
	// Every is how often the place moves on while nothing is to be retained, default 10 s.
	Every time.Duration
}

// RetainedStore keeps what is retained: *store.Retained.
type RetainedStore interface {
	Keep(ctx context.Context, all []store.RetainedMessage, upto store.Place) error
	Each(ctx context.Context, fn func(store.RetainedMessage)) (store.Place, error)
}

// The bounds of what is retained.
const (
	retainedShare   = 2       // a tenant has one of so many parts
	retainedBytes   = 4 << 10 // for each message of Most, over all
	retainedLargest = 4 << 20 // bytes of one record
)

// Retained keeps the last message of each topic that a device published to be retained. It reads
// them in the log: so its order is theirs, and what was acknowledged is found after kill -9. It
// reads when something is on its way that is to be retained; else its place moves on by itself, and
// costs devices nothing.
type Retained struct {
	// Immutable after construction.
	cfg   RetainedConfig
	most  room
	woken chan struct{} // a place of one

	// Atomic.
	begun, ended atomic.Uint64 // records that are to be retained, and those that are in the log, or never will be
	refused      atomic.Uint64 // messages that were not retained, because there was no room

	mu sync.Mutex
	// Guarded by mu.
	tenants map[string]*shelf
	took    room   // of all
	seen    uint64 // of begun, up to which all was read
	through bool   // seen means something
	started uint64 // passes
	done    uint64 // the last of those that came to their end
	passed  chan struct{}
	logID   string

	// Owned by the goroutine of Run, and before that by Load.
	place  store.Place
	dirty  map[topicOf]struct{} // what the store has to be told
	record record
}

type topicOf struct{ tenant, topic string }

// NewRetained has nothing yet: Load takes up what is kept.
func NewRetained(cfg RetainedConfig) *Retained {
	if cfg.Every == 0 {
		cfg.Every = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	return &Retained{
		cfg: cfg, most: room{cfg.Most, cfg.Most * retainedBytes}, woken: make(chan struct{}, 1),
		tenants: map[string]*shelf{}, passed: make(chan struct{}), dirty: map[topicOf]struct{}{},
	}
}

// Load takes up what an earlier run has kept, and has the store know from where to read. It is
// called once, before Run and before devices connect.
func (r *Retained) Load(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	upto, err := r.cfg.Store.Each(ctx, func(m store.RetainedMessage) {
		of := topicOf{m.Tenant, m.Topic}
		if !r.setLocked(of, &kept{m.Position, m.Line}) {
			r.dirty[of] = struct{}{} // there was room for more
		}
	})
	if err != nil {
		return err //nolint:wrapcheck // the store says what it could not do
	}
	if r.place = upto; upto.Log != "" {
		r.logID = upto.Log
		return nil
	}
	if r.place, err = r.cfg.Log.Edge(ctx, reader.Newest); err != nil {
		return err //nolint:wrapcheck // the log says what it could not do
	}
	r.logID = r.place.Log
	return r.cfg.Store.Keep(ctx, nil, r.place) //nolint:wrapcheck // as above
}

// Room implements gateway.Retainer.
func (r *Retained) Room(tenant, device string, topic []byte, payload, beside int) bool {
	if payload == 0 {
		return true
	}
	qos := byte(0)
	name := r.cfg.Topics.Of(&record{Tenant: tenant, Device: device, Topic: string(topic), QoS: &qos})
	size := payload*4/3 + beside + len(tenant) + len(device) + 2*len(topic) + retainedLine
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shelfLocked(tenant)
	more := s.more(name, size)
	if size > retainedLargest || !r.fitsLocked(s, more) {
		return false
	}
	s.reserve(name, more)
	r.took = r.took.plus(more)
	return true
}

// retainedLine is about the most that a record has besides, bytes.
const retainedLine = 1 << 10

// Begun implements gateway.Retainer.
func (r *Retained) Begun() { r.begun.Add(1) }

// Ended implements gateway.Retainer.
func (r *Retained) Ended() {
	r.ended.Add(1)
	signal(r.woken)
}

func (r *Retained) shelfLocked(tenant string) *shelf {
	s := r.tenants[tenant]
	if s == nil {
		s = &shelf{kept: map[string]*kept{}, coming: map[string]room{}}
		r.tenants[tenant] = s
	}
	return s
}

// setLocked puts a message in the place of its topic's older one; nil, or one for which there is no
// room, which is false, takes that out.
func (r *Retained) setLocked(of topicOf, k *kept) (fits bool) {
	s := r.shelfLocked(of.tenant)
	r.took = r.took.minus(s.remove(of.topic))
	if fits = k == nil || len(k.line) <= retainedLargest && r.fitsLocked(s, sizeOf(of.topic, len(k.line))); !fits {
		r.refused.Add(1)
	} else if k != nil {
		r.took = r.took.plus(s.put(of.topic, k))
	}
	if len(s.kept)+len(s.coming) == 0 {
		delete(r.tenants, of.tenant)
	}
	return fits
}

// fitsLocked says whether a tenant may have so much more.
func (r *Retained) fitsLocked(s *shelf, more room) bool {
	return s.took.plus(more).within(r.most, retainedShare) && r.took.plus(more).within(r.most, 1)
}

// Run reads what is to be retained, until ctx ends.
func (r *Retained) Run(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		again, err := r.pass(ctx)
		rest := retainedApart
		switch {
		case err != nil && ctx.Err() == nil:
			r.cfg.Logger.Warn("cannot read what is to be retained, it is tried again", zap.Error(err))
			rest = retainedAgain
			signal(r.woken)
		case again:
			signal(r.woken)
		}
		_ = pause.For(ctx, rest)
		select {
		case <-ctx.Done():
		case <-r.woken:
		case <-tick.C:
		}
	}
}

const (
	retainedApart = 50 * time.Millisecond // between two passes
	retainedAgain = time.Second           // after one that failed
)

// pass reads up to the end of the log as it is now, or moves the place there where nothing that is
// to be retained lies before it. again: something is on its way.
func (r *Retained) pass(ctx context.Context) (again bool, err error) {
	r.mu.Lock()
	r.started++
	pass := r.started
	seen, through := r.seen, r.through
	r.mu.Unlock()
	ended := r.ended.Load() // before begun: if they are the same nothing was on its way
	begun := r.begun.Load()
	edge, err := r.cfg.Log.Edge(ctx, reader.Newest)
	if err != nil {
		return false, err //nolint:wrapcheck // the log says what it could not do
	}
	quiet := begun == ended
	switch {
	case through && r.begun.Load() == seen && edge.Log == r.place.Log: // all before edge was begun before
		if edge.Position > r.place.Position {
			r.place.Position = edge.Position
			err = r.keep(ctx)
		}
	default:
		err = r.read(ctx, edge)
	}
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if quiet {
		r.seen, r.through = begun, true
		r.unreserveLocked(begun)
	}
	r.done, r.logID = pass, r.place.Log
	close(r.passed)
	r.passed = make(chan struct{})
	return !quiet, nil
}

// unreserveLocked gives room back that was kept for messages which never came to the log.
func (r *Retained) unreserveLocked(begun uint64) {
	if r.begun.Load() != begun {
		return
	}
	for tenant, s := range r.tenants {
		for topic, coming := range s.coming {
			s.took, r.took = s.took.minus(coming), r.took.minus(coming)
			delete(s.coming, topic)
		}
		if len(s.kept) == 0 {
			delete(r.tenants, tenant)
		}
	}
}

// read takes in what lies behind the place, up to edge at least.
func (r *Retained) read(ctx context.Context, edge store.Place) error {
	if r.place.Log != edge.Log || r.place.Position > edge.Position { // another log, or one that was put back
		r.anotherLog()
		r.place = store.Place{Log: edge.Log}
	}
	err := r.cfg.Log.Read(ctx, reader.Options{After: r.place.Position, Log: edge.Log}, func(position uint64, line []byte) error {
		r.place.Position = position
		if bytes.Contains(line, retainedMark) {
			r.take(position, line)
		}
		if len(r.dirty) >= retainedMany {
			return r.keep(ctx)
		}
		return nil
	})
	var other *reader.PositionError
	if errors.As(err, &other) {
		return fmt.Errorf("the log was exchanged meanwhile: %w", err)
	}
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	r.place.Position = max(r.place.Position, edge.Position)
	return r.keep(ctx)
}

// retainedMany is after how many changes the store is told at least.
const retainedMany = 1000

var retainedMark = []byte(`,"retain":true`)

// anotherLog has all messages be older than those of the log that is read from now on.
func (r *Retained) anotherLog() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for tenant, s := range r.tenants {
		for topic, k := range s.kept {
			s.kept[topic] = &kept{0, k.line}
			r.dirty[topicOf{tenant, topic}] = struct{}{}
		}
	}
}

// take takes in a record. line is borrowed.
func (r *Retained) take(position uint64, line []byte) {
	err := r.record.parse(line)
	var payload []byte
	if err == nil && r.record.Retain {
		payload, err = r.record.payload()
	}
	if err != nil { // never silent
		r.cfg.Logger.Error("a record was not retained", zap.Uint64("position", position), zap.Error(err))
		return
	}
	if !r.record.Retain {
		return
	}
	of := topicOf{r.record.Tenant, r.cfg.Topics.Of(&r.record)}
	var k *kept
	if len(payload) > 0 { // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
		k = &kept{position, bytes.Clone(line)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.tenants[of.tenant]; s != nil && s.kept[of.topic] != nil && s.kept[of.topic].position >= position {
		return // it was read before
	}
	r.setLocked(of, k) // [MQTT-3.3.1-5]
	r.dirty[of] = struct{}{}
}

// keep has the store know what has changed, and then the place.
func (r *Retained) keep(ctx context.Context) error {
	all := make([]store.RetainedMessage, 0, len(r.dirty))
	r.mu.Lock()
	for of := range r.dirty {
		m := store.RetainedMessage{Tenant: of.tenant, Topic: of.topic}
		if s := r.tenants[of.tenant]; s != nil && s.kept[of.topic] != nil {
			m.Position, m.Line = s.kept[of.topic].position, s.kept[of.topic].line
		}
		all = append(all, m)
	}
	r.mu.Unlock()
	if err := r.cfg.Store.Keep(ctx, all, r.place); err != nil {
		return err //nolint:wrapcheck // the store says what it could not do
	}
	clear(r.dirty)
	return nil
}

// retainedWait bounds how long a SUBSCRIBE waits for what the log has.
const retainedWait = 5 * time.Second

// Match are the messages of a tenant that a filter matches, the oldest first, as of all that is in
// the log now, and the identity of that. After a while it gives what there is.
func (r *Retained) Match(ctx context.Context, tenant, filter string) (all []store.RetainedMessage, log string) {
	late := time.NewTimer(retainedWait)
	defer late.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for want := r.started + 1; (!r.through || r.begun.Load() != r.seen) && r.done < want; {
		passed := r.passed
		r.mu.Unlock()
		signal(r.woken)
		waiting := true
		select {
		case <-passed:
		case <-late.C:
			r.cfg.Logger.Warn("what is retained is not read up to the end of the log yet")
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
		if r.mu.Lock(); !waiting {
			break
		}
	}
	if s := r.tenants[tenant]; s != nil {
		all = s.match(filter)
	}
	return all, r.logID
}

// Counts are how many messages are retained, their bytes, and how many were not for want of room.
// nil has none.
func (r *Retained) Counts() (n, size int, refused uint64) {
	if r == nil {
		return 0, 0, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.tenants {
		n += len(s.kept)
	}
	return n, r.took.bytes, r.refused.Load()
}
