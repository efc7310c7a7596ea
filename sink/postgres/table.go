package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// table is where records go, and which of their fields go to which column.
type table struct {
	names   []string // of the schema, if one is given, and of the table
	columns []column
}

// column takes one field.
type column struct {
	name  string
	field sink.Field
	typ   string // for DDL
}

// typeOf is the type of a field in a table that is made, where they are not text.
var typeOf = map[string]string{
	"time": "timestamptz", "ts": "timestamptz", "received": "timestamptz", "epoch": "bigint", "seq": "bigint", "data": "jsonb", "properties": "jsonb", "record": "jsonb",
}

// usual are the columns where none are given, each of the field's name.
var usual = []string{"time", "tenant", "device", "epoch", "seq", "type", "topic", "level", "received", "data", "position"}

var (
	typeForm  = regexp.MustCompile(`^[a-z][a-z0-9_ ]*(\([0-9, ]+\))?(\[\])?$`)
	mostBytes = 63 // of a name; PostgreSQL cuts longer ones off
)

func readTable(m *keys.Map) (t table) {
	t.names = strings.Split(m.Text("table", "telemetry"), ".")
	if len(t.names) > 2 || slices.ContainsFunc(t.names, badName) {
		m.Fail("table", "%q: give TABLE or SCHEMA.TABLE, names of 1 to %d bytes", strings.Join(t.names, "."), mostBytes)
	}
	part := m.Part("columns")
	given := part.Rest()
	if len(given) == 0 {
		for _, name := range usual {
			given[name] = name
		}
	}
	hasPosition := false
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if badName(name) {
			part.Fail(name, "is no name of a column: give 1 to %d bytes", mostBytes)
			continue
		}
		c, wrong := readColumn(name, given[name])
		if wrong != "" {
			part.Fail(name, "%s", wrong)
			continue
		}
		hasPosition = hasPosition || c.field.Name == "position"
		t.columns = append(t.columns, c)
	}
	if !hasPosition {
		m.Fail("columns", "none has the position, by which what comes twice is stored once: give one, as in {position: position}")
	}
	slices.SortFunc(t.columns, func(a, b column) int {
		return cmp.Or(cmp.Compare(a.field.Rank(), b.field.Rank()), cmp.Compare(len(a.field.Path), len(b.field.Path)), cmp.Compare(a.name, b.name))
	})
	return t
}

// badName says whether text cannot be the name of a table, a schema or a column.
func badName(text string) bool {
	return text == "" || len(text) > mostBytes || strings.ContainsRune(text, 0)
}

// readColumn reads FIELD, FIELD::TYPE or data.PATH::TYPE.
func readColumn(name, text string) (c column, wrong string) {
	text, typ, typed := strings.Cut(text, "::")
	c = column{name: name, typ: strings.TrimSpace(typ)}
	field, err := sink.ParseField(text)
	switch c.field = field; {
	case err != nil:
		return c, err.Error()
	case typed && !typeForm.MatchString(c.typ):
		return c, fmt.Sprintf("%q is no type: give one as in data.temp::double precision", c.typ)
	case !typed:
		c.typ = cmp.Or(typeOf[field.Name], "text")
		if path := strings.Join(field.Path, "."); field.Name == "properties" && path != "" && path != "user" {
			c.typ = "text" // one of them alone
		}
	}
	return c, ""
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string, between string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(quote(name))
	}
	return b.String()
}

// sql is the name of the table, as SQL.
func (t *table) sql() string { return quoteAll(t.names, ".") }

// list is the columns, as SQL.
func (t *table) list() string {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	return quoteAll(names, ", ")
}

// of gives the first column that takes a field, "" for none.
func (t *table) of(field string) string {
	for _, c := range t.columns {
		if c.field.Name == field {
			return c.name
		}
	}
	return ""
}

// ddl makes a table for the mapping. The time is in the key, so that TimescaleDB can cut the
// table by it, and partitions can.
func (t *table) ddl() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + t.sql() + " (")
	key := []string{t.of("position")}
	at := cmp.Or(t.of("time"), t.of("received"))
	if at != "" {
		key = append(key, at)
	}
	for _, c := range t.columns {
		b.WriteString(quote(c.name) + " " + c.typ + ", ")
	}
	b.WriteString("PRIMARY KEY (" + quoteAll(key, ", ") + "))")
	if device := t.of("device"); device != "" && at != "" {
		b.WriteString("; CREATE INDEX ON " + t.sql() + " (" + quoteAll([]string{device, at}, ", ") + ")")
	}
	return b.String()
}

// look finds the table, makes it where it may, and checks that it fits.
func (s *server) look(ctx context.Context) error {
	types, kept, err := s.catalogue(ctx)
	if err == nil && len(types) == 0 && s.create {
		if err := s.exec(ctx, s.table.ddl()); err != nil {
			return fmt.Errorf("%s: %w", s.table.ddl(), err)
		}
		types, kept, err = s.catalogue(ctx)
	}
	switch {
	case err != nil:
		return err
	case len(types) == 0:
		return fmt.Errorf("there is no table %s: give create: true, or make it by %s", s.table.sql(), s.table.ddl())
	case kept != "p":
		return fmt.Errorf("a crash would empty the table: ALTER TABLE %s SET LOGGED", s.table.sql())
	}
	s.types = s.types[:0]
	for _, c := range s.table.columns {
		typ, has := types[c.name]
		if !has {
			return fmt.Errorf("the table has no column %s: ALTER TABLE %s ADD COLUMN %s %s, or change columns", c.name, s.table.sql(), quote(c.name), c.typ)
		}
		s.types = append(s.types, typ)
	}
	return s.findKey(ctx)
}

// rowsOf runs a query about the table, whose name is $1.
func (s *server) rowsOf(ctx context.Context, query string) ([][][]byte, error) {
	r := s.conn.ExecParams(ctx, query, [][]byte{[]byte(s.table.sql())}, nil, nil, nil).Read()
	return r.Rows, r.Err
}

// catalogue gives the types of the columns that there are, and whether a crash keeps them.
func (s *server) catalogue(ctx context.Context) (types map[string]string, kept string, err error) {
	rows, err := s.rowsOf(ctx, `SELECT a.attname, t.typname, c.relpersistence FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
WHERE c.oid = to_regclass($1)`)
	types = make(map[string]string, len(rows))
	for _, row := range rows {
		types[string(row[0])], kept = string(row[1]), string(row[2])
	}
	return types, kept, err
}

// findKey finds the unique key by which a record is there once: with its position, and
// nothing that is not the record's.
func (s *server) findKey(ctx context.Context) error {
	rows, err := s.rowsOf(ctx, `SELECT i.indexrelid, a.attname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY 1`)
	if err != nil {
		return err
	}
	indexes := map[string][]string{}
	for _, row := range rows {
		indexes[string(row[0])] = append(indexes[string(row[0])], string(row[1]))
	}
	s.arbiter = ""
	for _, id := range slices.Sorted(maps.Keys(indexes)) {
		names, has := indexes[id], false
		foreign := slices.ContainsFunc(names, func(name string) bool {
			at := slices.IndexFunc(s.table.columns, func(c column) bool { return c.name == name })
			has = has || at >= 0 && s.table.columns[at].field.Name == "position"
			return at < 0
		})
		if has && !foreign {
			s.arbiter = quoteAll(names, ", ")
			return nil
		}
	}
	return fmt.Errorf("the table has no unique key with %[1]s in it, and nothing but columns of the mapping: ALTER TABLE %[2]s ADD UNIQUE (%[1]s)",
		quote(s.table.of("position")), s.table.sql())
}
