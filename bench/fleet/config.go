package fleet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Errors of New and Do.
var (
	ErrConfig = errors.New("fleet: bad configuration")
	ErrOrder  = errors.New("fleet: bad order")
	ErrClosed = errors.New("fleet: closed")
)

// Config says which devices a fleet is and how they reach the node. It can be
// written as JSON, so that a worker process can be told.
type Config struct {
	// URL of the node: ws://host:port/path, or mqtt://host:port; wss:// and mqtts:// by TLS.
	URL string
	// TLS is how they speak it there.
	TLS TLS
	// Dialect: raw, json, frame.json or frame.proto over WebSocket, default raw; mqtt
	// (3.1.1) or mqtt5 over TCP, default mqtt.
	Dialect string
	// Subscribe is the topic filter that each device of MQTT subscribes to; it is ready
	// with the answer. Default: none. Topic is what it publishes to, default "bench". In
	// both, {n} is its number. What comes to who subscribed is accounted for where the last
	// level of a topic is the number of its only publisher.
	Subscribe, Topic string
	// Password is what all devices of MQTT show instead of a token.
	Password string
	// First and Count: this fleet is the devices numbered [First, First+Count).
	First, Count int
	// Loops is the number of epoll loops. Default 1; one drives 50,000 devices.
	Loops int
	// PerSource is the number of connections for each source address 127.0.0.x.
	// Default: an eighth of the ephemeral ports. Too large: EADDRNOTAVAIL.
	PerSource int
	// Tenant and Prefix name the devices: tenant "default", device "bench-0000017".
	Tenant, Prefix string
	// Secret signs the devices' tokens (HS256). Without one, names go into the
	// query (--auth=none), except in the raw dialect on path "/", which has none.
	Secret []byte
	// TokenLife is how long a token is valid. Default 24 h.
	TokenLife time.Duration
	// HandshakeTimeout runs from connect to open. Default 10 s.
	HandshakeTimeout time.Duration
	// MessageTimeout is how long an answer may take before the message counts
	// as lost. Default 10 s.
	MessageTimeout time.Duration
	// Heartbeat is the silence after which a device sends a heartbeat. Default
	// 0: none, the devices only answer pings.
	Heartbeat time.Duration
	// Backoff is the longest wait between two attempts to reconnect; waits start
	// at 1/64 of it, double, and are jittered. Default 8 s.
	Backoff time.Duration
	// ReceiveBuffer is SO_RCVBUF in bytes; 0 leaves the system's.
	ReceiveBuffer int
	// Seed makes masks, keys and jitter repeatable. Default 1.
	Seed uint64
}

// target is where the devices connect to.
type target struct {
	addr netip.AddrPort
	host string
	name string // of the host, without port
	path string
	mqtt bool
	tls  bool
}

func (c Config) withDefaults() (Config, target, error) {
	t, err := parseTarget(c.URL)
	if err != nil {
		return c, t, err
	}
	if c.Count < 1 || c.First < 0 || c.Loops < 0 || c.PerSource < 0 {
		return c, t, fmt.Errorf("%w: count %d, first %d, loops %d, per source %d", ErrConfig, c.Count, c.First, c.Loops, c.PerSource)
	}
	c.Dialect = orDefault(c.Dialect, map[bool]string{false: "raw", true: "mqtt"}[t.mqtt])
	c.Loops = min(orDefault(c.Loops, 1), c.Count)
	c.Tenant = orDefault(c.Tenant, "default")
	c.Prefix = orDefault(c.Prefix, "bench-")
	c.Topic = orDefault(c.Topic, "bench")
	c.TokenLife = orDefault(c.TokenLife, 24*time.Hour)
	c.HandshakeTimeout = orDefault(c.HandshakeTimeout, 10*time.Second)
	c.MessageTimeout = orDefault(c.MessageTimeout, 10*time.Second)
	c.Backoff = orDefault(c.Backoff, 8*time.Second)
	c.Seed = orDefault(c.Seed, 1)
	c.PerSource = orDefault(c.PerSource, perSource())
	d, err := newDialect(c)
	if err != nil {
		return c, t, err
	}
	if _, speaks := d.(*mqtt); speaks != t.mqtt {
		return c, t, fmt.Errorf("%w: dialect %s at %s: mqtt and mqtt5 want mqtt:// or mqtts://, the others ws:// or wss://", ErrConfig, c.Dialect, c.URL)
	}
	return c, t, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func parseTarget(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, fmt.Errorf("%w: url: %w", ErrConfig, err)
	}
	usual, known := map[string]string{"ws": "80", "wss": "443", "mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	if !known || u.Host == "" {
		return target{}, fmt.Errorf("%w: url %q: want ws://host:port/path or mqtt://host:port, or wss or mqtts", ErrConfig, raw)
	}
	port := orDefault(u.Port(), usual)
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return target{}, fmt.Errorf("%w: url %q: port: %w", ErrConfig, raw, err)
	}
	ips, err := net.LookupIP(u.Hostname())
	if err != nil || len(ips) == 0 {
		return target{}, fmt.Errorf("%w: url %q: %w", ErrConfig, raw, err)
	}
	ip, _ := netip.AddrFromSlice(ips[0])
	for _, other := range ips { // source addresses are chosen for IPv4 only: prefer it
		if v4 := other.To4(); v4 != nil {
			ip, _ = netip.AddrFromSlice(v4)
			break
		}
	}
	return target{
		addr: netip.AddrPortFrom(ip.Unmap(), uint16(n)),
		host: u.Host,
		path: orDefault(u.RequestURI(), "/"),
		name: u.Hostname(),
		mqtt: u.Scheme == "mqtt" || u.Scheme == "mqtts",
		tls:  u.Scheme == "wss" || u.Scheme == "mqtts",
	}, nil
}
