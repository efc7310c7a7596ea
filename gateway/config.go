package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/internal/defaults"
	"edgeloop/overload"
	"edgeloop/quota"
)

// Log makes messages durable. Append may block; only pool workers call it.
type Log interface {
	// Append copies the records and blocks while too much waits for the log. An
	// error means that the log is closed and nothing of the call was taken.
	Append(records []backbone.Record) error
	// Last is where the log stands with a device, zero if it has nothing of it. It
	// bounds its own wait.
	Last(ctx context.Context, tenant, device string) (backbone.Last, error)
	// Flush waits until everything appended is durable.
	Flush(ctx context.Context) error
}

// Store keeps what has to outlive connections and restarts besides the log.
type Store interface {
	// StoreCommand keeps a command for a device that is not here.
	StoreCommand(ctx context.Context, tenant, device, id string, payload []byte, ttl time.Duration) error
	// HasCommands says without a round trip whether there may be any.
	HasCommands(tenant, device string) bool
	// TakeCommands removes waiting commands, oldest first, and calls fn for each,
	// until fits says of one that it has to stay; more says that it did.
	TakeCommands(ctx context.Context, tenant, device string, fits func(id string, payload []byte) bool, fn func(id string, payload []byte)) (more bool, err error)
	// ReadCommands calls fn with waiting commands behind a position, oldest first, until it
	// returns false, and leaves them; RemoveCommands removes those at some positions;
	// NewestCommand is that of the newest, without a round trip.
	ReadCommands(ctx context.Context, tenant, device string, after uint64, fn func(position uint64, id string, payload []byte) bool) error
	RemoveCommands(ctx context.Context, tenant, device string, positions []uint64) error
	NewestCommand(tenant, device string) uint64
	// Banned says without a round trip whether the device must stay out.
	Banned(tenant, device string) (reason string, banned bool)
	// Revoked says without a round trip whether a token is taken back: tokenID is its jti,
	// "" for none, issued its iat in Unix seconds, 0 for none.
	Revoked(tenant, device, tokenID string, issued int64) bool
}

// Config is what a Gateway needs to know. Zero fields take the defaults named.
type Config struct {
	// Workers handle messages; default 16. Lanes default 64, each LaneDepth deep,
	// default 1024 reads. A lane that is full holds back its devices.
	Workers, Lanes, LaneDepth int
	// AuthWorkers check handshakes; default 4. They are apart from Workers so that
	// devices can connect while the log is stalled.
	AuthWorkers int
	// StoredBytes is how many bytes of the log a tenant has, for its quota; nil: nobody knows.
	// It is called for each message of a tenant with such a quota, and must not block.
	StoredBytes func(tenant string) int64
	// Window is how many messages of one device may be on their way; default 64.
	Window int
	// MaxSequenceJump is how far a sequence may be above the last one of its device,
	// or above 0 for the first: what lies between can never be sent any more. Default
	// DefaultSequenceJump.
	MaxSequenceJump uint64
	// WindowBytes is how many bytes of one device may be on their way, beyond which
	// one message more is taken; default 256 KiB.
	WindowBytes int64
	// RateBytes is how many bytes a second a device may send, in the long run; a
	// second's worth may come at once. Default 0: as many as it can.
	RateBytes int64
	// RateMessages is the same for messages.
	RateMessages int64
	// Quotas has the limits of tenants; default none.
	Quotas *quota.Book
	// Overload says what is refused because the node has too much to do; default nothing.
	Overload *overload.Ladder
	// InFlight bounds the memory that all messages between socket and log hold:
	// where reading pauses. Default 256 MiB. A quarter above it connections that
	// would take more are closed.
	InFlight int64
	// MaxCommand bounds a command as it is sent, in bytes, in the encoding in which
	// it is largest, and what is sent at once of those that waited; default 128 KiB. It must
	// be below the event loop's OutBuffer, or the command cuts its device off.
	MaxCommand int
	// MaxPacket is the largest packet that a client of MQTT may send, bytes, as it is
	// told; default 64 KiB. The event loop refuses larger ones at its MaxMessage.
	MaxPacket int
	// Heartbeat and IdleTimeout say when a silent device is pinged and evicted;
	// defaults 30 s and 60 s.
	Heartbeat, IdleTimeout time.Duration
	// MaxRemembered is how many devices that left are remembered; default 1,000,000.
	MaxRemembered int
	// FreeTakeovers is how often a device may take over from itself before it is held
	// back (flap.go); default 5.
	FreeTakeovers int
	// Connects are the connects a minute of one address, network, device and tenant, and of
	// all; default 0: as many as come. PrefixBits4 and PrefixBits6 are how long the prefix
	// of a network is in IPv4 and IPv6; defaults 24 and 64.
	Connects                 Connects
	PrefixBits4, PrefixBits6 int
	// DrainWindow is the time over which a drain spreads its closes; default 10 s.
	DrainWindow time.Duration
	// RetryAfter is told with each 503, spread up to twice; default 5 s.
	RetryAfter time.Duration
	// CertificateIsEnough lets a device in whose certificate says who it is, without a
	// token (--auth=cert). A token that it has all the same must be for that device.
	CertificateIsEnough bool
	// AllowedOrigins are the sites whose pages may connect without a token, beside those
	// of the node's own IP address: SCHEME://HOST[:PORT], or AnyOrigin.
	AllowedOrigins []string
	// OnProof is told of each peer whether it could prove who it is; it is called by many
	// workers at once and must not block. Optional.
	OnProof func(from netip.Addr, proved bool)
	// Verifier checks tokens; nil means that devices name themselves (--auth=none).
	Verifier *auth.Verifier
	// SharedLog says that other nodes write the log too. What a session remembers
	// may then be old, so the log is asked at every connect.
	SharedLog bool
	// Log and Store are required.
	Log   Log
	Store Store
	// Wills keeps the Wills that wait for their delay; nil: they end with the node.
	Wills WillStore
	// Retainer keeps what is retained; nil: nothing is.
	Retainer Retainer
	// Events are those that are kept as records; default none. EventRate is how many a
	// second, in the long run; ten seconds' worth may come at once. Default 5,000.
	Events    []EventType
	EventRate int
	// Node is the name of this node in the records of events; default none.
	Node string
	// OnPresence hears of every device that comes or goes; must not block. Optional.
	OnPresence func(Presence)
	// Logger gets what an operator should know; default none.
	Logger *zap.Logger

	clocks func() (elapsed time.Duration, wall time.Time) // tests set the wall clock
}

// DefaultSequenceJump lets devices that number by a clock begin anywhere and be silent
// for as long as they like, also by microseconds since 1970 (1.8e15), and refuses what
// is next to the end of all sequences, 2^53-1, after which a device is mute for good.
const DefaultSequenceJump = 1 << 52

// Presence is one change of one device.
type Presence struct {
	Tenant, Device string
	Epoch          uint64
	Online         bool
	Elsewhere      bool // it went because another node has it, which speaks for it
	At             time.Time
}

func (c Config) withDefaults() (Config, error) {
	defaults.Set(&c.Workers, 16)
	defaults.Set(&c.Lanes, 64)
	defaults.Set(&c.LaneDepth, 1024)
	defaults.Set(&c.AuthWorkers, 4)
	defaults.Set(&c.Window, 64)
	defaults.Set(&c.MaxSequenceJump, DefaultSequenceJump)
	defaults.Set(&c.WindowBytes, 256<<10)
	defaults.Set(&c.InFlight, 256<<20)
	defaults.Set(&c.MaxCommand, 128<<10)
	defaults.Set(&c.MaxPacket, 64<<10)
	defaults.Set(&c.Heartbeat, 30*time.Second)
	defaults.Set(&c.IdleTimeout, 60*time.Second)
	defaults.Set(&c.MaxRemembered, 1_000_000)
	defaults.Set(&c.FreeTakeovers, 5)
	defaults.Set(&c.EventRate, 5000)
	defaults.Set(&c.PrefixBits4, 24)
	defaults.Set(&c.PrefixBits6, 64)
	defaults.Set(&c.DrainWindow, 10*time.Second)
	defaults.Set(&c.RetryAfter, 5*time.Second)
	defaults.Set(&c.Quotas, new(quota.Book))
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.clocks == nil {
		c.clocks = clocksSince(time.Now())
	}
	if c.Log == nil || c.Store == nil {
		return c, errors.New("gateway: a log and a store are required")
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"Window", int64(c.Window)},
		{"WindowBytes", c.WindowBytes},
		{"RateBytes", c.RateBytes},
		{"RateMessages", c.RateMessages},
		{"InFlight", c.InFlight},
		{"MaxCommand", int64(c.MaxCommand)},
		{"Heartbeat", int64(c.Heartbeat)},
		{"FreeTakeovers", int64(c.FreeTakeovers)},
		{"EventRate", int64(c.EventRate)},
		{"DrainWindow", int64(c.DrainWindow)},
		{"RetryAfter", int64(c.RetryAfter)},
	} {
		if n.value < 0 {
			return c, fmt.Errorf("gateway: %s is %d: it must be positive", n.name, n.value)
		}
	}
	if c.IdleTimeout <= c.Heartbeat {
		return c, fmt.Errorf("gateway: idle timeout %s must be longer than the heartbeat %s, or every quiet device is evicted before it is pinged", c.IdleTimeout, c.Heartbeat)
	}
	return c, nil
}
