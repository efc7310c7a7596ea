package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"edgeloop/admin/api"
	"edgeloop/envelope"
	"edgeloop/gateway"
	"edgeloop/pool"
)

// A setting is a flag of serve: what its value may be, and how that changes while the
// node runs. The flag has its help and its default. The command line, the environment,
// the configuration file, a reload and PATCH /v1/limits all go by this table.
type setting struct {
	name string
	// least and most bound a number, size or time, both included. Both 0: what the
	// value may be is checked elsewhere.
	least, most int64
	// leastBy is a least that depends on other settings, in place of least.
	leastBy func(*serveCmd) int64
	// limit: it is under /v1/limits.
	limit bool
	live  *live
}

// live is how a setting changes while the node runs; nil: only with a restart.
type live struct {
	now func(*node) any            // in force; a number is an int64
	put func(c *change, value any) // has it changed
	// auto is the value that 0 stands for at the start, and the most that it may be.
	auto func(*node) int64
}

const most = 1 << 20 // of what there is no need for more

const (
	ms   = int64(time.Millisecond)
	sec  = int64(time.Second)
	hour = int64(time.Hour)
	day  = 24 * hour
)

// table is every setting, in the order of the documentation.
var table = []setting{
	{name: "listen"},
	{name: "tls-listen"},
	{name: "mqtt-listen"},
	{name: "mqtt-tls-listen"},
	{name: "mqtt-apps"},
	{name: "mqtt-topics"},
	{name: "mqtt-retained-max", most: mostRetained},
	{name: "proxy-protocol"},
	{name: "trusted-proxies"},
	{name: "allow-cidrs"},
	{name: "deny-cidrs"},
	{name: "tls-cert"},
	{name: "tls-key"},
	{name: "tls-records"},
	{name: "tls-min-version"},
	{name: "tls-client-auth"},
	{name: "tls-client-ca"},
	{name: "tls-crl"},
	{name: "tls-identity"},
	{name: "tls-tenant"},
	{name: "tls-uri-prefix"},
	{name: "tls-ticket-keys"},
	{name: "admin-listen"},
	{name: "admin-tls-cert"},
	{name: "admin-tls-key"},
	{name: "admin-tls-client-ca"},
	{name: "admin-remote"},
	{name: "admin-tokens-file"},
	{name: "admin-hosts"},
	{name: "health-listen"},
	{name: "grpc-listen"},
	{name: "grpc-cert"},
	{name: "grpc-key"},
	{name: "grpc-remote"},
	{name: "data-dir"},
	{name: "node"},

	{name: "event-loops", least: 0, most: 256},
	{name: "max-connections", least: 0, most: 1 << 30, limit: true, live: liveMaxConnections},
	{name: "fd-limit"},
	{name: "fd-reserve", least: 64, most: most}, // the log alone needs some tens
	{name: "pool-size", least: 1, most: pool.MaxWorkers, limit: true, live: livePoolSize},
	{name: "auth-pool-size", least: 1, most: pool.MaxWorkers},
	{name: "tls-workers", least: 0, most: pool.MaxWorkers},
	{name: "lanes", least: 1, most: most, limit: true},
	{name: "lane-depth", least: 1, most: most, limit: true},
	// What has not arrived in full has half of it, and a message takes up to twice its
	// length.
	{name: "inflight-bytes", leastBy: func(s *serveCmd) int64 { return 8 * int64(s.MaxMessage) }, most: 1 << 50, limit: true, live: liveInflightBytes},
	{name: "max-message", least: 128, most: maxMessageLimit, limit: true},
	{name: "max-handshakes", least: 1, most: most, limit: true},
	{name: "max-handshakes-per-address", least: 0, most: most},
	{name: "max-connects-per-address", least: 0, most: 1 << 30, limit: true, live: liveConnects(func(c *gateway.Connects) *int64 { return &c.Address })},
	{name: "max-connects-per-prefix", least: 0, most: 1 << 30, limit: true, live: liveConnects(func(c *gateway.Connects) *int64 { return &c.Prefix })},
	{name: "max-connects-per-device", least: 0, most: 1 << 30, limit: true, live: liveConnects(func(c *gateway.Connects) *int64 { return &c.Device })},
	{name: "max-connects-per-tenant", least: 0, most: 1 << 30, limit: true, live: liveConnects(func(c *gateway.Connects) *int64 { return &c.Tenant })},
	{name: "max-connects-per-node", least: 0, most: 1 << 30, limit: true, live: liveConnects(func(c *gateway.Connects) *int64 { return &c.Node })},
	{name: "ban-failures", least: 0, most: most},
	{name: "ban-window", least: sec, most: day},
	{name: "ban-most", least: sec, most: 30 * day},
	{name: "prefix-bits-4", least: 8, most: 32},
	{name: "prefix-bits-6", least: 16, most: 128},
	{name: "window", least: 1, most: most, limit: true, live: liveWindow},
	{name: "window-bytes", least: 1 << 10, most: 1 << 30, limit: true, live: liveWindowBytes},
	{name: "max-rate-bytes", least: 0, most: 1 << 40, limit: true, live: liveMaxRateBytes},
	{name: "max-rate-messages", least: 0, most: 1 << 30, limit: true, live: liveMaxRateMessages},
	{name: "max-sequence-jump", least: 1, most: envelope.MaxSeq},
	{name: "socket-buffer", least: 0, most: 1 << 30},
	{name: "out-buffer", least: 4 << 10, most: 1 << 30, limit: true},
	{name: "compression"},
	{name: "free-takeovers", least: 1, most: 1 << 30},
	// Fewer, and one that leaves may be forgotten while its messages are on their way
	// to the log, and be stored twice.
	{name: "max-remembered", least: 1000, most: 1 << 30},

	{name: "heartbeat", least: 100 * ms, most: day, limit: true, live: liveHeartbeat},
	{name: "idle-timeout", least: 200 * ms, most: 2 * day, limit: true, live: liveIdleTimeout},
	{name: "send-timeout", least: sec, most: day},
	{name: "handshake-timeout", least: 100 * ms, most: hour, limit: true},
	{name: "drain-window", least: 50 * ms, most: day},
	{name: "retry-after", least: sec, most: day},

	{name: "auth"},
	{name: "secret-file"},
	{name: "public-key-file"},
	{name: "jwks-file"},
	{name: "jwks-url"},
	{name: "jwks-max-stale", least: 60 * sec, most: 30 * day},
	{name: "jwks-networks"},
	{name: "jwks-ca"},
	{name: "allowed-origins"},
	{name: "token-audience"},
	{name: "token-issuer"},
	{name: "token-leeway", least: 0, most: hour},
	{name: "token-cache", least: 1, most: 1 << 26},
	{name: "nats-url"},
	{name: "nats-creds"},
	{name: "nats-user"},
	{name: "nats-password-file"},
	{name: "nats-token-file"},
	{name: "nats-ca"},
	{name: "nats-cert"},
	{name: "nats-key"},
	{name: "durability"},
	{name: "commit-interval", least: 0, most: sec},
	{name: "log-max-bytes"},
	{name: "log-max-age"},
	{name: "when-full"},
	{name: "log-replicas", least: 0, most: 5},
	{name: "on-damage"},
	{name: "events"},
	{name: "event-rate", least: 1, most: most},
	{name: "command-max-age", least: sec, most: 365 * day},

	{name: "log-level", live: liveLogLevel},
	{name: "log-format"},
}

// settingOf is the row of a setting, nil for a name that has none.
func settingOf(name string) *setting {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

// flags are the fields of serve by the names of their flags.
func (s *serveCmd) flags(each func(name string, field reflect.StructField, value reflect.Value)) {
	eachFlag(reflect.ValueOf(s).Elem(), each)
}

func eachFlag(v reflect.Value, each func(name string, field reflect.StructField, value reflect.Value)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			eachFlag(v.Field(i), each)
			continue
		}
		name := field.Tag.Get("name")
		if name == "" {
			name = kebab(field.Name)
		}
		each(name, field, v.Field(i))
	}
}

// kebab is the name that a flag gets from its field: MaxMessage is max-message.
func kebab(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// settings are the values of serve's flags by name: an int64 for a number, a size
// or a time.
type settings map[string]any

// values are the settings as the flags have them.
func (s *serveCmd) values() settings {
	all := make(settings)
	s.flags(func(name string, _ reflect.StructField, value reflect.Value) {
		if value.CanInt() {
			all[name] = value.Int()
		} else {
			all[name] = value.Interface()
		}
	})
	return all
}

// kinds are how the numbers among the settings are written.
func (s *serveCmd) kinds() map[string]api.LimitKind {
	all := make(map[string]api.LimitKind)
	s.flags(func(name string, field reflect.StructField, value reflect.Value) {
		switch {
		case !value.CanInt():
		case field.Type == reflect.TypeFor[time.Duration]():
			all[name] = api.LimitDuration
		case strings.HasPrefix(field.Tag.Get("type"), "size"):
			all[name] = api.LimitBytes
		default:
			all[name] = api.LimitCount
		}
	})
	return all
}

// bounded says whether the table has a range for the setting.
func (r *setting) bounded() bool { return r.least != 0 || r.most != 0 || r.leastBy != nil }

// from is the least that a setting may be, among the others.
func (r *setting) from(s *serveCmd) int64 {
	if r.leastBy != nil {
		return r.leastBy(s)
	}
	return r.least
}

// planRanges holds every number against its range.
func (s *serveCmd) planRanges() error {
	values, kinds := s.values(), s.kinds()
	for i := range table {
		r := &table[i]
		value, number := values[r.name].(int64)
		if least := r.from(s); number && r.bounded() && (value < least || value > r.most) {
			kind := kinds[r.name]
			if kind == api.LimitBytes {
				kind = api.LimitCount
			}
			return fmt.Errorf("--%s=%v: give %v to %v", r.name, kind.JSONValue(value), kind.JSONValue(least), kind.JSONValue(r.most))
		}
	}
	return nil
}
