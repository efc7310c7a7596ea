package backbone_test

import (
	"errors"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// The log is made anew under a reader: it ends, and does not take the new log's records
// for those behind its place.
func TestReader_EndsWithItsLog(t *testing.T) {
	b := open(t, backbone.Config{NATSURL: startExternal(t).url})
	backbonetest.Append(t, b, records(1, 3))
	r, err := b.OpenReader(t.Context(), "sink", backbone.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Read(t.Context(), func(e backbone.Entry) error {
		if e.Position > 3 {
			return errors.New("it was given a record of the new log")
		}
		if e.Position < 3 {
			return nil
		}
		if err := backbone.DeleteLog(t.Context(), b); err != nil {
			return err
		}
		return b.Append(records(4, 9))
	})
	var other *backbone.PositionError
	if !errors.As(err, &other) || other.Log == other.Is {
		t.Errorf("ended with %v", err)
	}
}

func records(from, to uint64) (rs []backbone.Record) {
	for n := from; n <= to; n++ {
		rs = append(rs, record("d", n, nil))
	}
	return rs
}
