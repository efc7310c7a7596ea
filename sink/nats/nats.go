package nats

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/internal/redact"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// server is another NATS.
type server struct {
	// Immutable after construction.
	url, user         string
	password, token   keys.Secret
	credsFile, caFile string
	subject           sink.Template
	format            sink.Format
	core              bool

	// Owned by who sends.
	conn  *nats.Conn // nil: none
	js    jetstream.JetStream
	leave leave
	turns sink.Turns
	taker taker // of conn
}

// window is how many records are on their way to a stream at once: enough for 20,000 a second
// where a round trip takes 10 ms.
const window = 256

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	s := &server{
		url:       m.Needed("url", "nats://host:4222"),
		user:      m.Text("user", ""),
		password:  m.Secret("password"),
		token:     m.Secret("token"),
		credsFile: m.Text("creds_file", ""),
		caFile:    m.Text("ca_file", ""),
		subject:   sink.ReadTemplate(m, "subject", "telemetry.{tenant}.{device}"),
		format:    sink.ReadFormat(m, sink.FormRecord, sink.FormCloudEvent, sink.FormData),
		core:      m.Word("mode", "jetstream", "jetstream", "core") == "core",
	}
	for one := range strings.SplitSeq(s.url, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case s.url == "":
		case err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls":
			m.Fail("url", "%s: give nats://host:port or tls://host:port, several separated by commas", redact.URL(s.url))
		case u.User != nil:
			m.Fail("url", "%s: a secret is not written into the configuration: give user and password_file, token_file or creds_file", redact.URL(s.url))
		}
	}
	for key, path := range map[string]string{"creds_file": s.credsFile, "ca_file": s.caFile} {
		if path == "" {
			continue
		}
		if _, err := os.ReadFile(path); err != nil {
			m.Fail(key, "%s: give a file that the node may read", err)
		}
	}
	if (s.user != "") != s.password.Given() {
		m.Fail("user", "goes with password_file or password_env: give both or none")
	}
	return s
}

// connect has a connection. A lost one is not mended behind the back of who sends: records
// would wait in it, and go out later than those that come again.
func (s *server) connect(ctx context.Context) (err error) {
	if s.conn != nil && s.conn.IsConnected() {
		return nil
	}
	s.drop()
	o := []nats.Option{nats.Name("edgeloop sink"), nats.NoReconnect(), nats.Timeout(within(ctx)), nats.ErrorHandler(s.leave.heard)}
	if s.password.Given() {
		password, err := s.password.Read()
		if err != nil {
			return err
		}
		o = append(o, nats.UserInfo(s.user, password))
	}
	if s.token.Given() {
		token, err := s.token.Read()
		if err != nil {
			return err
		}
		o = append(o, nats.Token(token))
	}
	if s.credsFile != "" {
		o = append(o, nats.UserCredentials(s.credsFile))
	}
	if s.caFile != "" {
		o = append(o, nats.RootCAs(s.caFile))
	}
	if s.conn, err = nats.Connect(s.url, o...); err != nil {
		return err
	}
	s.js, err = jetstream.New(s.conn)
	return err
}

// within is how long a connection may take to come about.
func within(ctx context.Context) time.Duration {
	const most = 10 * time.Second
	if end, has := ctx.Deadline(); has {
		return min(most, max(time.Millisecond, time.Until(end)))
	}
	return most
}

func (s *server) drop() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.conn, s.taker = nil, taker{}
}

// Send implements sink.Destination.
func (s *server) Send(ctx context.Context, records []sink.Record) (int, error) {
	if err := s.connect(ctx); err != nil {
		s.drop()
		return 0, fmt.Errorf("connect to NATS: %w", err)
	}
	if s.core {
		return s.sendCore(ctx, records)
	}
	for n := 0; n < len(records); {
		part := records[n:min(len(records), n+batchMost)]
		stored, err := s.together(ctx, part)
		if err != nil {
			s.drop()
			return n, err
		}
		if stored {
			n += len(part)
			continue
		}
		out := s.turns.Send(part, window, func(r *sink.Record) error {
			return s.publish(r, func(m *nats.Msg) error { return s.intoStream(ctx, m) })
		})
		if out.Unclear {
			s.drop() // what is still on its way in it must not come behind what is sent again
		}
		if n += out.Confirmed; out.Err != nil {
			return n, out.Err
		}
	}
	return len(records), nil
}

// message is what one record is in NATS. It may be called side by side.
func (s *server) message(r *sink.Record) *nats.Msg {
	line, _ := s.format.Make(r)
	m := &nats.Msg{Subject: s.subject.Expand(r, subjectToken), Data: line, Header: nats.Header{jetstream.MsgIDHeader: {r.ID()}}}
	for _, p := range r.Trace.Pairs() {
		m.Header[p.Key] = []string{p.Value}
	}
	for _, p := range r.Beside() {
		if mayHead(p) {
			m.Header[p.Key] = append(m.Header[p.Key], p.Value)
		}
	}
	return m
}

// publish brings one record. It may run several times side by side.
func (s *server) publish(r *sink.Record, by func(*nats.Msg) error) error {
	m := s.message(r)
	err := by(m)
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload), errors.As(err, &api) && api.ErrorCode == codeMessageTooLarge, errors.Is(err, errNoPlace):
		return &sink.Refusal{Records: 1, Reason: err.Error()}
	}
	return fmt.Errorf("publish to %s: %w", m.Subject, err)
}

// mayHead says whether a device's user property may be a header: it is a token and a line of text.
// By its prefix it means nothing to servers and clients, whose own are "Nats-…", "KV-…" and "Status".
func mayHead(p sink.Pair) bool {
	for i := range len(p.Key) {
		if c := p.Key[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return !strings.ContainsAny(p.Value, "\r\n") && strings.TrimSpace(p.Value) == p.Value
}

// sendCore sends one record after the other, and knows by a ping behind the last one, or behind
// the one that failed, whether those before it were taken.
func (s *server) sendCore(ctx context.Context, records []sink.Record) (n int, err error) {
	for n < len(records) && err == nil {
		if err = s.publish(&records[n], s.conn.PublishMsg); err == nil {
			n++
		}
	}
	if lost := s.taken(ctx); lost != nil {
		n, err = 0, lost
	}
	var no *sink.Refusal
	if err != nil && !errors.As(err, &no) {
		s.drop()
	}
	if s.subject.Chosen() && errors.Is(err, nats.ErrPermissionViolation) { // of which one it does not say for sure
		return 0, &sink.Refusal{Records: len(records), Reason: err.Error()}
	}
	return n, err
}

// taken says whether core NATS has taken all that was published on this connection: the
// answer to a ping comes when all before it was, and behind what the server says of a
// subject that the user may not publish to, which ends no connection.
func (s *server) taken(ctx context.Context) error {
	if err := s.conn.FlushWithContext(ctx); err != nil {
		return err
	}
	return s.conn.LastError()
}

// codeMessageTooLarge is JetStream's for a message above the stream's max_msg_size.
const codeMessageTooLarge jetstream.ErrorCode = 10054

// subjectToken makes a field one token of a subject: what has a meaning there becomes "=" and
// two hexadecimal digits, as in the subjects of the log. Levels of a topic become tokens. A $ in
// front, with which the subjects of the server itself begin, has a meaning too.
func subjectToken(field string) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(field)+8)
	for i := range len(field) {
		switch c := field[i]; {
		case c == '/' && i > 0 && i < len(field)-1 && field[i-1] != '/':
			out = append(out, '.')
		case c <= ' ' || c >= 0x7f || strings.IndexByte(".*>=/", c) >= 0, c == '$' && i == 0:
			out = append(out, '=', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return "="
	}
	return string(out)
}

// Close implements sink.Destination.
func (s *server) Close(context.Context) error {
	s.drop()
	return nil
}
