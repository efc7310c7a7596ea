package retained_test

import (
	"fmt"
	"testing"

	"edgeloop/retained"
)

// What a filter that matches nothing costs whoever looks, in a table as large as one tenant may have it.
func BenchmarkTable_Match(b *testing.B) {
	for _, most := range []int{10_000, 1 << 20} {
		b.Run(fmt.Sprint("most=", most), func(b *testing.B) {
			t := retained.New(retained.Config{Log: &memLog{}, Store: newStore(), Most: most})
			for i := range most / 2 {
				topic := fmt.Sprint("plant/", i, "/state")
				t.Reserve("a", topic, 100)
				t.Retain("a", topic, true, 1, nil)
			}
			b.ReportAllocs()
			for b.Loop() {
				t.Match("a", "plant/+/none", "", 1024)
			}
		})
	}
}

// What the committer does for a message, under which a record goes to the log.
func BenchmarkTable_Retain(b *testing.B) {
	t := retained.New(retained.Config{Log: &memLog{}, Store: newStore(), Most: 10_000})
	l := []byte(line("a", "plant/1/state", `{"c":21.5,"state":"running"}`))
	b.ReportAllocs()
	for b.Loop() {
		t.Reserve("a", "plant/1/state", len(l))
		t.Retain("a", "plant/1/state", true, 1, l)
	}
}
