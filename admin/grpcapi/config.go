package grpcapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/internal/defaults"
	"edgeloop/overload"
)

// Config of the server. The zero value of a field takes its default, except Roster, which
// has none.
type Config struct {
	// Listen is host:port. An address that is not loopback is refused unless TLS or
	// AllowRemote is set.
	Listen string
	// AllowRemote permits a listener that others can reach without TLS. The tokens then
	// cross the network readable.
	AllowRemote bool
	// TLS, when set, is used for every connection; default none.
	TLS *tls.Config
	// Roster is who may ask.
	Roster *access.Roster
	// Overload says which calls are refused because the node has too much to do; default none.
	Overload *overload.Ladder
	// CheckName judges a "tenant", "device" or "reader" name; default: 1 to 128 bytes.
	CheckName func(kind, name string) error
	// Logger, default none.
	Logger *zap.Logger
	// Audit gets one line for each change, default Logger.
	Audit *zap.Logger

	// MaxConnections at a time, default 64.
	MaxConnections int
	// MaxStreams is how many calls of Read and Watch are served at a time, default 64, and
	// MaxTokenStreams those of one token, default 16.
	MaxStreams, MaxTokenStreams int
	// MaxCalls is how many other calls are served at a time, default 128, and MaxTokenCalls
	// those of one token, default 64.
	MaxCalls, MaxTokenCalls int
	// MaxMessage is the largest request in bytes, default 1 MiB.
	MaxMessage int
	// MaxWait is the longest wait of a command, default 5 minutes.
	MaxWait time.Duration
	// Outbox is how many bytes of records wait for one client, default 256 KiB; one record
	// may exceed it.
	Outbox int
	// WatchDevices is of how many devices a state may wait for one watcher, default 65,536.
	WatchDevices int
	// MaxReaders is how many readers have a place, default 1024, and MaxTenantReaders those
	// of one tenant, default 256. Places outlive their readers, and each keeps what a trim
	// may take.
	MaxReaders, MaxTenantReaders int
	// LookEvery is how often a reading looks whether its reader was opened elsewhere, or
	// moved; default 5 s.
	LookEvery time.Duration
}

// Node is what the server needs of its node; every field is needed.
type Node struct {
	Devices  admin.Devices
	Commands admin.Commands
	Readers  Readers
	Presence Watcher
}

// Readers are the readers of the log that have a name. Errors are those of package
// backbone/reader, or as in admin/api.
type Readers interface {
	// Open opens the reader of a name: see reader.Open.
	Open(ctx context.Context, name string, start reader.Start) (Reader, error)
	// Edge is where a reader with a new name would begin now.
	Edge(ctx context.Context, start reader.Start) (store.Place, error)
	// Seek puts the place of a reader behind a position: see reader.Seek.
	Seek(ctx context.Context, name, log string, position uint64) error
	// Names are those that have a place, sinks too.
	Names(ctx context.Context) ([]string, error)
}

// Reader is one of them: *reader.Kept.
type Reader interface {
	Read(ctx context.Context, fn func(reader.Entry) error) error
	Keep(ctx context.Context, position uint64) error
	Check(ctx context.Context) error
	Place() store.Place
}

// Watcher tells who is here.
type Watcher interface {
	// Watch calls w.Known with each device that is connected, then w.Current, then
	// w.Changed with each that comes or goes, until ctx ends or one of them fails, and
	// returns why. Where changes are told by whoever may wait, it calls w.Known with them
	// too.
	Watch(ctx context.Context, w Watch) error
}

// Watch is who watches. Its functions may be called from any goroutine.
type Watch struct {
	// Known takes a state; it waits while there is no room for it.
	Known func(context.Context, State) error
	// Changed takes a state and never blocks; an error ends the watch.
	Changed func(State) error
	// Current says that all who are connected have been told of.
	Current func()
}

// State says whether a device is here.
type State struct {
	Tenant, Device string
	Epoch          uint64
	Online         bool
	Node           string
	At             time.Time
}

func (c Config) withDefaults() (Config, error) {
	defaults.Set(&c.MaxConnections, 64)
	defaults.Set(&c.MaxStreams, 64)
	defaults.Set(&c.MaxTokenStreams, 16)
	defaults.Set(&c.MaxCalls, 128)
	defaults.Set(&c.MaxTokenCalls, 64)
	defaults.Set(&c.MaxMessage, 1<<20)
	defaults.Set(&c.MaxWait, 5*time.Minute)
	defaults.Set(&c.Outbox, 256<<10)
	defaults.Set(&c.WatchDevices, 1<<16)
	defaults.Set(&c.MaxReaders, 1024)
	defaults.Set(&c.MaxTenantReaders, 256)
	defaults.Set(&c.LookEvery, 5*time.Second)
	if c.CheckName == nil {
		c.CheckName = checkNameLength
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	defaults.Set(&c.Audit, c.Logger)
	if c.Roster == nil {
		return c, errors.New("grpcapi: no roster")
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("grpcapi: listen address %q: %w", c.Listen, err)
	}
	if ip := net.ParseIP(host); c.AllowRemote || c.TLS != nil || host == "localhost" || ip != nil && ip.IsLoopback() {
		return c, nil
	}
	return c, fmt.Errorf("%w: %s", admin.ErrRemote, c.Listen)
}

func checkNameLength(kind, name string) error {
	if name == "" || len(name) > 128 {
		return fmt.Errorf("a %s name has 1 to 128 bytes", kind)
	}
	return nil
}
