package eventloop

import (
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"go.uber.org/zap"

	"edgeloop/internal/bytebuf"
	"edgeloop/internal/defaults"
)

// Config is what a Server needs to know. Zero fields take the defaults named.
type Config struct {
	// Listeners are where devices connect, 1 to 16. No default.
	Listeners []Listener
	// Loops is the number of event loops, 1 to 256; default GOMAXPROCS. Too few
	// leave cores idle, too many share caches for nothing.
	Loops int
	// MaxConnections is how many connections may be admitted before new ones are
	// answered 503; default 100,000. One that takes over from another needs no place
	// (Conn.TakeSeatOf).
	MaxConnections int
	// RefuseReserve is how many sockets beyond MaxConnections are still accepted,
	// to be told 503; default 1,024. Beyond it the gate is closed.
	RefuseReserve int
	// MaxHandshakes bounds the connections that have not finished their opening handshake, or were
	// refused and have not hung up; default 512, shared evenly among the listeners. It keeps a
	// storm of newcomers from slowing down the devices that are connected. When it is used up, the
	// gate closes, and a peer that has sent no whole request for a second gives way, sooner while
	// there is still no room (lobby.go).
	MaxHandshakes int
	// MaxPerAddress is how many sockets of one address may take that whole second for their
	// request; beyond it, a quarter of a second is enough to give way. It also holds for those of
	// one address whose TLS handshake a worker serves: beyond it, they give way after the time that
	// one needs for twice as many turns, if that is longer. Default an eighth of a listener's share
	// of MaxHandshakes. If it is too small, devices behind one address disturb each other while
	// many connect at once.
	MaxPerAddress int
	// HandshakeTimeout is the time from accept to the answered handshake;
	// default 10 s. Too short refuses devices on slow networks.
	HandshakeTimeout time.Duration
	// CloseTimeout is how long the peer's answer to a Close frame is waited for;
	// default 2 s.
	CloseTimeout time.Duration
	// GoingAwayTimeout is the same for a Close frame that says 1001; default 10 s.
	// A peer that is sent away because the node stops is well, and may be one of many
	// thousands that answer at once, over a slow network: hung up on too early it
	// loses the frame and its delay.
	GoingAwayTimeout time.Duration
	// Tick is the resolution of all timeouts; default 1 s, 10 ms at the least.
	Tick time.Duration
	// OutBuffer bounds the bytes waiting to be written to one connection, beyond
	// the one write that fills its socket; default 256 KiB. Reaching it closes the
	// connection (CauseSlowConsumer). It should be above MaxMessage.
	OutBuffer int
	// SocketBuffer is what the kernel may hold of one connection in each direction,
	// bytes; it takes up to twice of it. Default 128 KiB; less than 0 leaves it to
	// the kernel, some megabytes. Too little slows peers that are far away.
	SocketBuffer int
	// SendTimeout is how long a peer may take nothing of what waits for it before
	// its connection is ended (CauseStalled); default 60 s.
	SendTimeout time.Duration
	// InBuffer is a backstop; default 64 KiB. A connection that is paused or being decided is not
	// read from, so it keeps what one read brought (64 KiB at most) and TCP holds the peer back.
	// One that keeps more than InBuffer and two such reads all the same is closed.
	InBuffer int
	// Nap is how long a loop without work lets its sockets gather input where Receivers ask for it
	// (Conn.GatherOnLoop); default 500 µs; negative: never. A longer nap delays what comes
	// meanwhile, by at most Nap and what the runtime's timers add.
	Nap time.Duration
	// Doorman says whether a peer with this address may come: 0, or the Cause that its
	// connection ends with. nil: everybody may. It is asked at the accept, before a byte is
	// read, and of those behind proxies once their address is known. It is called on any
	// goroutine, for each newcomer, and must not block.
	Doorman func(peer netip.Addr) Cause
	// OnFailedTLS is told of each peer whose TLS handshake failed by its own doing, with its
	// true address; nil: nobody is. It is called on the loops, and must not block.
	OnFailedTLS func(peer netip.Addr)
	// OnFailedGreeting is told of each connection whose PROXY header or TLS handshake was refused,
	// or whose peer gave up with an alert: its real address, as far as that is known, and why. nil:
	// nobody is told. err may quote the peer. It is called on the loops, and must not block.
	OnFailedGreeting func(peer netip.AddrPort, err error)
	// TrustedProxies says whose X-Forwarded-For and Forwarded are believed; nil:
	// nobody's. It is called on the loops.
	TrustedProxies func(netip.Addr) bool
	// RetryAfter is told with every 503; default 5 s. Each answer is spread
	// between it and twice it.
	RetryAfter time.Duration
	// Protocols are the subprotocols that are spoken, the preferred one first.
	Protocols []string
	// MQTTPaths are where MQTT is spoken over WebSocket, by the subprotocol "mqtt"; none:
	// nowhere.
	MQTTPaths []string
	// Compression lets permessage-deflate be negotiated, except for MQTT.
	Compression bool
	// MaxMessage bounds one message and one frame, in bytes; default 64 KiB.
	MaxMessage int
	// Memory bounds what the connections hold: unread, unfinished, on its way.
	// Default a budget of 256 MiB that nobody shares.
	Memory *bytebuf.Budget
	// Logger gets the engine's own events; default none.
	Logger *zap.Logger
}

const (
	maxLoops = 256
	minTick  = 10 * time.Millisecond
)

// withDefaults fills in what is zero and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	var err error
	if c.Listeners, err = checkListeners(c.Listeners); err != nil {
		return c, err
	}
	defaults.Set(&c.Loops, runtime.GOMAXPROCS(0))
	defaults.Set(&c.MaxConnections, 100_000)
	defaults.Set(&c.RefuseReserve, 1_024)
	defaults.Set(&c.MaxHandshakes, 512)
	defaults.Set(&c.HandshakeTimeout, 10*time.Second)
	defaults.Set(&c.CloseTimeout, 2*time.Second)
	defaults.Set(&c.GoingAwayTimeout, 10*time.Second)
	defaults.Set(&c.Tick, time.Second)
	defaults.Set(&c.OutBuffer, 256<<10)
	defaults.Set(&c.InBuffer, 64<<10)
	defaults.Set(&c.SocketBuffer, 128<<10)
	defaults.Set(&c.SendTimeout, 60*time.Second)
	defaults.Set(&c.Nap, 500*time.Microsecond)
	defaults.Set(&c.RetryAfter, 5*time.Second)
	defaults.Set(&c.MaxMessage, 64<<10)
	if c.Memory == nil {
		c.Memory = bytebuf.NewBudget(256<<20, nil)
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Loops < 1 || c.Loops > maxLoops {
		return c, fmt.Errorf("eventloop: %d loops: give 1 to %d", c.Loops, maxLoops)
	}
	if c.Tick < minTick {
		return c, fmt.Errorf("eventloop: tick of %s: give %s or more", c.Tick, minTick)
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"MaxConnections", int64(c.MaxConnections)},
		{"RefuseReserve", int64(c.RefuseReserve)},
		{"MaxHandshakes", int64(c.MaxHandshakes)},
		{"MaxPerAddress", int64(c.MaxPerAddress)},
		{"OutBuffer", int64(c.OutBuffer)},
		{"InBuffer", int64(c.InBuffer)},
		{"MaxMessage", int64(c.MaxMessage)},
		{"HandshakeTimeout", int64(c.HandshakeTimeout)},
		{"CloseTimeout", int64(c.CloseTimeout)},
		{"GoingAwayTimeout", int64(c.GoingAwayTimeout)},
		{"RetryAfter", int64(c.RetryAfter)},
		{"SendTimeout", int64(c.SendTimeout)},
	} {
		if n.value < 0 {
			return c, fmt.Errorf("eventloop: %s is negative (%d)", n.name, n.value)
		}
	}
	return c, nil
}
