package postgres_test

import (
	"slices"
	"testing"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/postgres"
	"edgeloop/sink/sinktest"
)

// Through PgBouncer with pool_mode = transaction, pooled: true does what a session does: what comes
// twice is there once, one that is refused takes no other with it, and nothing is left in the
// sessions that others get next.
func TestPostgres_PgBouncer(t *testing.T) {
	p, values := open(t)
	toNumbered(values)
	p.PSQL(t, numbered+refuseOne)
	addr := p.Pooler(t)
	values["url"], values["tls"], values["pooled"] = "postgres://edge@"+addr+"/postgres", "disable", true
	delete(values, "ca_file")
	delete(values, "password_file")
	var all []sink.Destination
	for range 4 { // more than the pool has sessions
		all = append(all, sinktest.New(t, postgres.New, values))
	}
	records := sinktest.Records(1, 60)
	records[30] = sinktest.Record(31, "poison")
	want := slices.Concat(sinktest.IDs(records[:30]...), sinktest.IDs(records[31:]...))
	for round := range 3 {
		for _, d := range all {
			if refused := sinktest.Deliver(t, d, slices.Clone(records)); !slices.Equal(refused, sinktest.IDs(records[30])) {
				t.Errorf("round %d: refused %v", round, refused)
			}
		}
	}
	if got := received(p)(t); !slices.Equal(got, want) {
		t.Errorf("the table has %v", got)
	}
	// Sessions of tests before this one may be ending yet; those of the pooler stay.
	testkit.Eventually(t, patience, "nothing to be left in the sessions", func() bool {
		return len(p.PSQL(t, "SELECT relname FROM pg_class WHERE relpersistence = 't'")) == 0
	})
}
