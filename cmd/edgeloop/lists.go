package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/doorman"
	"edgeloop/eventloop"
	"edgeloop/internal/filemode"
)

// An entry is who may connect, by address: the lists of networks.
type entry struct {
	// Owned by the goroutine that starts and stops the node.
	listsRead string // stamp of the lists before they were read

	// Atomic.
	lists   atomic.Pointer[doorman.Lists] // nil: everybody may come
	reloads [numReloads]atomic.Uint64     // of the lists
	denied  turned
	banned  turned

	// Immutable after construction.
	bans *doorman.Bans // nil: addresses are not banned
}

// wantsLists says whether there are any.
func (s *serveCmd) wantsLists() bool { return s.AllowCIDRs != "" || s.DenyCIDRs != "" }

// readLists reads the lists; nil where there are none.
func (s *serveCmd) readLists() (*doorman.Lists, error) {
	if !s.wantsLists() {
		return nil, nil
	}
	lists, err := doorman.ReadLists(s.AllowCIDRs, s.DenyCIDRs)
	if err != nil {
		return nil, fmt.Errorf("--allow-cidrs, --deny-cidrs: %w", err)
	}
	return lists, nil
}

// listsStamp changes when one of their files does.
func (s *serveCmd) listsStamp() string { return filemode.Stamp(s.AllowCIDRs, s.DenyCIDRs) }

// startDoorman puts the lists in force before the first newcomer comes.
func (n *node) startDoorman(context.Context) (stopFunc, error) {
	n.entry.listsRead = n.cfg.listsStamp() // before: a file that changes meanwhile has another one afterwards
	lists, err := n.cfg.readLists()
	if err != nil {
		return nil, usageError{err}
	}
	n.entry.lists.Store(lists)
	if n.entry.bans == nil {
		return nil, nil
	}
	return inBackground(n.keepBans), nil
}

// loadCIDRs reads the lists again; use puts them in force, for new connections.
func (n *node) loadCIDRs() (use func(), err error) {
	if !n.cfg.wantsLists() {
		return func() {}, nil
	}
	lists, err := n.cfg.readLists()
	if err != nil {
		n.entry.reloads[reloadFailed].Add(1)
		return nil, err
	}
	return func() {
		n.entry.lists.Store(lists)
		n.entry.reloads[reloadDone].Add(1)
	}, nil
}

// rereadLists is for files that have changed.
func (n *node) rereadLists(ctx context.Context) {
	err := n.inTurn(ctx, func() error {
		use, err := n.loadCIDRs()
		if err == nil {
			use()
		}
		return err
	})
	if err != nil {
		n.log.Error("cannot use the changed lists of networks, the previous ones stay in force", zap.Error(err))
		return
	}
	allow, deny := n.entry.lists.Load().Len()
	n.log.Info("the lists of networks have changed and were read again", zap.Int("allow", allow), zap.Int("deny", deny))
}

// doorman is what the event loops ask of each newcomer; nil where everybody may come.
func (n *node) doorman() func(netip.Addr) eventloop.Cause {
	bans := n.entry.bans
	if !n.cfg.wantsLists() && bans == nil {
		return nil
	}
	return func(addr netip.Addr) eventloop.Cause {
		switch {
		case n.entry.lists.Load().Denies(addr):
			n.entry.denied.say(n.log.Logger, time.Since(n.started), "address may not connect", addr)
			return eventloop.CauseDenied
		case bans != nil && bans.Banned(addr, time.Now()):
			return eventloop.CauseBanned
		}
		return 0
	}
}

// turnedLine is the least time between two lines about addresses that are turned away.
const turnedLine = 10 * time.Second

// turned writes of those who are turned away a line now and then.
type turned struct {
	// Atomic.
	said   atomic.Int64 // when, since the start
	unsaid atomic.Uint64
}

// say writes one, or counts what it does not say. Any goroutine.
func (t *turned) say(log *zap.Logger, now time.Duration, what string, addr netip.Addr, more ...zap.Field) {
	said := t.said.Load()
	if said != 0 && now-time.Duration(said) < turnedLine || !t.said.CompareAndSwap(said, int64(now)) {
		t.unsaid.Add(1)
		return
	}
	log.Info(what, append(more, zap.Stringer("remote", addr), zap.Uint64("unsaid", t.unsaid.Swap(0)))...)
}

func (n *node) doormanMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	n.addressBanMetrics(emit)
	allow, deny := n.entry.lists.Load().Len()
	emit("edgeloop_doorman_prefixes", float64(allow), "allow")
	emit("edgeloop_doorman_prefixes", float64(deny), "deny")
	for outcome, name := range reloadNames {
		emit("edgeloop_doorman_reloads_total", float64(n.entry.reloads[outcome].Load()), name)
	}
}
