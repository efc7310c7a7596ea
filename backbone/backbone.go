package backbone

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/store"
	"edgeloop/backbone/uplog"
)

// Backbone is the node's durable side. Open makes it. Its methods may be called from any
// goroutine; those that take a context wait for the server.
type Backbone struct {
	// Immutable after construction.
	*uplog.Log
	*store.Commands
	*store.BanList
	*store.RevocationList
	life      uplog.Life
	presence  *store.Presences
	letters   *store.Letters
	wills     *store.Wills
	retained  *store.Retained
	srv       *servers.Servers
	closeOnce sync.Once
	node      string
	backups   sync.Mutex // held while one is made

	placesMu sync.Mutex
	// Guarded by placesMu.
	places *store.Places // nil until the first reader asks
}

// Open starts the embedded server, or waits for the external one until ctx ends and connects
// to it, and makes the streams that cfg describes.
func Open(ctx context.Context, cfg Config) (*Backbone, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Logger = cfg.Logger.Named("backbone")
	b := &Backbone{}
	if err := b.open(ctx, &cfg); err != nil {
		return nil, fmt.Errorf("open backbone: %w", errors.Join(err, b.shutdown()))
	}
	return b, nil
}

func (b *Backbone) open(ctx context.Context, cfg *Config) (err error) {
	b.node = cfg.Node
	if b.srv, err = servers.New(cfg.servers()); err != nil {
		return err
	}
	if err = cfg.whole(); err != nil {
		return err
	}
	b.life = uplog.New(cfg.log(), b.srv, b.epoch)
	b.Log = b.life.Log
	if err = b.life.WatchOver(ctx); err != nil {
		return err
	}
	if err = b.srv.Start(ctx); err != nil {
		return err
	}
	if err = b.life.Ensure(ctx); err != nil {
		return err
	}
	if err = b.openStores(ctx, cfg); err != nil {
		return err
	}
	if err = b.srv.SyncStore(); err != nil {
		return err
	}
	return b.life.Start(ctx)
}

func (b *Backbone) openStores(ctx context.Context, cfg *Config) (err error) {
	if b.Commands, err = store.OpenCommands(ctx, b.srv, store.CommandConfig{
		MaxAge: cfg.CommandMaxAge, PerDevice: cfg.CommandsPerDevice, Bytes: cfg.CommandBytes, Quota: cfg.CommandQuota,
	}); err != nil {
		return err
	}
	b.letters, b.wills = store.NewLetters(b.srv), store.NewWills(b.srv, cfg.Node, cfg.Logger)
	b.retained = store.NewRetained(b.srv, cfg.Logger)
	if b.presence, err = store.OpenPresences(ctx, b.srv, store.PresenceConfig{
		Node: cfg.Node, Bytes: cfg.PresenceBytes, Logger: cfg.Logger, Tell: cfg.Seams.Tell,
	}); err != nil {
		return err
	}
	if b.BanList, err = store.OpenBans(ctx, b.srv, cfg.OnBan); err != nil {
		return err
	}
	b.RevocationList, err = store.OpenRevocations(ctx, b.srv, store.MaxRevocations, cfg.OnRevoke)
	return err
}

func (b *Backbone) epoch(ctx context.Context, tenant, device string) (uint64, error) {
	return b.presence.Epoch(ctx, tenant, device)
}

// PublishPresence stores the state of a device and tells the other nodes. It never blocks: see
// store.Presences.
func (b *Backbone) PublishPresence(p Presence) { b.presence.Publish(p) }

// WatchPresence calls fn with the last state of every device and then with each change, until
// ctx ends: see store.Presences.
func (b *Backbone) WatchPresence(ctx context.Context, fn func(Presence)) error {
	return b.presence.Watch(ctx, fn)
}

// FollowPresence is WatchPresence, and says when fn has seen the last state of every device:
// see store.Presences.
func (b *Backbone) FollowPresence(ctx context.Context, fn func(Presence), current func()) error {
	return b.presence.Follow(ctx, fn, current)
}

// OpenReader returns the reader of a name, at the place that is kept for it: see reader.Open.
// A new name begins at start.
func (b *Backbone) OpenReader(ctx context.Context, name string, start reader.Start) (*Reader, error) {
	places, err := b.openPlaces(ctx)
	if err != nil {
		return nil, err
	}
	return reader.Open(ctx, b.life.Source(), places, name, start)
}

// SeekReader puts the place of a name behind a position: see reader.Seek.
func (b *Backbone) SeekReader(ctx context.Context, name, log string, position uint64) error {
	places, err := b.openPlaces(ctx)
	if err != nil {
		return err
	}
	return reader.Seek(ctx, b.life.Source(), places, name, log, position)
}

// Edge is where a reader with a new name would begin now: see reader.Edge.
func (b *Backbone) Edge(ctx context.Context, start reader.Start) (store.Place, error) {
	return reader.Edge(ctx, b.life.Source(), start)
}

// Letters returns the store of what sinks could not deliver.
func (b *Backbone) Letters() *store.Letters { return b.letters }

// KeepWills keeps Wills that wait, and forgets others: see store.Wills.
func (b *Backbone) KeepWills(ctx context.Context, put, over []Will) (undone []Will, err error) {
	return b.wills.Keep(ctx, put, over)
}

// Wills calls fn with each Will that this node has kept: see store.Wills.
func (b *Backbone) Wills(ctx context.Context, fn func(Will)) error { return b.wills.Each(ctx, fn) }

// Retained returns the store of retained messages.
func (b *Backbone) Retained() *store.Retained { return b.retained }

// ReaderNames are the names that have a place.
func (b *Backbone) ReaderNames(ctx context.Context) ([]string, error) {
	places, err := b.openPlaces(ctx)
	if err != nil {
		return nil, err
	}
	return places.Names(ctx)
}

// ReaderPlace returns the place of one reader; false: it has none.
func (b *Backbone) ReaderPlace(ctx context.Context, name string) (Place, bool, error) {
	places, err := b.openPlaces(ctx)
	if err != nil {
		return Place{}, false, err
	}
	at, revision, err := places.Get(ctx, name)
	return at, revision != 0, err
}

// ReaderPlaces calls fn with the place of each reader.
func (b *Backbone) ReaderPlaces(ctx context.Context, fn func(name string, at Place)) error {
	places, err := b.openPlaces(ctx)
	if err != nil {
		return err
	}
	return places.Each(ctx, fn)
}

// ForgetReader forgets the place that is kept for a name.
func (b *Backbone) ForgetReader(ctx context.Context, name string) error {
	places, err := b.openPlaces(ctx)
	if err != nil {
		return err
	}
	return places.Forget(ctx, name)
}

func (b *Backbone) openPlaces(ctx context.Context) (*store.Places, error) {
	b.placesMu.Lock()
	places := b.places
	b.placesMu.Unlock()
	if places != nil {
		return places, nil
	}
	places, err := store.OpenPlaces(ctx, b.srv) // twice at a time does no harm
	if err != nil {
		return nil, b.srv.OrClosed(err)
	}
	b.placesMu.Lock()
	defer b.placesMu.Unlock()
	b.places = places
	return places, nil
}

// Stats holds counters since Open and present values.
type Stats struct {
	uplog.Stats

	PresenceQueued  int    // devices whose latest state is not yet published
	PresenceDropped uint64 // states given up because the queue was full

	CommandDevices int // devices that may have commands waiting
	Bans           int // in force
	Revocations    int // in force
}

// Stats returns the counters. Any goroutine may call it.
func (b *Backbone) Stats() Stats {
	s := Stats{Stats: b.Counts(), CommandDevices: b.CommandDevices(), Bans: len(b.Bans()), Revocations: len(b.Revocations())}
	s.PresenceQueued, s.PresenceDropped = b.presence.Stats()
	return s
}

// Close waits until what was appended is durable, for as long as ctx allows, and ends all that
// the Backbone started. An error says that records were left unconfirmed; their devices
// will send them again.
func (b *Backbone) Close(ctx context.Context) error {
	err := error(nil)
	b.closeOnce.Do(func() {
		if err = b.Flush(ctx); err != nil {
			records, _ := b.Pending()
			err = fmt.Errorf("close backbone with %d records unconfirmed: %w", records, err)
		}
		b.presence.Settle(ctx)
		err = errors.Join(err, b.shutdown())
	})
	return err
}

// shutdown keeps the order that the files need: nobody writes, then the server closes them,
// then the log's keeper looks at them, then the directory is released.
func (b *Backbone) shutdown() (err error) {
	b.srv.Cancel()
	if b.Log != nil {
		b.life.Halt()
	}
	if b.presence != nil {
		b.presence.Close()
	}
	b.srv.Stop()
	if b.Log != nil {
		err = b.life.Release()
	}
	return errors.Join(err, b.srv.Unlock())
}
