package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/internal/pause"
)

// The bounds of the Wills that wait on one node, and of those of one tenant, so that it does not
// take the room of all. One more is published at once (DropWillEarly).
const (
	willsMost     = 1 << 14
	willBytesMost = 16 << 20
	willsShare    = 4 // a tenant has one of so many parts
)

// willRoom is what some Wills take.
type willRoom struct {
	n, bytes int
}

// fits says whether one more of so many bytes fits into one of parts of what a node has.
func (r willRoom) fits(bytes, parts int) bool {
	return r.n < willsMost/parts && r.bytes+bytes <= willBytesMost/parts
}

// A WillStore keeps the Wills that wait across a restart of the node. Only the goroutine that keeps
// them calls it, and the one that starts and stops the node.
type WillStore interface {
	// KeepWills keeps put, and forgets the Wills of the devices of over. All but undone are on the
	// disk when it returns; the error says why those are not.
	KeepWills(ctx context.Context, put, over []backbone.Will) (undone []backbone.Will, err error)
	// Wills calls fn with each that is kept.
	Wills(ctx context.Context, fn func(backbone.Will)) error
}

// wills are the Wills of clients that have gone, and may come back before they are published
// (docs/decisions/0068). Each waits on a timer. What changes is written to the store by one
// goroutine, soon after and many at a time, so that no client waits for it.
type wills struct {
	// Immutable after construction.
	store   WillStore        // nil: they end with the node
	publish func(*will) bool // begins to; false: the node stops
	logger  *zap.Logger
	woken   chan struct{} // capacity 1: there is something to write
	turn    chan struct{} // capacity 1: held by who writes

	mu sync.Mutex
	// Guarded by mu.
	held    map[devicemgr.Key]*will
	bytes   int                 // of those
	tenants map[string]willRoom // of those, by tenant
	unsaved map[devicemgr.Key]struct{}
	saved   map[devicemgr.Key]struct{} // of which the store may have one
	stopped bool

	// Atomic.
	n atomic.Int32 // of held, so that who connects pays a load
}

// A will is one that waits, or is on its way to the log.
type will struct {
	of    backbone.Will // never written
	timer *time.Timer   // guarded by wills.mu
}

func (w *will) key() devicemgr.Key { return keyOfWill(&w.of) }

func keyOfWill(of *backbone.Will) devicemgr.Key {
	return devicemgr.Key{Tenant: of.Tenant, Device: of.Device}
}

// size is what a will counts, bytes.
func (w *will) size() int { return len(w.of.Topic) + len(w.of.Payload) }

func newWills(store WillStore, publish func(*will) bool, logger *zap.Logger) *wills {
	return &wills{
		store: store, publish: publish, logger: logger,
		woken: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		held: make(map[devicemgr.Key]*will), tenants: make(map[string]willRoom),
		unsaved: make(map[devicemgr.Key]struct{}), saved: make(map[devicemgr.Key]struct{}),
	}
}

// hold has a Will wait for its delay, in the place of an older one of its device. nil: there is
// no room.
func (s *wills) hold(of backbone.Will) *will {
	w := &will{of: of}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(w.key())
	mine := s.tenants[of.Tenant]
	if all := (willRoom{len(s.held), s.bytes}); s.stopped || !all.fits(w.size(), 1) || !mine.fits(w.size(), willsShare) {
		s.changedLocked(w.key())
		return nil
	}
	s.held[w.key()] = w
	s.bytes += w.size()
	s.tenants[of.Tenant] = willRoom{mine.n + 1, mine.bytes + w.size()}
	s.n.Store(int32(len(s.held))) //nolint:gosec // bounded above
	w.timer = time.AfterFunc(of.Delay, func() { s.publish(w) })
	s.changedLocked(w.key())
	return w
}

// take takes the Will of a device out, which is not published then; false: none waits, or it is on
// its way already.
func (s *wills) take(key devicemgr.Key) bool {
	w := s.due(key)
	if w != nil {
		s.over(w)
	}
	return w != nil
}

// due ends the wait of the Will of a device, which the caller publishes; nil: none waits, or it is
// on its way already. The store keeps it until over hears of it.
func (s *wills) due(key devicemgr.Key) *will {
	if s.n.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.held[key]
	if w == nil || !w.timer.Stop() {
		return nil
	}
	return w
}

// elsewhere hears that a device is at another node, by a connection of an epoch: its Will is not
// published, for only that node knows whether it went on with its session.
func (s *wills) elsewhere(key devicemgr.Key, epoch uint64) {
	if s.n.Load() == 0 {
		return
	}
	s.mu.Lock()
	w := s.held[key]
	s.mu.Unlock()
	if w != nil && epoch > w.of.Epoch {
		s.drop(w)
	}
}

// drop takes w out, if it still waits.
func (s *wills) drop(w *will) (dropped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[w.key()] != w || !w.timer.Stop() {
		return false
	}
	s.removeLocked(w.key())
	s.changedLocked(w.key())
	return true
}

// over hears that w is in the log, or never will be.
func (s *wills) over(w *will) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[w.key()] == w {
		s.removeLocked(w.key())
		s.changedLocked(w.key())
	}
}

// willsLater is when a Will is tried again whose worker panicked.
const willsLater = time.Minute

// failed hears that w did not get to the log: it is published again later.
func (s *wills) failed(w *will) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[w.key()] == w && !s.stopped {
		w.timer = time.AfterFunc(willsLater, func() { s.publish(w) })
	}
}

func (s *wills) removeLocked(key devicemgr.Key) {
	w := s.held[key]
	if w == nil {
		return
	}
	w.timer.Stop()
	delete(s.held, key)
	s.bytes -= w.size()
	if mine := s.tenants[key.Tenant]; mine.n == 1 {
		delete(s.tenants, key.Tenant)
	} else {
		s.tenants[key.Tenant] = willRoom{mine.n - 1, mine.bytes - w.size()}
	}
	s.n.Store(int32(len(s.held))) //nolint:gosec // bounded by hold
}

// changedLocked has the store told of a device.
func (s *wills) changedLocked(key devicemgr.Key) {
	if s.store == nil {
		return
	}
	s.unsaved[key] = struct{}{}
	s.wake()
}

// load takes up what the store has of before. The delay counts anew: no client could come back
// while the node was away.
func (s *wills) load(ctx context.Context) error {
	if s.store == nil {
		return nil
	}
	return s.store.Wills(ctx, func(of backbone.Will) { //nolint:wrapcheck // the store says what it could not do
		w := s.hold(of)
		key := keyOfWill(&of)
		if w == nil {
			s.publish(&will{of: of})
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.saved[key] = struct{}{}
		if delete(s.unsaved, key); w == nil {
			s.changedLocked(key)
		}
	})
}

const (
	// willsApart is how long it is from one write of what changes to the next, at least: a sync
	// costs the log too.
	willsApart = 200 * time.Millisecond
	// willsAgain is how long a store that could not keep Wills is left alone.
	willsAgain = time.Second
	// willsMostly bounds one call of it.
	willsMostly = 10 * time.Second
)

// run tells the store what changes, until stopping is closed.
func (s *wills) run(stopping <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-stopping
		cancel()
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.woken:
		}
		within, cancel := context.WithTimeout(ctx, willsMostly)
		err := s.settle(within)
		cancel()
		apart := willsApart
		if err != nil && ctx.Err() == nil {
			s.logger.Warn("cannot write the waiting Wills to disk yet", zap.Error(err))
			apart = willsAgain
			s.wake()
		}
		_ = pause.For(ctx, apart)
	}
}

func (s *wills) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// settle tells the store all that has changed.
func (s *wills) settle(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	put, over := s.changes()
	if len(put)+len(over) == 0 {
		return nil
	}
	undone, err := s.store.KeepWills(ctx, put, over)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range put {
		s.saved[keyOfWill(&of)] = struct{}{}
	}
	for _, of := range over {
		delete(s.saved, keyOfWill(&of))
	}
	for _, of := range undone { // the store may have them, or not
		s.saved[keyOfWill(&of)] = struct{}{}
		s.unsaved[keyOfWill(&of)] = struct{}{}
	}
	return err //nolint:wrapcheck // the store says what it could not do
}

// changes are what the store has to be told, which then counts as told.
func (s *wills) changes() (put, over []backbone.Will) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.unsaved {
		_, saved := s.saved[key]
		switch w := s.held[key]; {
		case w != nil:
			put = append(put, w.of)
		case saved:
			over = append(over, backbone.Will{Tenant: key.Tenant, Device: key.Device})
		}
	}
	clear(s.unsaved)
	return put, over
}

// stop ends all timers: what waits is taken up by the next start.
func (s *wills) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, w := range s.held {
		w.timer.Stop()
	}
}

// counts are how many wait, and of how many the store has to be told.
func (s *wills) counts() (waiting, unsaved int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held), len(s.unsaved)
}
