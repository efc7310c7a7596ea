package admin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/internal/defaults"
	"edgeloop/overload"
)

// Config of the admin server. The zero value of a field takes its default,
// except Principals, which has none.
type Config struct {
	// Listen is host:port, default 127.0.0.1:9090. An address that is not loopback
	// is refused unless TLS or AllowRemote is set.
	Listen string
	// Listener, if set, is one on Listen that HandOver gave; Start takes it.
	Listener net.Listener
	// AllowRemote permits a listener that others can reach without TLS. The tokens
	// then cross the network readable.
	AllowRemote bool
	// TLS, when set, is used for every connection; default none.
	TLS *tls.Config
	// Principals are those who may ask, one at least; see SetPrincipals for others.
	Principals []access.Principal

	// Hosts are names of the node, for those who ask without TLS and without a token: see
	// Server.meant. Default none.
	Hosts []string

	// CheckName judges a "tenant" or "device" name; default: 1 to 128 bytes.
	CheckName func(kind, name string) error
	// Sources are asked for samples at each scrape of /metrics.
	Sources []Source
	// Overload says what is refused because the node has too much to do; default nothing.
	Overload *overload.Ladder
	// Logger, default none.
	Logger *zap.Logger
	// Audit gets one line for each change, default Logger. With a sampler, changes
	// that come quickly are missing from it.
	Audit *zap.Logger

	// MaxConnections at a time, default 128. For one more the quietest is closed;
	// seven eighths of them may be served with the token at a time, above: 503. Too
	// low, and dashboards and scrapes push one another out.
	MaxConnections int
	// MaxBody is the largest request body in bytes, default 1 MiB; above it: 413.
	MaxBody int64
	// MaxWait is the longest ?wait= of a command, default 5 minutes.
	MaxWait time.Duration
	// ReadTimeout for the header, and again for the body, default 10 s.
	ReadTimeout time.Duration
	// WriteTimeout for a response once it is known, default 30 s.
	WriteTimeout time.Duration

	// MaxTails is how many live tails may run at a time, default 16; above: 503.
	MaxTails int
	// TailBuffer is how many bytes of records wait for one reader, default 1 MiB;
	// the memory of a tail.
	TailBuffer int
	// TailStall is how long a full buffer may stay full before its reader is
	// dropped, default 30 s; a reader that takes nothing at all for three times as
	// long is cut off without a last event. Too short, and a pager drops its user.
	TailStall time.Duration
	// TailHeartbeat is how often an idle stream sends a comment, default 15 s.
	TailHeartbeat time.Duration
}

func (c Config) withDefaults() (Config, error) {
	defaults.Set(&c.Listen, "127.0.0.1:9090")
	defaults.Set(&c.MaxConnections, 128)
	defaults.Set(&c.MaxBody, 1<<20)
	defaults.Set(&c.MaxWait, 5*time.Minute)
	defaults.Set(&c.ReadTimeout, 10*time.Second)
	defaults.Set(&c.WriteTimeout, 30*time.Second)
	defaults.Set(&c.MaxTails, 16)
	defaults.Set(&c.TailBuffer, 1<<20)
	defaults.Set(&c.TailStall, 30*time.Second)
	defaults.Set(&c.TailHeartbeat, 15*time.Second)
	if c.CheckName == nil {
		c.CheckName = checkNameLength
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	defaults.Set(&c.Audit, c.Logger)
	if c.MaxConnections < 1 || c.MaxBody < 1 || c.MaxTails < 1 || c.TailBuffer < 1 ||
		c.MaxWait < 0 || c.ReadTimeout < 0 || c.WriteTimeout < 0 || c.TailStall < 0 || c.TailHeartbeat < 0 {
		return c, errors.New("admin: a limit is negative")
	}
	return c, c.checkListen()
}

// checkListen refuses to show the API to a network by accident.
func (c Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("admin: listen address %q: %w", c.Listen, err)
	}
	if c.AllowRemote || c.TLS != nil || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrRemote, c.Listen)
}

func checkNameLength(kind, name string) error {
	if name == "" || len(name) > 128 {
		return fmt.Errorf("a %s name has 1 to 128 bytes", kind)
	}
	return nil
}
