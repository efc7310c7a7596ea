package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// server is a Redis.
type server struct {
	// Immutable after construction.
	address, user string
	password      keys.Secret
	db            int
	tls           bool
	stream        bool
	name          sink.Template // of a stream or a channel
	maxLen        string

	// Owned by who sends.
	client rueidis.Client // nil: none
}

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	s := &server{
		address:  m.Needed("address", "host:6379"),
		user:     m.Text("user", ""),
		password: m.Secret("password"),
		db:       int(m.Number("db", 0, 0, 1<<16)),
		tls:      m.Flag("tls", false),
		stream:   m.Word("mode", "stream", "stream", "publish") == "stream",
		name:     sink.ReadTemplate(m, "key", "edgeloop:{tenant}"),
		maxLen:   strconv.FormatInt(m.Number("max_len", 1_000_000, 1, 1<<40), 10),
	}
	_, port, err := net.SplitHostPort(s.address)
	if _, bad := strconv.ParseUint(port, 10, 16); s.address != "" && (err != nil || bad != nil) {
		m.Fail("address", "%q: give host:port, as in 127.0.0.1:6379", s.address)
	}
	if s.user != "" && !s.password.Given() {
		m.Fail("user", "goes with password_file or password_env: give one of them too")
	}
	if m.Has("max_len") && !s.stream {
		m.Fail("max_len", "is of streams: leave it out with mode: publish")
	}
	return s
}

// connect has a client. Its retries are off: what it repeated by itself could come behind
// what is sent again.
func (s *server) connect(ctx context.Context) error {
	if s.client != nil {
		return nil
	}
	password, err := s.password.Read()
	if err != nil {
		return err
	}
	o := rueidis.ClientOption{
		InitAddress: []string{s.address}, Username: s.user, Password: password, SelectDB: s.db, ClientName: "edgeloop-sink",
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
	s.client, err = rueidis.NewClient(o)
	return err
}

func (s *server) drop() {
	if s.client != nil {
		s.client.Close()
	}
	s.client = nil
}

// Send implements sink.Destination.
func (s *server) Send(ctx context.Context, records []sink.Record) (int, error) {
	if err := s.connect(ctx); err != nil {
		s.client = nil
		return 0, fmt.Errorf("connect to Redis: %w", err)
	}
	n, err := s.send(ctx, records)
	var no *sink.Refusal
	if err != nil && !errors.As(err, &no) {
		s.drop() // what is still on its way in it must not come behind what is sent again
	}
	return n, err
}

func (s *server) send(ctx context.Context, records []sink.Record) (confirmed int, err error) {
	one, release := s.client.Dedicate()
	defer release()
	commands := make(rueidis.Commands, 0, len(records)+2)
	commands = append(commands, one.B().Multi().Build())
	for i := range records {
		commands = append(commands, s.command(one.B(), &records[i]))
	}
	commands = append(commands, one.B().Exec().Build())
	answers := one.DoMulti(ctx, commands...)
	for _, a := range answers[:len(answers)-1] {
		if err := a.Error(); err != nil { // it was not even queued, and EXEC does nothing then
			return 0, err
		}
	}
	each, err := answers[len(answers)-1].ToArray()
	if err != nil {
		return 0, err
	}
	for i := range each {
		err := each[i].Error()
		switch {
		case err == nil:
		case strings.HasPrefix(err.Error(), "WRONGTYPE"):
			return i, &sink.Refusal{Records: 1, Reason: fmt.Sprintf("%s: %s", s.name.Expand(&records[i], nil), err)}
		default:
			return i, err
		}
	}
	return len(each), nil
}

// command is what brings one record. Its position is a field of its own, for who drops what
// comes twice.
func (s *server) command(b rueidis.Builder, r *sink.Record) rueidis.Completed {
	name, line := s.name.Expand(r, nil), rueidis.BinaryString(r.AppendJSON(nil))
	if !s.stream {
		return b.Publish().Channel(name).Message(line).Build()
	}
	return b.Xadd().Key(name).Maxlen().Almost().Threshold(s.maxLen).Id("*").
		FieldValue().FieldValue("position", r.ID()).FieldValue("record", line).Build()
}

// Close implements sink.Destination.
func (s *server) Close(context.Context) error {
	s.drop()
	return nil
}
