package redis

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"edgeloop/sink/keys"
)

// server is a Redis, and who we are there.
type server struct {
	// Immutable after construction.
	addresses    []string // of the server; of a cluster's nodes, or of sentinels, some
	user         string
	password     keys.Secret
	db           int
	tls, cluster bool
	files        keys.TLS
	master       string // what sentinels call it; "": there are none

	sentinelUser     string
	sentinelPassword keys.Secret
}

// readServer reads the keys that say which server.
func readServer(m *keys.Map) server {
	s := server{
		addresses:        m.Texts("address"),
		user:             m.Text("user", ""),
		password:         m.Secret("password"),
		db:               int(m.Number("db", 0, 0, 1<<16)),
		tls:              m.Flag("tls", false),
		cluster:          m.Flag("cluster", false),
		master:           m.Text("sentinel_master", ""),
		sentinelUser:     m.Text("sentinel_user", ""),
		sentinelPassword: m.Secret("sentinel_password"),
	}
	if len(s.addresses) == 0 && !m.Has("address") {
		m.Needed("address", "host:6379")
	}
	for _, address := range s.addresses {
		_, port, err := net.SplitHostPort(address)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
			m.Fail("address", "%q: give host:port, as in 127.0.0.1:6379", address)
		}
	}
	if s.user != "" && !s.password.Given() {
		m.Fail("user", "goes with password_file or password_env: give one of them too")
	}
	s.files = m.TLS(s.tls, "tls: true")
	s.checkMany(m)
	return s
}

// checkMany checks the keys of what is more than one server.
func (s *server) checkMany(m *keys.Map) {
	switch {
	case s.cluster && s.master != "":
		m.Fail("cluster", "does not go with sentinel_master: a cluster has no sentinels")
	case s.cluster && s.db != 0:
		m.Fail("db", "%d: a cluster has database 0 alone", s.db)
	case !s.cluster && s.master == "" && len(s.addresses) > 1:
		m.Fail("address", "there are %d: give one, or say cluster: true or sentinel_master too", len(s.addresses))
	}
	if s.master == "" && (s.sentinelUser != "" || s.sentinelPassword.Given()) {
		m.Fail("sentinel_master", "is missing: give the name by which sentinels know the master")
	}
	if s.sentinelUser != "" && !s.sentinelPassword.Given() {
		m.Fail("sentinel_user", "goes with sentinel_password_file or sentinel_password_env: give one of them too")
	}
}

// dial connects, within the time of ctx. The client's retries are off: what it repeated by
// itself could come behind what is sent again.
func (s *server) dial(ctx context.Context, name string) (rueidis.Client, error) {
	password, err := s.password.Read()
	if err != nil {
		return nil, err
	}
	asking, err := s.sentinelPassword.Read()
	if err != nil {
		return nil, err
	}
	o := rueidis.ClientOption{
		InitAddress: s.addresses, Username: s.user, Password: password, SelectDB: s.db, ClientName: name,
		ForceSingleClient: !s.cluster, DisableRetry: true, DisableCache: true, AlwaysRESP2: true, ConnWriteTimeout: 10 * time.Second,
		Dialer: net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second},
	}
	if end, has := ctx.Deadline(); has {
		o.Dialer.Deadline = end
		o.ConnWriteTimeout = max(time.Millisecond, min(o.ConnWriteTimeout, time.Until(end)))
	}
	if s.tls {
		if o.TLSConfig, err = s.files.Config(""); err != nil {
			return nil, err
		}
	}
	if s.master != "" {
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: s.master, Username: s.sentinelUser, Password: asking, ClientName: name,
			Dialer: o.Dialer, TLSConfig: o.TLSConfig, TopologyRefreshInterval: 5 * time.Second,
		}
	}
	return rueidis.NewClient(o)
}
