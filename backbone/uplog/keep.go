package uplog

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/backbone/custody"
	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
	"edgeloop/internal/pause"
)

// OnDamage says what Open does about damage in the log that nobody has decided about.
type OnDamage = custody.Policy

// Values of OnDamage.
const (
	DamageUnready = custody.Unready // go on; Damage says so until somebody decides
	DamageStop    = custody.Stop    // Open fails with a *DamageError
	DamageServe   = custody.Serve   // go on: it is decided
)

// NumDamages is the number of kinds of damage.
const NumDamages = custody.NumKinds

// DamageError says that what was acknowledged is damaged and that nobody has decided
// what to do.
type DamageError = custody.Error

// IdentityKey is where the stream keeps the identity of the log.
const IdentityKey = "edgeloop_log"

func (c *Config) custodyOptions() custody.Options {
	return custody.Options{
		Dir:      c.DataDir,
		Streams:  servers.StreamsDir(servers.StoreDir(c.DataDir)),
		Log:      names.StreamUp,
		Others:   names.Beside(),
		Lax:      c.Durability == servers.Process,
		MaxBytes: max(c.MaxBytes, 0), // not chosen: what it was
		MaxAge:   max(c.MaxAge, 0),
		OnDamage: c.OnDamage,
		Logger:   c.Logger.Named("custody"),
	}
}

// keepOpened compares what the store made of the log with what is known of it, gives
// the stream the log's identity, and watches over it from then on.
func (l *Log) keepOpened(ctx context.Context) error {
	state, err := l.lookAtLog(ctx)
	if err != nil {
		return err
	}
	if l.keeper == nil {
		l.identity.Store(&state.Identity)
		l.srv.Go(l.watchIdentity)
		return nil
	}
	id, err := l.keeper.Opened(state, l.deletedFromLog)
	if err != nil {
		return err
	}
	if id != state.Identity {
		want := l.up.CachedInfo().Config
		want.Metadata = maps.Clone(want.Metadata)
		if want.Metadata == nil {
			want.Metadata = map[string]string{}
		}
		maps.DeleteFunc(want.Metadata, func(k, _ string) bool { return len(k) > 4 && k[:5] == "_nats" }) // the server's own
		want.Metadata[IdentityKey] = id
		if l.up, err = l.srv.Asker.JS.UpdateStream(ctx, want); err != nil {
			return fmt.Errorf("give the log its identity: %w", err)
		}
	}
	l.identity.Store(&id)
	l.kept = true
	l.srv.Go(func() { l.keeper.Watch(l.ctx, l.lookAtLog, l.deletedFromLog) })
	l.srv.Go(func() { l.keeper.Patrol(l.ctx) })
	return nil
}

func (l *Log) lookAtLog(ctx context.Context) (custody.State, error) {
	ctx, cancel := context.WithTimeout(ctx, servers.RequestTimeout)
	defer cancel()
	info, err := l.srv.Info(ctx, names.StreamUp)
	if err != nil {
		return custody.State{}, fmt.Errorf("ask the log for its state: %w", err)
	}
	id := info.Config.Metadata[IdentityKey]
	if id == "" && l.keeper == nil {
		id = custody.IdentityOf(info.Created)
	}
	return custody.State{
		Identity: id,
		First:    info.State.FirstSeq, Last: info.State.LastSeq, Msgs: info.State.Msgs,
		MaxBytes: max(info.Config.MaxBytes, 0), MaxAge: info.Config.MaxAge,
	}, nil
}

// deletedFromLog lists the positions between the first and the last of which the
// store holds nothing.
func (l *Log) deletedFromLog() ([]uint64, error) {
	ctx, cancel := context.WithTimeout(l.ctx, servers.RequestTimeout)
	defer cancel()
	info, err := l.srv.Info(ctx, names.StreamUp, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, fmt.Errorf("ask the log what is missing: %w", err)
	}
	return slices.Clone(info.State.Deleted), nil
}

// Damage is a *DamageError while what was acknowledged is damaged and nobody has
// decided what to do. Any goroutine may call it.
func (l *Log) Damage() error {
	if l.keeper == nil {
		return nil
	}
	return l.keeper.Undecided()
}

// Custody is what the keeper of the embedded log counts; zero with an external server.
// Any goroutine may call it.
func (l *Log) Custody() custody.Stats {
	if l.keeper == nil {
		return custody.Stats{}
	}
	return l.keeper.Stats()
}

// VerifyLog reads the whole embedded log under cfg.DataDir and changes nothing. A node
// may be running on it.
func VerifyLog(cfg Config) (v *custody.Verdict, err error) {
	f, err := os.Open(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// No node starts meanwhile. What cannot be locked may be in use, too.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return custody.Verify(cfg.custodyOptions(), err != nil)
}

// Identity tells the log from others; it is part of every position. That of a log on an
// external server, whose settings are its operator's, follows from when the stream was
// created. Any goroutine may call it.
func (l *Log) Identity() string {
	if id := l.identity.Load(); id != nil {
		return *id
	}
	return ""
}

// watchIdentity notices when a shared log was made anew.
func (l *Log) watchIdentity() {
	for pause.For(l.ctx, identityEvery) == nil {
		state, err := l.lookAtLog(l.ctx)
		if err != nil {
			continue // State says so
		}
		if was := l.Identity(); state.Identity != was {
			l.identity.Store(&state.Identity)
			l.cfg.Logger.Error("the log was created anew: it lacks what was acknowledged before",
				zap.String("was", was), zap.String("is", state.Identity))
		}
	}
}

// identityEvery is how often a shared log is asked who it is.
const identityEvery = 10 * time.Second
