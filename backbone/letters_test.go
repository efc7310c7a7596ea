package backbone_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
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

// Whatever a record holds, there is a letter of it: one that could not be kept would hold up its
// sink for ever, and a device decides what is in it.
func TestLetters_KeepAnyRecord(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	marks := fmt.Appendf(nil, `{"data":%q}`, strings.Repeat("<", 2<<20)) // of six bytes each, where JSON must be fit for HTML
	quotes := bytes.Repeat([]byte(`"`), 5<<20)                           // no JSON, and twice as long as a text
	var got []backbone.Letter
	for position, record := range [][]byte{marks, quotes} {
		if err := b.Letters().Bury(t.Context(), backbone.Letter{Sink: "lake", Position: uint64(position), Record: record}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Letters().Each(t.Context(), "lake", 0, func(_ uint64, l backbone.Letter) bool {
		got = append(got, l)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !bytes.Equal(got[0].Record, marks) {
		t.Fatalf("of two records %d are kept", len(got))
	}
	var text string
	if err := json.Unmarshal(got[1].Record, &text); err != nil || !strings.HasPrefix(text, "too large") {
		t.Errorf("in the place of one that does not fit is %.50s, %v", got[1].Record, err)
	}
}

// Letters are removed by whose they are and what was said of them, and no others with them.
func TestLetters_Some(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	for i, of := range []struct{ sink, tenant, device, reason string }{
		{"lake", "acme", "d1", "too large"}, {"lake", "acme", "d2", "no leave"}, {"lake", "other", "d1", "no leave"}, {"pond", "acme", "d1", "no leave"}, {"lake", "acme", "d1", "no leave"},
	} {
		if err := b.Letters().Bury(t.Context(), backbone.Letter{
			Sink: of.sink, Position: uint64(i), Reason: of.reason, Record: fmt.Appendf(nil, `{"tenant":%q,"device":%q}`, of.tenant, of.device), //nolint:gosec // small
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Letters().Bury(t.Context(), backbone.Letter{Sink: "lake", Position: 5, Reason: "broken", Record: []byte(`{"n":`)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		which backbone.LetterFilter
		want  int
		left  string
	}{
		{backbone.LetterFilter{Device: "nobody"}, 0, "[0 1 2 4 5]"},
		{backbone.LetterFilter{Tenant: "acme", Device: "d1", Reason: "leave"}, 1, "[0 1 2 5]"},
		{backbone.LetterFilter{Device: "d1"}, 2, "[1 5]"},
		{backbone.LetterFilter{}, 2, "[]"},
	} {
		n, err := b.Letters().RemoveAll(t.Context(), "lake", c.which)
		left := []uint64{}
		if err := b.Letters().Each(t.Context(), "lake", 0, func(_ uint64, l backbone.Letter) bool {
			left = append(left, l.Position)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if n != c.want || err != nil || fmt.Sprint(left) != c.left {
			t.Errorf("%+v: removed %d, %v; %v are left", c.which, n, err, left)
		}
	}
	if n, err := b.Letters().RemoveAll(t.Context(), "pond", backbone.LetterFilter{}); n != 1 || err != nil {
		t.Errorf("of the other sink: %d, %v", n, err)
	}
}
