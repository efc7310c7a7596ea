package redis

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"edgeloop/sink/keys"
)

// server is a Redis, and who we are there.
type server struct {
	// Immutable after construction.
	address, user string
	password      keys.Secret
	db            int
	tls           bool
}

// readServer reads the keys that say which server.
func readServer(m *keys.Map) server {
	s := server{
		address:  m.Needed("address", "host:6379"),
		user:     m.Text("user", ""),
		password: m.Secret("password"),
		db:       int(m.Number("db", 0, 0, 1<<16)),
		tls:      m.Flag("tls", false),
	}
	_, port, err := net.SplitHostPort(s.address)
	if _, bad := strconv.ParseUint(port, 10, 16); s.address != "" && (err != nil || bad != nil) {
		m.Fail("address", "%q: give host:port, as in 127.0.0.1:6379", s.address)
	}
	if s.user != "" && !s.password.Given() {
		m.Fail("user", "goes with password_file or password_env: give one of them too")
	}
	return s
}

// dial connects, within the time of ctx. The client's retries are off: what it repeated by
// itself could come behind what is sent again.
func (s *server) dial(ctx context.Context, name string) (rueidis.Client, error) {
	password, err := s.password.Read()
	if err != nil {
		return nil, err
	}
	o := rueidis.ClientOption{
		InitAddress: []string{s.address}, Username: s.user, Password: password, SelectDB: s.db, ClientName: name,
		ForceSingleClient: true, DisableRetry: true, DisableCache: true, AlwaysRESP2: true, ConnWriteTimeout: 10 * time.Second,
		Dialer: net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second},
	}
	if end, has := ctx.Deadline(); has {
		o.Dialer.Deadline = end
		o.ConnWriteTimeout = max(time.Millisecond, min(o.ConnWriteTimeout, time.Until(end)))
	}
	if s.tls {
		host, _, _ := net.SplitHostPort(s.address)
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	}
	return rueidis.NewClient(o)
}
