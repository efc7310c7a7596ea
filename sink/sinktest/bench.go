package sinktest

import (
	"fmt"
	"testing"

	"edgeloop/sink"
)

// Bench measures batches of 500 records of so many devices in turn, each batch confirmed before
// the next one is sent, as the engine does.
func Bench(b *testing.B, d sink.Destination, devices uint64) {
	const batch = 500
	position, records := uint64(0), make([]sink.Record, batch)
	for b.Loop() {
		for i := range records {
			position++
			records[i] = Record(position, "temp")
			records[i].Device = fmt.Sprintf("d%d", position%devices)
		}
		if n, err := d.Send(b.Context(), records); n != batch || err != nil {
			b.Fatalf("%d records are confirmed, %v", n, err)
		}
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "records/s")
}
