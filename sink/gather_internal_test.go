package sink

import (
	"testing"

	"edgeloop/backbone/reader"
	"edgeloop/internal/invariants"
)

// A batch that is gathered behind others costs no memory of its own: its records, their lines and
// their texts lie where those of the ones before it were.
func TestAllocs_Gathering(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the invariants allocate")
	}
	const records = 500
	g := newGathering("log", &Spec{Batch: Batch{Records: records, Bytes: 1 << 20}})
	position := uint64(0)
	batch := func() {
		for range records {
			position++
			if !g.tryPut(reader.Entry{Position: position, Line: []byte(lines[0])}) {
				t.Fatalf("there is no room for record %d", position)
			}
		}
		b, _, err := g.take(t.Context(), nil, nil)
		if err != nil || len(b.records) != records || b.records[records-1].Device != "d1" {
			t.Fatalf("%d records: %v", len(b.records), err)
		}
		g.giveBack(&b)
	}
	batch()
	batch() // there are two, by turns
	if n := testing.AllocsPerRun(10, batch); n > 20 {
		t.Errorf("a batch of %d records takes %.0f allocations", records, n)
	}
}

// What a large batch needed is not held on to when few records come.
func TestGathering_GivesMemoryUp(t *testing.T) {
	g := newGathering("log", &Spec{Batch: Batch{Records: 500, Bytes: 1 << 20}})
	large := batch{records: make([]Record, 500), buf: make([]byte, 1<<20)}
	g.giveBack(&large)
	if cap(g.spare.records) != 500 || cap(g.spare.buf) != 1<<20 {
		t.Errorf("of a large one %d records and %d bytes are left", cap(g.spare.records), cap(g.spare.buf))
	}
	g.spare = batch{}
	small := batch{records: large.records[:3], buf: large.buf[:300]}
	g.giveBack(&small)
	if g.spare.records != nil || g.spare.buf != nil {
		t.Errorf("%d records and %d bytes are held for few", cap(g.spare.records), cap(g.spare.buf))
	}
	g.spare = large
	g.giveBack(&batch{}) // of a look that found nothing
	if g.spare.records == nil || g.spare.buf == nil {
		t.Error("a batch of nothing throws away what there is")
	}
}
