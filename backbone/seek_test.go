package backbone_test

import (
	"errors"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// A place is put behind a position of this log, and of no other one; the reader that has the
// name loses it.
func TestReader_Seek(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	backbonetest.Append(t, b, records(1, 5))
	first, err := b.OpenReader(t.Context(), "sink", backbone.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	var wrong *backbone.PositionError
	if err := b.SeekReader(t.Context(), "sink", "another", 3); !errors.As(err, &wrong) {
		t.Errorf("a position of another log: %v", err)
	}
	if err := b.SeekReader(t.Context(), "sink", b.Identity(), 6); !errors.As(err, &wrong) {
		t.Errorf("a position beyond the end: %v", err)
	}
	if at := first.Place(); at.Position != 0 {
		t.Errorf("the place is %+v", at)
	}
	if err := b.SeekReader(t.Context(), "sink", b.Identity(), 3); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if err := first.Read(t.Context(), func(e backbone.Entry) error { return enough }); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if err := first.Keep(t.Context(), 1); !errors.Is(err, backbone.ErrReaderTaken) {
		t.Errorf("who had the name keeps its place: %v", err)
	}
	second, err := b.OpenReader(t.Context(), "sink", backbone.Oldest)
	if err != nil || second.Place().Position != 3 || second.Place().Log != b.Identity() {
		t.Errorf("the place is %+v, %v", second.Place(), err)
	}
}
