package sink_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/sink"
	"edgeloop/sink/sinktest"
)

// refusing runs a sink whose destination refuses what poison says, and gives how it stands when
// all is done.
func refusing(t *testing.T, records []sink.Record, poison func(sink.Record) bool) (l *fakeLog, d *fakeDestination, is sink.Status) {
	d = &fakeDestination{}
	d.judge = func(_ context.Context, records []sink.Record) (int, error) {
		if slices.ContainsFunc(records, poison) {
			return 0, &sink.Refusal{Records: len(records), Reason: "poison"}
		}
		return len(records), nil
	}
	synctest.Test(t, func(t *testing.T) {
		l = newLog(records...)
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Hour)
		is = s.Status()[0]
		stop(t, s)
	})
	return l, d, is
}

// A device all of whose records are refused takes a tenth of the dead letters. What more it sends is
// left out and counted, and holds up nobody.
func TestSink_OneDeviceTakesItsShare(t *testing.T) {
	const records, share = 3 * 3000, 1000
	l, d, is := refusing(t, sinktest.Records(1, records), func(r sink.Record) bool { return r.Device == "d0" })
	if n := len(l.buried()); n != share || is.Counts.Unkept != 3000-share || is.Counts.Refused != 3000 {
		t.Errorf("with the dead letters %d, %+v", n, is.Counts)
	}
	if got := d.received(); len(got) != 6000 || !slices.IsSortedFunc(got, byPosition) || l.place("a") != records {
		t.Errorf("of 6000 arrived %d, place %d", len(got), l.place("a"))
	}
}

// A destination that refuses everybody, from the beginning or from some time on, or the only
// device that there is, has no record left out: all are kept while there is room.
func TestSink_LeavesOutNothingOfAll(t *testing.T) {
	for name, poison := range map[string]func(sink.Record) bool{
		"from the beginning": func(sink.Record) bool { return true },
		"from some time on":  func(r sink.Record) bool { return r.Position > 5 },
		"the only device":    func(r sink.Record) bool { return r.Position%2 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			records := sinktest.Records(1, 3*2500)
			if name == "the only device" {
				records = slices.DeleteFunc(records, func(r sink.Record) bool { return r.Device != "d0" })
			}
			want := 0
			for _, r := range records {
				if poison(r) {
					want++
				}
			}
			l, _, is := refusing(t, records, poison)
			if n := len(l.buried()); n != want || is.Counts.Unkept != 0 {
				t.Errorf("of %d with the dead letters %d, %+v", want, n, is.Counts)
			}
		})
	}
}
