package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"edgeloop/internal/redact"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// server is a PostgreSQL and a table of it.
type server struct {
	// Immutable after construction.
	url                          url.URL
	tls                          string
	caFile, certFile, clientsKey string
	password                     keys.Secret
	table                        table
	create                       bool
	pooled                       bool // a transaction has a session of its own

	// Owned by who sends.
	conn    *pgconn.PgConn // nil: none
	left    []chan struct{}
	types   []string // of the columns
	arbiter string   // the columns of the unique key, as SQL
	rows    []byte
}

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	s := &server{
		tls:        m.Word("tls", "verify-full", "disable", "require", "verify-ca", "verify-full"),
		caFile:     m.Text("ca_file", ""),
		certFile:   m.Text("cert_file", ""),
		clientsKey: m.Text("key_file", ""),
		password:   m.Secret("password"),
		table:      readTable(m),
		create:     m.Flag("create", false),
		pooled:     m.Flag("pooled", false),
	}
	given := m.Needed("url", "postgres://user@host:5432/database")
	if given == "" {
		return s
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" {
		m.Fail("url", "%s: give postgres://user@host:port/database, or ?host=/DIRECTORY behind it for a socket there", redact.URL(given))
		return s
	}
	_, secret := u.User.Password()
	for key := range u.Query() {
		switch {
		case strings.Contains(key, "pass"):
			secret = true
		case strings.HasPrefix(key, "ssl"):
			m.Fail("url", "has %s in it: give it as tls, ca_file, cert_file and key_file", key)
		}
	}
	if secret {
		m.Fail("url", "a secret is not written into the configuration: give password_file or password_env")
		return s
	}
	s.url = *u
	if _, err := s.config(); err != nil {
		m.Fail("url", "%s", err)
	}
	return s
}

// config is how to connect. Files are read again.
func (s *server) config() (*pgconn.Config, error) {
	u, q := s.url, s.url.Query()
	for key, value := range map[string]string{"sslmode": s.tls, "sslrootcert": s.caFile, "sslcert": s.certFile, "sslkey": s.clientsKey} {
		if value != "" {
			q.Set(key, value)
		}
	}
	u.RawQuery = q.Encode()
	c, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, err
	}
	if s.password.Given() {
		if c.Password, err = s.password.Read(); err != nil {
			return nil, err
		}
	}
	c.RuntimeParams["client_encoding"] = "UTF8"
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "edgeloop"
	}
	c.ConnectTimeout = 10 * time.Second
	return c, nil
}

// session makes a connection fit. A transaction whose client is gone must end soon: what is
// sent again waits for it. And what is confirmed must outlive a crash.
const session = `SET idle_in_transaction_session_timeout = '60s'; SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// connect has a connection and a table to send to.
func (s *server) connect(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	s.drop()
	c, err := s.config()
	if err != nil {
		return err
	}
	if s.conn, err = pgconn.ConnectConfig(ctx, c); err != nil {
		s.conn = nil
		return err
	}
	if s.pooled {
		return s.look(ctx)
	}
	if err := s.exec(ctx, session); err != nil {
		return err
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	return s.exec(ctx, s.makeStage("DELETE ROWS"))
}

// makeStage is the SQL that makes the stage, and says what becomes of it with each COMMIT.
func (s *server) makeStage(then string) string {
	return "CREATE TEMP TABLE " + stage + " ON COMMIT " + then + " AS SELECT 0 AS edgeloop_n, " + s.table.list() + " FROM " + s.table.sql() + " WITH NO DATA"
}

// begin is the SQL that begins a transaction.
func (s *server) begin() string {
	if !s.pooled {
		return "BEGIN"
	}
	return `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '60s';
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'; ` + s.makeStage("DROP")
}

func (s *server) exec(ctx context.Context, sql string) error { return s.conn.Exec(ctx, sql).Close() }

// drop gives the connection up without a wait: what was on its way in it is stored or not,
// and the unique key tells.
func (s *server) drop() {
	if s.conn == nil {
		return
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.conn.Close(ended) // whether or not the server hears it
	s.left = slices.DeleteFunc(append(s.left, s.conn.CleanupDone()), func(done chan struct{}) bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	s.conn = nil
}

// Send implements sink.Destination.
func (s *server) Send(ctx context.Context, records []sink.Record) (int, error) {
	if err := s.connect(ctx); err != nil {
		s.drop()
		return 0, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	err := s.store(ctx, records)
	if err == nil {
		return len(records), nil
	}
	if why := refusal(err); why != "" && s.exec(ctx, "ROLLBACK") == nil {
		return 0, &sink.Refusal{Records: len(records), Reason: why}
	}
	s.drop()
	return 0, fmt.Errorf("store in %s: %w", s.table.sql(), err)
}

// stage is where a batch is copied to. It is of the session; or, where there is none that lasts,
// of the transaction.
const stage = "pg_temp.edgeloop_stage"

// store has the table take all records or none. The order of the log is that of the rows,
// for a table that numbers them.
func (s *server) store(ctx context.Context, records []sink.Record) error {
	s.rows = s.rows[:0]
	for i := range records {
		s.rows = s.table.appendRow(s.rows, i, &records[i], s.types)
	}
	if err := s.exec(ctx, s.begin()); err != nil {
		return err
	}
	columns := s.table.list()
	if _, err := s.conn.CopyFrom(ctx, bytes.NewReader(s.rows), "COPY "+stage+" (edgeloop_n, "+columns+") FROM STDIN"); err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO "+s.table.sql()+" ("+columns+") SELECT "+columns+" FROM "+stage+
		" ORDER BY edgeloop_n ON CONFLICT ("+s.arbiter+") DO NOTHING; COMMIT")
}

// refusal says why values are refused, "" for what is of the moment. Of which record, the
// server does not say.
func refusal(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) != 5 {
		return ""
	}
	switch class := e.Code[:2]; class {
	case "22", "23", "44", "54": // data, integrity, WITH CHECK OPTION, limits of the program
	case "P0": // a trigger said no
	case "0A", "42", "XX": // of a statement, a table or the server; but of a value, where a type read it
		if !strings.HasPrefix(e.Where, "COPY edgeloop_stage, ") || class == "XX" && e.Code != "XX000" {
			return ""
		}
	default:
		return ""
	}
	where, _, _ := strings.Cut(e.Where, "\n")
	texts := slices.DeleteFunc([]string{e.Message, e.Detail, where}, func(text string) bool { return text == "" })
	return strings.Join(texts, "; ") + " (SQLSTATE " + e.Code + ")"
}

// Close implements sink.Destination.
func (s *server) Close(ctx context.Context) error {
	if s.conn != nil {
		_ = s.conn.Close(ctx) // whether or not the server hears it
		s.left, s.conn = append(s.left, s.conn.CleanupDone()), nil
	}
	for _, done := range s.left {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.left = nil
	return nil
}
