package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// Commands that wait for their device. The way of one that was left:
//
//	any     leaveCommand   puts it into the store, and looks for the device again
//	any     deliverStored  marks the link (flagStored) and wakes it
//	loop    fetchOnLoop    once the device has read all that was sent: posts the link
//	worker  fetch          takes out of the store what fits, sends it, and marks the
//	                       link again if there is more
//
// A command is taken out, for good, only when there is room for it: many that wait
// for one device do not fit what may wait for its socket. A device that confirms commands
// gets them as mqtt_kept.go says.

// storedCommand is what is read of a command that waits. It is written as the
// message of edgeloop.v1.json, whose other members are passed over.
type storedCommand struct {
	Name string          `json:"name"`
	Data json.RawMessage `json:"data"`
}

// Leave keeps a command in the store, where it is durable when Leave returns nil, and has its
// device get it from there: at once if it is here. c.TTL must be given; c.Now and c.Wait mean
// nothing. Errors: ErrDraining, *CommandError, or the store's.
func (g *Gateway) Leave(ctx context.Context, key devicemgr.Key, c Command) (id string, err error) {
	if g.draining.Load() {
		return "", ErrDraining
	}
	id = newID()
	if err := g.checkCommand(id, c.Name, c.Data); err != nil {
		return "", err
	}
	if l := liveLink(g.devices.Lookup(key)); l != nil {
		if err := l.mayGet(c.Name); err != nil {
			return "", err
		}
	}
	return id, g.leaveCommand(ctx, key, id, c, c.TTL)
}

// leaveCommand keeps a command for later. The device may have connected while
// it was being stored, and found nothing: so it is looked for again.
func (g *Gateway) leaveCommand(ctx context.Context, key devicemgr.Key, id string, c Command, ttl time.Duration) error {
	payload := g.encodeCommand(protocolJSON, id, c.Name, c.Data)
	err := g.store.StoreCommand(ctx, key.Tenant, key.Device, id, payload, ttl)
	var large *backbone.TooLargeError
	switch {
	case errors.Is(err, backbone.ErrTenantCommandsFull):
		g.tenants.overCommands(key.Tenant)
		return err //nolint:wrapcheck // the store says whose quota it is
	case errors.As(err, &large):
		return &CommandError{"data", fmt.Sprintf("is too large to wait for its device: the command takes %d bytes, allowed are %d", large.Size, large.Max)}
	case err != nil:
		return fmt.Errorf("gateway: store command: %w", err)
	}
	g.counts.commandsLeft.Add(1)
	if l := liveLink(g.devices.Lookup(key)); l != nil {
		g.deliverStored(l)
	}
	return nil
}

const (
	// fetchTimeout bounds one look into the store.
	fetchTimeout = 5 * time.Second
	// fetchAgain is how long a device that does not read, or a node with too many to
	// look for, is left alone.
	fetchAgain = 200 * time.Millisecond
	// fetchRetry is how long a store that could not say or do all is left alone by one link.
	fetchRetry = 2 * time.Second
	// fetchDepth bounds the links of one lane for which the store is to be asked.
	fetchDepth = 1024
)

// deliverStored hands a device that has connected what was left for it; any
// goroutine.
func (g *Gateway) deliverStored(l *link) {
	if key := l.session.Key(); g.store.HasCommands(key.Tenant, key.Device) {
		l.flags.Or(flagStored)
		l.conn.Wake()
	}
}

// fetchOnLoop has a worker look into the store for this link, when the device has
// read what was sent and nobody else is looking. The worker that holds flagFetching
// wakes the link afterwards.
func (l *link) fetchOnLoop() {
	if l.flags.Load()&(flagStored|flagFetching) != flagStored {
		return
	}
	l.flags.Or(flagFetching)
	if l.conn.BufferedOnLoop() == 0 {
		l.flags.And(^flagStored)
		if l.g.fetches.Post(uint64(l.laneKey), l) == 1 {
			return
		}
		l.flags.Or(flagStored)
	}
	time.AfterFunc(fetchAgain, l.fetched)
}

// fetched ends what fetchOnLoop began; any goroutine.
func (l *link) fetched() {
	if before := l.flags.And(^flagFetching); before&flagStored != 0 {
		l.conn.Wake()
	}
}

// fetchedAll is fetched. Where the store could not say or do all it is asked again, a while later:
// nothing else may happen on a connection that is quiet. One that has ended leaves it to the next.
func (l *link) fetchedAll(ok bool) {
	if ok || l.flags.Load()>>closeShift != 0 {
		l.fetched()
		return
	}
	l.flags.Or(flagStored | flagFetching) // one asks
	time.AfterFunc(fetchRetry, l.fetched)
}

// fetch runs on the pool.
func (g *Gateway) fetch(links []*link) {
	for _, l := range links {
		g.fetchOne(l)
	}
}

// fetchOne has the commands sent that may wait for the device.
func (g *Gateway) fetchOne(l *link) {
	ok := false
	defer func() { l.fetchedAll(ok) }()
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	ok = l.dialect.fetch(ctx, l)
}

// fetch implements dialect.
func (q *mqtt) fetch(ctx context.Context, l *link) (ok bool) {
	ok = q.dropConfirmed(ctx, l)
	if l.hears() && l.flags.Load()&flagConfirms != 0 {
		return q.fetchKept(ctx, l) && ok
	}
	return l.g.fetchTaken(ctx, l) && ok
}

// fetchTaken takes as many commands out of the store as may wait for the device, and sends
// them. The store forgets each before it is sent: at most once. Those of a device that does
// not hear them wait for its next connection, or until it asks.
func (g *Gateway) fetchTaken(ctx context.Context, l *link) (ok bool) {
	if !l.hears() {
		return true
	}
	key, room := l.session.Key(), g.cfg.MaxCommand
	fits := func(id string, payload []byte) bool {
		_, message, _ := g.encodeStored(l.dialect.protocol(), id, payload)
		if len(message) > g.cfg.MaxCommand {
			return true // never will: see sendStored
		}
		first := room == g.cfg.MaxCommand
		room -= eventloop.Cost(message)
		return first || room >= 0
	}
	more, err := g.store.TakeCommands(ctx, key.Tenant, key.Device, fits, func(id string, payload []byte) {
		g.sendStored(l, id, payload)
	})
	if err != nil {
		g.logger.Warn("cannot take all stored commands", zap.String("device_id", key.Device), zap.Error(err))
	}
	if more {
		l.flags.Or(flagStored)
	}
	return err == nil
}

// encodeStored is a stored command as a device of protocol p gets it, and its name.
func (g *Gateway) encodeStored(p protocol, id string, payload []byte) (name string, message []byte, err error) {
	var c storedCommand
	if err := json.Unmarshal(payload, &c); err != nil {
		return "", nil, fmt.Errorf("gateway: stored command: %w", err)
	}
	return c.Name, g.encodeCommand(p, id, c.Name, c.Data), nil
}

// sendStored sends a command that was taken out of the store.
func (g *Gateway) sendStored(l *link, id string, payload []byte) {
	device := zap.String("device_id", l.session.Key().Device)
	name, message, err := g.encodeStored(l.dialect.protocol(), id, payload)
	switch {
	case err != nil:
		g.logger.Error("cannot read a stored command", device, zap.String("command_id", id), zap.Error(err))
		return
	case len(message) > g.cfg.MaxCommand: // left when --out-buffer was larger
		g.drops[DropCommandLarge].Add(1)
		g.logger.Warn("stored command dropped: it is larger than what may wait for a device", device,
			zap.String("command_id", id), zap.Int("size", len(message)), zap.Int("max", g.cfg.MaxCommand))
		return
	}
	var refused *CommandError // counted already
	switch err := l.sendCommand(name, message); {
	case errors.As(err, &refused):
		g.logger.Warn("stored command dropped", device, zap.String("command_id", id), zap.Error(err))
		return
	case err != nil:
		g.drops[DropCommandSlow].Add(1)
		g.logger.Warn("stored command lost with its connection", device, zap.Error(err))
		return
	}
	g.counts.commandsTaken.Add(1)
}

// StoredName is the name of a stored command, "" where it cannot be read.
func StoredName(payload []byte) string {
	var c storedCommand
	_ = json.Unmarshal(payload, &c)
	return c.Name
}
