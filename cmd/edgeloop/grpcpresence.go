package main

import (
	"context"
	"errors"
	"sync"

	"edgeloop/admin/grpcapi"
	"edgeloop/backbone"
	"edgeloop/devicemgr"
)

// grpcPresence tells who is here: of a log of the node's own, the session table and what
// the gateway says; of a shared one, what all nodes say.
type grpcPresence struct{ *node }

// Watch implements grpcapi.Watcher.
func (p grpcPresence) Watch(ctx context.Context, w grpcapi.Watch) error {
	if p.here != nil {
		return p.here.watch(ctx, w, p.connected)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	seen := false // the last state of every device
	err := p.backbone.FollowPresence(ctx, func(s backbone.Presence) {
		if !seen && !s.Online {
			return
		}
		if err := w.Known(ctx, grpcapi.State{Tenant: s.Tenant, Device: s.Device, Epoch: s.Epoch, Online: s.Online, Node: s.Node, At: s.At}); err != nil {
			cancel(err)
		}
	}, func() {
		seen = true
		w.Current()
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return adminError(err)
}

// connected lists the devices that are connected to this node.
func (p grpcPresence) connected(fn func(grpcapi.State) error) error {
	const page = 10_000 // each page looks at all sessions
	online := true
	for after := ""; ; {
		infos, next := p.gateway.Devices().List(devicemgr.Filter{Online: &online}, after, page)
		for i := range infos {
			in := &infos[i]
			if err := fn(grpcapi.State{Tenant: in.Key.Tenant, Device: in.Key.Device, Epoch: in.Epoch, Online: in.Online, Node: p.name(), At: in.ConnectedAt}); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// presenceHub tells watchers who comes and goes. Its methods may be called from any
// goroutine.
type presenceHub struct {
	mu sync.Mutex
	// Guarded by mu.
	watchers map[*hubWatcher]struct{}
}

// hubWatcher is one that watches. While it is told who is connected, what changes waits.
type hubWatcher struct {
	// Immutable after construction.
	changed func(grpcapi.State) error
	end     context.CancelCauseFunc

	mu sync.Mutex
	// Guarded by mu.
	listing bool
	waiting []grpcapi.State
}

// maxChanges is how many changes may wait for a watcher that is told who is connected.
const maxChanges = 1 << 16

var errManyChanges = errors.New("too many devices came and went while the watcher was told who is connected")

func newPresenceHub() *presenceHub {
	return &presenceHub{watchers: map[*hubWatcher]struct{}{}}
}

// tell never blocks for long: watchers have queues.
func (h *presenceHub) tell(s grpcapi.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.tell(s)
	}
}

func (w *hubWatcher) tell(s grpcapi.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.listing:
		if err := w.changed(s); err != nil {
			w.end(err)
		}
	case len(w.waiting) >= maxChanges:
		w.end(errManyChanges)
	default:
		w.waiting = append(w.waiting, s)
	}
}

// watch hears of changes first and asks who is connected then: a device that comes in
// between is told of twice, and none is missed.
func (h *presenceHub) watch(ctx context.Context, to grpcapi.Watch, connected func(func(grpcapi.State) error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &hubWatcher{changed: to.Changed, end: cancel, listing: true}
	h.mu.Lock()
	h.watchers[w] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, w)
	}()
	if err := connected(func(s grpcapi.State) error { return to.Known(ctx, s) }); err != nil {
		return err
	}
	to.Current()
	w.mu.Lock()
	for _, s := range w.waiting {
		if err := w.changed(s); err != nil {
			cancel(err)
		}
	}
	w.listing, w.waiting = false, nil
	w.mu.Unlock()
	<-ctx.Done()
	return context.Cause(ctx)
}
