package main

import (
	"context"
	"errors"
	"reflect"
	"time"

	"edgeloop/admin"
	"edgeloop/gateway"
	"edgeloop/presence"
	"edgeloop/sink/redis"
)

// boardKinds are the places where presence can be kept, by the type that the configuration gives.
var boardKinds = map[string]presence.Kind{
	"redis": redis.NewPresence,
}

// planBoards checks the boards; secrets are read, and nothing is connected to.
func (s *serveCmd) planBoards() error {
	_, err := presence.Parse(s.Presence, boardKinds)
	return err
}

// stopBoards is how long a board may take to write who went. What it does not write ends by
// its time to live.
const stopBoards = 3 * time.Second

// startBoards has presence kept elsewhere. Boards hear of every device, so they start before
// the gateway, and end behind it.
func (n *node) startBoards(context.Context) (stopFunc, error) {
	specs, err := presence.Parse(n.cfg.Presence, boardKinds)
	if err != nil {
		return nil, usageError{err}
	}
	for _, s := range specs {
		n.boards = append(n.boards, presence.Start(s, n.log.Logger))
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopBoards)
		defer cancel()
		var errs []error
		for _, b := range n.boards {
			errs = append(errs, b.Stop(ctx))
		}
		return errors.Join(errs...)
	}, nil
}

// tellBoards passes on who came or went.
func (n *node) tellBoards(p gateway.Presence) {
	for _, b := range n.boards {
		b.Tell(presence.State{Tenant: p.Tenant, Device: p.Device, Epoch: p.Epoch, Online: p.Online, Node: n.name(), At: p.At, Elsewhere: p.Elsewhere})
	}
}

// fixedFileKeys names the lists of the file that have changed, and that a reload leaves alone.
func fixedFileKeys(given, fresh settings) []string {
	if reflect.DeepEqual(given[presenceKey], fresh[presenceKey]) {
		return []string{}
	}
	return []string{presenceKey}
}

func (n *node) presenceMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	for _, b := range n.boards {
		s := b.Status()
		emit("edgeloop_presence_connected", boolean(s.Connected), s.Name)
		emit("edgeloop_presence_written_states_total", float64(s.Counts.Written), s.Name)
		emit("edgeloop_presence_refused_states_total", float64(s.Counts.Refused), s.Name)
		emit("edgeloop_presence_dropped_states_total", float64(s.Counts.Dropped), s.Name)
		emit("edgeloop_presence_failures_total", float64(s.Counts.Failures), s.Name)
	}
}
