package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// ErrResetting says that the sequence of the device is being reset already.
var ErrResetting = errors.New("gateway: the sequence of the device is being reset")

// errMoved: another node has written of the device meanwhile.
var errMoved = errors.New("gateway: another node has newer messages of the device")

// ResetRecord is the type of the record behind which the sequences of a device begin again.
const ResetRecord = "reset"

// resetTries is how often a reset is tried that another node was quicker than.
const resetTries = 5

// A Reset is what a reset did.
type Reset struct {
	Epoch uint64 // of the record; connections from then on have a higher one
	Was   uint64 // the highest durable sequence before
}

// Reset has the sequences of a device begin again, at 1 or wherever it likes. A record of a
// new epoch without a sequence goes into the log; whatever asks the log where it stands with
// the device, at any node and after any restart, is told 0 from then on. A device that is
// connected is sent away, and kept out until the record is durable. What it had sent and
// was not acknowledged is before the record or not in the log at all. Errors:
// ErrUnknownDevice, ErrDraining, ErrResetting, or the log's. When ctx ends earlier, the
// reset may still take effect, and keeps the device out until then.
func (g *Gateway) Reset(ctx context.Context, key devicemgr.Key) (Reset, error) {
	if g.draining.Load() {
		return Reset{}, ErrDraining
	}
	for range resetTries {
		out, err := g.reset(ctx, key)
		if !errors.Is(err, errMoved) {
			return out, err
		}
	}
	return Reset{}, errMoved
}

func (g *Gateway) reset(ctx context.Context, key devicemgr.Key) (Reset, error) {
	told := g.resets.begin(key)
	if told == nil {
		return Reset{}, ErrResetting
	}
	last, err := g.log.Last(ctx, key.Tenant, key.Device)
	s := g.devices.Lookup(key)
	switch {
	case err != nil:
		g.resets.end(key)
		return Reset{}, fmt.Errorf("gateway: look up the device: %w", err)
	case s == nil && last.Position == 0:
		g.resets.end(key)
		return Reset{}, ErrUnknownDevice
	}
	was := last.Seq
	if s != nil {
		was = max(was, s.Durable())
	}
	r := &resetting{key: key, last: last, done: make(chan error, 1)}
	b := g.errand(key, r)
	r.batch, r.g = b, g
	if !g.lanes.PostLast(uint64(b.link.laneKey), b) {
		g.resets.end(key)
		return Reset{}, ErrDraining
	}
	select {
	case err = <-r.done:
	case <-ctx.Done():
		return Reset{}, fmt.Errorf("gateway: reset the sequence of a device: %w", context.Cause(ctx))
	case <-g.stopping:
		return Reset{}, ErrDraining
	}
	if err != nil {
		return Reset{}, err
	}
	late := time.NewTimer(toldMost)
	defer late.Stop()
	select {
	case <-told:
	case <-late.C: // who is at another node is overtaken by its next message
		g.resetTold(key)
	case <-ctx.Done():
	case <-g.stopping:
	}
	return Reset{Epoch: r.epoch, Was: was}, nil
}

// resetting is a reset on its way. It goes along the device's lane as a message does, so it
// implements the part of a dialect that the lane calls. All that connections have brought is in the
// log before it, and nothing that comes behind it is of a session that knows the old sequences.
type resetting struct {
	dialect // none of the rest is called: there is no connection

	// Immutable after construction.
	g     *Gateway
	key   devicemgr.Key
	last  backbone.Last // where the log stood when it began
	batch *batch
	done  chan error // capacity 1

	// Owned by the lane, then by the log, then by who has received from done.
	epoch uint64
}

// takeOnLane implements dialect.
func (r *resetting) takeOnLane(_ *link, t *turn, _ *batch, _ message) {
	r.epoch = max(r.last.Epoch+1, uint64(time.Now().UnixMicro())) //nolint:gosec // after 1970
	if s := r.g.devices.Lookup(r.key); s != nil {
		if of := s.Epoch(); !s.Forgotten() {
			r.epoch = max(r.epoch, of+1)
		}
		if now := r.g.devices.Discard(s); now != nil {
			now.Close(uint16(eventloop.CloseGoingAway), r.g.comeBack())
		}
	}
	r.g.sessions.forget(r.key) // what was kept of a client ends with it
	r.g.wills.take(r.key)
	t.records = append(t.records, backbone.Record{
		Tenant: r.key.Tenant, Device: r.key.Device, Epoch: r.epoch, After: r.last.Position,
		Type: ResetRecord, Received: t.now, Done: r,
	})
}

// doneOnLane implements dialect.
func (r *resetting) doneOnLane(*link, *turn, *batch) {}

// Durable implements backbone.Completion.
func (r *resetting) Durable(_ uint64, n int) {
	r.batch.settle(n)
	g := r.g
	if !g.cfg.SharedLog {
		g.devices.Remember(r.key, devicemgr.Memory{Epoch: r.epoch, Seen: time.Now()})
		r.end(nil)
		return
	}
	// The node that the device is at lets go of it when it hears of a newer connection.
	// Here is one of nobody, until this node has heard of it itself.
	s, epoch, here := g.devices.Connect(r.key, ofNobody())
	if here != nil {
		here.Close(uint16(eventloop.CloseGoingAway), g.comeBack())
	}
	g.resets.tell(r, s, max(epoch, r.epoch+1))
	g.devices.Lift(s, epoch, r.epoch)
	r.done <- nil
}

// Overtaken implements backbone.Completion.
func (r *resetting) Overtaken(_ uint64, n int) {
	r.batch.settle(n)
	r.end(errMoved)
}

// Wanted implements backbone.Completion.
func (r *resetting) Wanted() bool { return true }

// abandonedOnLane implements abandoned.
func (r *resetting) abandonedOnLane(why error) { r.end(why) }

func (r *resetting) end(err error) {
	r.g.resets.end(r.key)
	r.done <- err
}

// toldMost is how long other nodes may take to hear of a reset. A device is kept out for no
// longer than that after it.
const toldMost = 5 * time.Second

// resets are the devices whose sequences are being reset, and who are kept out meanwhile.
type resets struct {
	mu sync.Mutex
	// Guarded by mu.
	keys map[devicemgr.Key]*resetState

	// Atomic.
	n atomic.Int32 // of keys, so that a handshake costs a load
}

// resetState is a reset. Once that is durable, session and epoch say of which connection the
// others are told.
type resetState struct {
	session *Session // nil: it is not durable yet
	epoch   uint64
	until   time.Time
	told    chan struct{} // closed when it is over
}

// begin returns nil where one is under way.
func (r *resets) begin(key devicemgr.Key) (told <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[key] != nil {
		return nil
	}
	if r.keys == nil {
		r.keys = make(map[devicemgr.Key]*resetState)
	}
	s := &resetState{told: make(chan struct{})}
	r.keys[key] = s
	r.n.Add(1)
	return s.told
}

func (r *resets) tell(of *resetting, s *Session, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.keys[of.key]
	state.session, state.epoch, state.until = s, epoch, time.Now().Add(toldMost)
}

func (r *resets) end(key devicemgr.Key) *resetState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.keys[key]
	if s != nil {
		delete(r.keys, key)
		r.n.Add(-1)
		close(s.told)
	}
	return s
}

// of returns the reset of a device, or nil.
func (r *resets) of(key devicemgr.Key) *resetState {
	if r.n.Load() == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.keys[key]; s != nil {
		is := *s
		return &is
	}
	return nil
}

// isResetting says whether a device has to wait.
func (g *Gateway) isResetting(key devicemgr.Key) bool {
	s := g.resets.of(key)
	if s != nil && s.session != nil && time.Now().After(s.until) {
		g.resetTold(key)
		return false
	}
	return s != nil
}

// heardReset hears that all nodes are told of a connection of this one.
func (g *Gateway) heardReset(key devicemgr.Key, epoch uint64) {
	if s := g.resets.of(key); s != nil && s.session != nil && epoch >= s.epoch {
		g.resetTold(key)
	}
}

// resetTold ends the connection of nobody.
func (g *Gateway) resetTold(key devicemgr.Key) {
	if s := g.resets.end(key); s != nil && s.session != nil {
		g.devices.Unregister(s.session, s.epoch)
	}
}

var (
	_ abandoned           = (*resetting)(nil)
	_ backbone.Completion = (*resetting)(nil)
)
