package backbone_test

import (
	"fmt"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// Refused records are kept over a restart, each once, by sink, until they are removed; how
// many there may be of one sink costs no other one.
func TestLetters(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir()}
	b := backbonetest.Open(t, cfg)
	bury := func(sink string, position uint64) error {
		return b.Letters().Bury(t.Context(), backbone.Letter{
			Sink: sink, Log: b.Identity(), Position: position, Reason: "poison", At: 7, Record: fmt.Appendf(nil, `{"n":%d}`, position),
		})
	}
	for _, position := range []uint64{1, 2, 2, 3} {
		if err := bury("lake", position); err != nil {
			t.Fatal(err)
		}
	}
	if err := bury("pond", 1); err != nil {
		t.Fatal(err)
	}
	if err := b.Letters().Bury(t.Context(), backbone.Letter{Sink: "pond", Position: 9, Record: []byte(`{"n":`)}); err != nil {
		t.Errorf("a record that is no JSON cannot be kept: %v", err)
	}
	backbonetest.Close(t, b)
	b = backbonetest.Open(t, cfg)
	read := func(after uint64) (got []string, numbers []uint64) {
		t.Helper()
		if err := b.Letters().Each(t.Context(), "lake", after, func(number uint64, l backbone.Letter) bool {
			got, numbers = append(got, fmt.Sprintf("%s %d %t %s %s", l.Sink, l.Position, l.Log == b.Identity() && l.At == 7, l.Reason, l.Record)), append(numbers, number)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return got, numbers
	}
	got, numbers := read(0)
	if want := `[lake 1 true poison {"n":1} lake 2 true poison {"n":2} lake 3 true poison {"n":3}]`; fmt.Sprint(got) != want {
		t.Errorf("kept %v", got)
	}
	if got, _ := read(numbers[0]); len(got) != 2 {
		t.Errorf("behind the first there are %v", got)
	}
	for _, c := range []struct {
		sink    string
		removed bool
	}{{"pond", false}, {"lake", true}, {"lake", false}} {
		if removed, err := b.Letters().Remove(t.Context(), c.sink, numbers[1]); removed != c.removed || err != nil {
			t.Errorf("removed of %s: %t, %v", c.sink, removed, err)
		}
	}
	if got, _ := read(0); len(got) != 2 {
		t.Errorf("there are still %v", got)
	}
}
