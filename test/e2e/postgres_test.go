package e2e_test

import (
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// Devices stream while the node and PostgreSQL are killed, by turns and both: the table has
// all that was acknowledged, once, in each device's order.
func TestSinks_OnceInPostgres(t *testing.T) {
	t.Parallel()
	const devices, messages = 10, 300
	db := testkit.NewPostgres(t)
	t.Cleanup(db.Close)
	db.PSQL(t, "CREATE TABLE records (n bigserial, record json, id text UNIQUE)")
	n := prepare(t, "--auth=none", withSinks(t, `
  - name: db
    type: postgres
    url: `+db.URL()+`
    ca_file: `+db.CA+`
    password_env: DB_PASSWORD
    table: records
    columns: {record: record, id: position}
    batch: {records: 100, wait: 20ms}
    retry: {least: 10ms, most: 200ms}
`))
	n.env = []string{"DB_PASSWORD=right"}
	n.boot()
	f := launch(t, n, devices, messages, nil)
	stored := func() string {
		return strings.Join(db.PSQL(t, "SELECT record FROM records ORDER BY n"), "\n")
	}
	testkit.Eventually(t, patience, "the first records to be stored", func() bool { return stored() != "" })
	n.kill()
	n.boot()
	f.waitAcked(patience, 2*devices*messages/5)
	db.Kill(t)
	f.waitAcked(patience, 3*devices*messages/5) // devices do not notice
	n.kill()
	n.boot()
	db.Up(t)
	f.waitAcked(2*patience, devices*messages)
	_, acked := f.acked()
	testkit.Eventually(t, 2*patience, "all that was acknowledged to be stored", func() bool {
		got := newArrivals(t)
		got.add([]byte(stored()))
		if got.twice > 0 {
			t.Fatalf("%d records are there twice", got.twice)
		}
		return got.have(acked)
	})
	n.stop()
}
