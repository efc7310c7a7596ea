package uplog

import (
	"math/rand/v2"
	"testing"
)

// TestTenantBytes_Model: what tenants hold of a log of which the front goes, compared with a
// list of all records. It is off by less than the stretch in which the log begins, and memory
// does not grow with the log.
func TestTenantBytes_Model(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	type record struct {
		tenant int
		bytes  int64
	}
	tenants := []string{"acme", "evil=2E1", "z"}
	var log []record // by position, less 1
	b, first := newTenantBytes(), uint64(1)
	for range 400 {
		items := make([]item, random.IntN(400))
		for i := range items {
			tenant := random.IntN(len(tenants))
			items[i] = item{subject: "edgeloop.up." + tenants[tenant] + ".d", line: make([]byte, random.IntN(4000))}
			log = append(log, record{tenant, int64(len(items[i].subject) + len(items[i].line) + messageOverhead)})
		}
		b.noteAll(items, uint64(len(log)-len(items)))
		if random.IntN(4) == 0 {
			first += random.Uint64N(uint64(len(log)) - first + 2)
			b.trim(first)
		}
		want := make([]int64, len(tenants))
		for _, r := range log[first-1:] {
			want[r.tenant] += r.bytes
		}
		most := max(b.live.size, firstStretch) / 8 // of a stretch a third is each tenant's, spread evenly but for chance
		for i, tenant := range []string{"acme", "evil.1", "z"} {
			if got := b.of(tenant); got < want[i]-most || got > want[i]+most {
				t.Fatalf("%s holds %d, want %d give or take %d", tenant, got, want[i], most)
			}
		}
		if n := len(b.live.stretches); n > mostStretches {
			t.Fatalf("%d stretches", n)
		}
	}
	b.trim(uint64(len(log)) + 1)
	if len(b.all) != 0 || b.of("z") != 0 {
		t.Errorf("of an empty log %d tenants hold something", len(b.all))
	}
}

// TestTenantBytes_Shared: of a log that others write too a tenant holds as many of its own
// records as the log has, whatever those of other tenants take, and what came since.
func TestTenantBytes_Shared(t *testing.T) {
	t.Parallel()
	b := newTenantBytes()
	put := func(tenant string, n, size int) {
		items := make([]item, n)
		for i := range items {
			items[i] = item{subject: "edgeloop.up." + tenant + ".d", line: make([]byte, size)}
		}
		b.noteShared(items)
	}
	const one = int64(len("edgeloop.up.acme.d") + 100 + messageOverhead)
	put("acme", 10, 100)
	put("evil", 10, 100_000)
	if got := b.of("acme"); got != 10*one {
		t.Errorf("acme holds %d, want %d", got, 10*one)
	}
	b.ask(func(token string) (uint64, error) {
		if token != "acme" { // nobody has asked for the other
			t.Errorf("the log is asked for %s", token)
		}
		put("acme", 3, 100) // meanwhile
		return 1000, nil
	})
	put("acme", 2, 100)
	if got := b.of("acme"); got != 1005*one {
		t.Errorf("acme holds %d, want %d", got, 1005*one)
	}
	b.ask(func(string) (uint64, error) { return 5, nil }) // retention
	if got := b.of("acme"); got != 5*one {
		t.Errorf("acme holds %d, want %d", got, 5*one)
	}
}
