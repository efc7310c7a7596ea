package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
	"edgeloop/sink/postgres"
	"edgeloop/sink/sinktest"
)

// server is of all tests here. It confirms before it is safe, unless it is told otherwise.
var server *testkit.Postgres

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testkit.Main{M: m}, goleak.Cleanup(func(code int) {
		if server != nil {
			server.Close()
		}
		os.Exit(code)
	}))
}

const patience = time.Minute

// numbered is a table that says in which order it got its rows. It refuses the topic
// "poison", or all topics.
const numbered = `DROP TABLE IF EXISTS telemetry; CREATE TABLE telemetry (n bigserial, device text, seq bigint, topic text, data jsonb, position text UNIQUE)`

const (
	refuseOne = `; ALTER TABLE telemetry ADD CONSTRAINT no CHECK (topic <> 'poison')`
	refuseAll = `; ALTER TABLE telemetry ADD CONSTRAINT no CHECK (topic = '')`
)

// fillUp has the table answer as one on a full disk.
const fillUp = `CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON telemetry EXECUTE FUNCTION no_room()`

func open(t *testing.T) (*testkit.Postgres, map[string]any) {
	t.Helper()
	if server == nil {
		server = testkit.NewPostgres(t, "synchronous_commit = off", "wal_writer_delay = 10s")
	}
	server.PSQL(t, `DROP SCHEMA IF EXISTS "Of us" CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	password := filepath.Join(t.TempDir(), "password")
	put(t, password, "right")
	return server, map[string]any{"url": server.URL(), "ca_file": server.CA, "password_file": password}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func toNumbered(values map[string]any) map[string]any {
	values["columns"] = map[string]any{"device": "device", "seq": "seq", "topic": "topic", "data": "data", "position": "position"}
	return values
}

func received(p *testkit.Postgres) func(*testing.T) []string {
	return func(t *testing.T) []string { return p.PSQL(t, "SELECT position FROM telemetry ORDER BY n") }
}

func TestPostgres_IsADestination(t *testing.T) {
	p, values := open(t)
	toNumbered(values)
	sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
		p.PSQL(t, numbered)
		t.Cleanup(func() { put(t, values["password_file"].(string), "right") })
		return &sinktest.Harness{
			New:      func(t *testing.T) sink.Destination { return sinktest.New(t, postgres.New, values) },
			Received: received(p),
			Down:     func(t *testing.T) { p.Kill(t) }, Up: func(t *testing.T) { p.Up(t) },
			Hang: func(t *testing.T) func() {
				testkit.Freeze(t, p.Process())
				return func() { testkit.Thaw(t, p.Process()) }
			},
			Full: func(t *testing.T, full bool) {
				p.PSQL(t, map[bool]string{true: fillUp, false: "DROP TRIGGER no_room ON telemetry"}[full])
			},
			Refuse: func(t *testing.T, one, all bool) {
				sql := numbered
				switch {
				case one:
					sql += refuseOne
				case all:
					sql += refuseAll
				}
				p.PSQL(t, sql)
			},
			Credentials: func(t *testing.T, right bool) {
				put(t, values["password_file"].(string), map[bool]string{true: "right", false: "wrong"}[right])
			},
			Once: true,
		}
	})
}

// The server is killed again and again while records go in: what it confirmed outlives it,
// and each record is there once, in order.
func TestPostgres_KilledInTheMiddle(t *testing.T) {
	p, values := open(t)
	p.PSQL(t, numbered)
	d := sinktest.New(t, postgres.New, toNumbered(values))
	const all, together = 5000, 100
	confirmed := make(chan uint64, all)
	done := make(chan struct{})
	var down sync.Mutex
	go func() {
		defer close(done)
		for n := uint64(1); n <= all; {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			got, _ := d.Send(ctx, sinktest.Records(n, min(all, n+together-1))) // what fails comes again
			cancel()
			if n += uint64(got); got > 0 {
				confirmed <- n - 1
				continue
			}
			down.Lock()   // until it is up again
			down.Unlock() //nolint:staticcheck // there is nothing to do in between
		}
	}()
	for range 3 {
		var last uint64
		for range 5 {
			last = <-confirmed
		}
		down.Lock()
		p.Kill(t)
		p.Up(t)
		down.Unlock()
		if got := received(p)(t); uint64(len(got)) < last {
			t.Errorf("%d were confirmed, and %d outlived the crash", last, len(got))
		}
	}
	<-done
	if got := received(p)(t); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, all)...)) {
		t.Errorf("it has %d rows, from %v to %v", len(got), got[0], got[len(got)-1])
	}
}

// Which failures are of a record and which are of the moment, by what a real server says.
func TestPostgres_WhatFailuresMean(t *testing.T) {
	p, values := open(t)
	p.PSQL(t, numbered+`; CREATE TABLE says (code text); CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ DECLARE c text; BEGIN SELECT code INTO c FROM says; IF c <> '' THEN RAISE EXCEPTION 'as told' USING ERRCODE = c; END IF; RETURN NEW; END $$;
CREATE TRIGGER fail BEFORE INSERT ON telemetry FOR EACH ROW EXECUTE FUNCTION fail()`)
	d := sinktest.New(t, postgres.New, toNumbered(values))
	position := uint64(0)
	for code, refuses := range map[string]bool{
		"22003": true, "22P02": true, "23502": true, "23514": true, "44000": true, "54000": true, "P0001": true,
		"08006": false, "25006": false, "28000": false, "40001": false, "40P01": false, "42501": false, "53100": false, "53200": false, "55P03": false, "57014": false, "57P03": false, "58030": false, "XX000": false,
	} {
		p.PSQL(t, "DELETE FROM says; INSERT INTO says VALUES ('"+code+"')")
		position++
		n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(position, "a")})
		var no *sink.Refusal
		if n != 0 || errors.As(err, &no) != refuses || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %d are confirmed, error %v", code, n, err)
		}
		p.PSQL(t, "DELETE FROM says")
		if n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(position, "a")}); err != nil {
			t.Errorf("after %s %d are confirmed, error %v", code, n, err)
		}
	}
	for _, c := range []struct{ do, undo, say string }{
		{"ALTER SYSTEM SET default_transaction_read_only = on", "ALTER SYSTEM RESET default_transaction_read_only", "25006"},
		{"ALTER TABLE telemetry RENAME TO other", "ALTER TABLE other RENAME TO telemetry", "42P01"},
		{"ALTER TABLE telemetry RENAME topic TO other", "ALTER TABLE telemetry RENAME other TO topic", "42703"},
	} {
		p.PSQL(t, c.do)
		p.PSQL(t, "SELECT pg_reload_conf()")
		position++
		records := []sink.Record{sinktest.Record(position, "a")}
		testkit.Eventually(t, patience, c.say+" to be said", func() bool {
			n, err := sinktest.Send(t, d, records)
			var no *sink.Refusal
			if errors.As(err, &no) {
				t.Fatalf("%s: %v", c.do, err)
			}
			if n == 1 { // the setting was not in force yet
				position++
				records = []sink.Record{sinktest.Record(position, "a")}
			}
			return err != nil && strings.Contains(err.Error(), c.say)
		})
		p.PSQL(t, c.undo)
		p.PSQL(t, "SELECT pg_reload_conf()")
		if refused := sinktest.Deliver(t, d, records); refused != nil {
			t.Errorf("%s: refused %v", c.do, refused)
		}
	}
	if got := received(p)(t); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, position)...)) {
		t.Errorf("it has %v", got)
	}
}

// A table that somebody holds makes an attempt end with its time; what is sent again is
// there once, with and without the first attempt.
func TestPostgres_Locked(t *testing.T) {
	p, values := open(t)
	p.PSQL(t, numbered)
	d := sinktest.New(t, postgres.New, toNumbered(values))
	sinktest.Brings(t, d, sinktest.Records(1, 3))
	p.PSQL(t, "CREATE TABLE done ()")
	holder := make(chan struct{})
	go func() {
		defer close(holder)
		p.PSQL(t, `DO $$ BEGIN LOCK TABLE telemetry; WHILE NOT EXISTS (SELECT 1 FROM done) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$`)
	}()
	testkit.Eventually(t, patience, "the lock", func() bool {
		return p.PSQL(t, "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'telemetry'::regclass")[0] == "1"
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var no *sink.Refusal
	if n, err := d.Send(ctx, sinktest.Records(4, 9)); n != 0 || err == nil || errors.As(err, &no) {
		t.Errorf("%d are confirmed, error %v", n, err)
	}
	var ends sync.WaitGroup
	ends.Go(func() { p.PSQL(t, "SELECT pg_sleep(0.2); INSERT INTO done DEFAULT VALUES") }) // the next attempt waits, too
	if refused := sinktest.Deliver(t, d, sinktest.Records(4, 9)); refused != nil {
		t.Errorf("refused %v", refused)
	}
	<-holder
	ends.Wait()
	if got := received(p)(t); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 9)...)) {
		t.Errorf("it has %v", got)
	}
}

// The table is made when it may be, with each field and values of data in columns of their
// types, whatever text they hold; what a type does not take refuses that record alone.
func TestPostgres_MadeAndMapped(t *testing.T) {
	p, values := open(t)
	p.PSQL(t, `CREATE SCHEMA "Of us"`)
	values["table"], values["create"] = "Of us.all", true
	if _, err := sinktest.Send(t, sinktest.New(t, postgres.New, values), sinktest.Records(1, 2)); err != nil {
		t.Fatal(err)
	}
	if got := p.PSQL(t, `SELECT time, tenant, device, epoch, seq, type, topic, level IS NULL, received = time, data, position FROM "Of us"."all"`); !slices.Equal(got[:1],
		[]string{"2026-11-21 04:20:36+00\tdefault\td1\t9007199254740992\t1\ttelemetry\ttemp\tt\tt\t{\"c\": 1}\ttestlog-1"}) {
		t.Errorf("it has %q", got)
	}
	values["table"] = "mapped"
	values["columns"] = map[string]any{"at": "received", "id": "position", "deep": "data.a.b::double precision", "Text": "data.t::text", "what": "data.j::jsonb", "line": "record::json", "ms": "ts::bigint", "topic": "topic"}
	d := sinktest.New(t, postgres.New, values)
	text := "tab\tline\nreturn\rback\\slash \\N \"quotes\" é"
	records := sinktest.Records(1, 8)
	for i, data := range []string{
		fmt.Sprintf(`{"a":{"b":1.5e3},"t":%q,"j":"text"}`, text), `{"a":{"b":"2"},"t":{"x":[1]},"j":null}`, `{"a":{"b":"warm"}}`,
		`{"j":"\u0000"}`, `[]`, `"text"`, `{"a":[],"t":true}`, `{"a":{"b":-1}}`,
	} {
		records[i].Data, records[i].TS, records[i].Line = []byte(data), int64(i), []byte(`{"data":`+data+`}`)
	}
	records[4].Topic = string([]byte{'a', 0xff})
	if refused := sinktest.Deliver(t, d, records); !slices.Equal(refused, sinktest.IDs(records[2], records[3], records[4])) {
		t.Errorf("refused %v", refused)
	}
	got := p.PSQL(t, `SELECT id, deep, to_json("Text"), what, ms, line->>'position' = id FROM mapped ORDER BY id`)
	want := []string{
		"testlog-1\t1500\t\"tab\\tline\\nreturn\\rback\\\\slash \\\\N \\\"quotes\\\" é\"\t\"text\"\t\tt",
		"testlog-2\t2\t\"{\\\"x\\\":[1]}\"\t\t1\tt", "testlog-6\t\t\t\t5\tt", "testlog-7\t\t\"true\"\t\t6\tt", "testlog-8\t-1\t\t\t7\tt",
	}
	if !slices.Equal(got, want) {
		t.Errorf("it has %q\nwant %q", got, want)
	}
}

// Types have words of their own for values that they do not take, also those that else mean a
// statement that is wrong: a device that sends such values holds up nobody.
func TestPostgres_TypesThatSpeakOfSyntax(t *testing.T) {
	p, values := open(t)
	values["create"] = true
	values["columns"] = map[string]any{"position": "position", "q": "data.q::tsquery", "p": "data.p::jsonpath", "c": "data.c::regclass"}
	d := sinktest.New(t, postgres.New, values)
	records := sinktest.Records(1, 5)
	for i, data := range []string{`{"q":"a & b","p":"$.a","c":"pg_class"}`, `{"q":"a & &"}`, `{"p":"$["}`, `{"c":"none"}`, `{"q":"c"}`} {
		records[i].Data = []byte(data)
	}
	if refused := sinktest.Deliver(t, d, records); !slices.Equal(refused, sinktest.IDs(records[1:4]...)) {
		t.Errorf("refused %v", refused)
	}
	if got := p.PSQL(t, "SELECT position FROM telemetry ORDER BY 1"); !slices.Equal(got, sinktest.IDs(records[0], records[4])) {
		t.Errorf("it has %v", got)
	}
}

// A table that does not fit is said to, with what makes it fit, and nothing is refused.
func TestPostgres_TableThatDoesNotFit(t *testing.T) {
	p, values := open(t)
	values["columns"] = map[string]any{"device": "device", "temp": "data.temp::real", "position": "position"}
	d := sinktest.New(t, postgres.New, values)
	for _, c := range []struct {
		make string
		say  []string
	}{
		{"", []string{"create: true", `CREATE TABLE "telemetry" ("device" text, "temp" real, "position" text, PRIMARY KEY ("position"))`}},
		{"CREATE UNLOGGED TABLE telemetry (device text, temp real, position text UNIQUE)", []string{"SET LOGGED"}},
		{"CREATE TABLE telemetry (device text, position text UNIQUE)", []string{`ADD COLUMN "temp" real`}},
		{"CREATE TABLE telemetry (device text UNIQUE, temp real, position text)", []string{`ADD UNIQUE ("position")`}},
		{"CREATE TABLE telemetry (n serial, device text, temp real, position text, UNIQUE (position, n))", []string{`ADD UNIQUE ("position")`}},
		{"CREATE TABLE telemetry (device text, temp real, position text); CREATE UNIQUE INDEX ON telemetry (position) WHERE temp > 0", []string{`ADD UNIQUE ("position")`}},
	} {
		if c.make != "" {
			p.PSQL(t, "DROP TABLE IF EXISTS telemetry; "+c.make)
		}
		n, err := sinktest.Send(t, d, sinktest.Records(1, 2))
		var no *sink.Refusal
		if n != 0 || err == nil || errors.As(err, &no) {
			t.Errorf("%s: %d are confirmed, error %v", c.make, n, err)
			continue
		}
		for _, word := range c.say {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: it says %v, without %q", c.make, err, word)
			}
		}
	}
	p.PSQL(t, "DROP TABLE telemetry; CREATE TABLE telemetry (device text, temp real, position text, UNIQUE (device, position))")
	if refused := sinktest.Deliver(t, d, sinktest.Records(1, 2)); refused != nil {
		t.Errorf("refused %v", refused)
	}
}

// Another unique key of the table does not make records vanish, and a certificate that
// nobody signed, or no TLS, is not taken for granted.
func TestPostgres_NothingVanishes(t *testing.T) {
	p, values := open(t)
	p.PSQL(t, numbered+"; ALTER TABLE telemetry ADD UNIQUE (device)")
	d := sinktest.New(t, postgres.New, toNumbered(values))
	if refused := sinktest.Deliver(t, d, sinktest.Records(1, 4)); !slices.Equal(refused, sinktest.IDs(sinktest.Record(4, ""))) {
		t.Errorf("refused %v", refused)
	}
	delete(values, "ca_file")
	if n, err := sinktest.Send(t, sinktest.New(t, postgres.New, values), sinktest.Records(5, 5)); n != 0 || err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%d are confirmed, error %v", n, err)
	}
}

// A server whose certificate nobody signed whom the operator names is not spoken to.
func TestPostgres_TrustsWhoSigned(t *testing.T) {
	p, values := open(t)
	p.PSQL(t, numbered)
	sinktest.TrustsWhoSigned(t, postgres.New, toNumbered(values))
	if got := received(p)(t); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 3)...)) {
		t.Errorf("it has %v", got)
	}
}

// What cannot work is refused before anything is sent.
func TestPostgres_RefusedKeys(t *testing.T) {
	url := "postgres://u@127.0.0.1:1/db"
	for _, c := range []struct {
		values map[string]any
		say    []string
	}{
		{map[string]any{}, []string{"sinks.test.url", "missing"}},
		{map[string]any{"url": "http://x"}, []string{"sinks.test.url", "postgres://"}},
		{map[string]any{"url": "postgres://u:s3cret@x/db"}, []string{"sinks.test.url", "password_file"}},
		{map[string]any{"url": url + "?password=s3cret"}, []string{"sinks.test.url", "password_file"}},
		{map[string]any{"url": url + "?sslmode=disable"}, []string{"sinks.test.url", "sslmode", "tls"}},
		{map[string]any{"url": url, "password": "s3cret"}, []string{"sinks.test.password", "password_file"}},
		{map[string]any{"url": url, "tls": "maybe"}, []string{"sinks.test.tls", "verify-full"}},
		{map[string]any{"url": url, "ca_file": "/nowhere"}, []string{"sinks.test.url", "/nowhere"}},
		{map[string]any{"url": url, "table": "a.b.c"}, []string{"sinks.test.table", "SCHEMA.TABLE"}},
		{map[string]any{"url": url, "columns": map[string]any{"a": "b"}}, []string{"sinks.test.columns.a", "data.KEY", "position"}},
		{map[string]any{"url": url, "columns": map[string]any{"a": "data..b", "p": "position"}}, []string{"sinks.test.columns.a", "data.KEY"}},
		{map[string]any{"url": url, "columns": map[string]any{"a": "data.b::text; DROP", "p": "position"}}, []string{"sinks.test.columns.a", "type"}},
		{map[string]any{"url": url, "columns": map[string]any{"a": "device"}}, []string{"sinks.test.columns", "{position: position}"}},
	} {
		m := keys.New("sinks.test", c.values)
		postgres.New(m)
		err := m.Err()
		for _, word := range c.say {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}
