package mqttapi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/eventloop"
	"edgeloop/internal/defaults"
	"edgeloop/retained"
)

// Config of the server. The zero value of a field takes its default, except Devices and Log,
// which are needed.
type Config struct {
	// Devices is who gets every connection that is not of an application.
	Devices eventloop.Acceptor
	// Log is what applications read.
	Log Log
	// Early is who may ask once the server has started: until then they are told to come
	// again. nil: nobody is known.
	Early *access.Roster
	// Private says whether what comes by a listener is encrypted; default: never.
	Private func(listener string) bool
	// AllowPlain lets tokens be shown over a network that can read them.
	AllowPlain bool
	// Command sends a command of an application, whose token has the scope for it, to a device,
	// and returns its id; ErrAway where the device is not here. nil: there are none.
	Command func(ctx context.Context, c Command) (id string, err error)
	// CheckName judges the name of a "tenant" or "device", which never may have a slash; default:
	// 1 to 128 bytes without one.
	CheckName func(kind, name string) error
	// Retained is what a new subscription gets at once; nil: nothing is retained.
	Retained *retained.Table
	// Topics names records of devices that speak another protocol; default DefaultTopics.
	Topics Topics
	// IdleTimeout is the keep alive of a client of 5.0 that asks for none, or for a longer
	// one; default 90 s.
	IdleTimeout time.Duration
	// MaxPacket is the largest packet of a client, bytes; default 1 MiB. For CONNACK alone.
	MaxPacket int
	// RetryAfter is about when to come again where there is no room now; default 30 s.
	RetryAfter time.Duration
	// Logger, default none.
	Logger *zap.Logger
	// Audit gets a line for each connection of an application, default Logger.
	Audit *zap.Logger

	// MaxConnections at a time, default 64, and MaxTokenConnections those of one token,
	// default 16.
	MaxConnections, MaxTokenConnections int
	// MaxSessions is how many sessions are kept, default 1024, and MaxTenantSessions those of
	// one tenant, default 256. Each keeps what a trim may take.
	MaxSessions, MaxTenantSessions int
	// SharedLog says that other nodes let applications in, too: then there are no shared
	// subscriptions, because a group is at one node.
	SharedLog bool
	// MaxTenantGroups is how many groups of shared subscriptions one tenant may have, default
	// 64, and MaxGroups all together, default 256. Each keeps what a trim may take.
	MaxTenantGroups, MaxGroups int
	// MaxGroupAhead is how many positions of the log a group may be ahead of the oldest message
	// that a member has not acknowledged, default 500,000: that many it reads again when a
	// member goes. Whoever has held that message for GroupHold is ended then, default 1 minute.
	MaxGroupAhead uint64
	GroupHold     time.Duration
	// Window is how many messages of QoS 1 a client may have that it has not acknowledged,
	// default 256; its Receive Maximum may be less.
	Window int
	// KeepEvery is the shortest time between two moves of a kept place, default 100 ms. What
	// was acknowledged since the last one comes again after a crash of the node.
	KeepEvery time.Duration
	// LookEvery is how often a client looks whether its session was taken over at another
	// node, default 5 s.
	LookEvery time.Duration
	// SweepEvery is how often sessions are forgotten that are over, default 1 minute.
	SweepEvery time.Duration
}

// Log is the log as an application reads it. Errors are those of package backbone/reader.
type Log interface {
	// Open opens the reader of a name: see reader.Open.
	Open(ctx context.Context, name string, start reader.Start) (Reader, error)
	// Edge is where a reader with a new name would begin now.
	Edge(ctx context.Context, start reader.Start) (store.Place, error)
	// Read reads without a name: see reader.Read.
	Read(ctx context.Context, o reader.Options, fn func(position uint64, line []byte) error) error
	// Place is that of a name; false: it has none.
	Place(ctx context.Context, name string) (store.Place, bool, error)
	// Places calls fn with the place of each name, those of others too.
	Places(ctx context.Context, fn func(name string, at store.Place)) error
	// Forget forgets the place of a name.
	Forget(ctx context.Context, name string) error
}

// Reader is a reader with a name: *reader.Kept.
type Reader interface {
	Read(ctx context.Context, fn func(reader.Entry) error) error
	Keep(ctx context.Context, position uint64) error
	Note(ctx context.Context, note string) error
	Check(ctx context.Context) error
	Place() store.Place
}

func checkName(kind, name string) error {
	if name == "" || len(name) > 128 || strings.Contains(name, "/") {
		return fmt.Errorf("a %s name has 1 to 128 bytes, and no slash", kind)
	}
	return nil
}

func (c Config) withDefaults() Config {
	defaults.Set(&c.IdleTimeout, 90*time.Second)
	defaults.Set(&c.MaxPacket, 1<<20)
	defaults.Set(&c.RetryAfter, 30*time.Second)
	defaults.Set(&c.MaxConnections, 64)
	defaults.Set(&c.MaxTokenConnections, 16)
	defaults.Set(&c.MaxSessions, 1024)
	defaults.Set(&c.MaxTenantSessions, 256)
	defaults.Set(&c.MaxTenantGroups, 64)
	defaults.Set(&c.MaxGroups, 256)
	defaults.Set(&c.MaxGroupAhead, 500_000)
	defaults.Set(&c.GroupHold, time.Minute)
	defaults.Set(&c.Window, 256)
	defaults.Set(&c.KeepEvery, 100*time.Millisecond)
	defaults.Set(&c.LookEvery, 5*time.Second)
	defaults.Set(&c.SweepEvery, time.Minute)
	if c.Private == nil {
		c.Private = func(string) bool { return false }
	}
	if c.CheckName == nil {
		c.CheckName = checkName
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Topics.levels == nil {
		c.Topics, _ = ParseTopics(DefaultTopics) // which is one
	}
	defaults.Set(&c.Audit, c.Logger)
	return c
}
