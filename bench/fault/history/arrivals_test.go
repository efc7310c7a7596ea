package history_test

import (
	"fmt"
	"slices"
	"testing"

	"edgeloop/bench/fault/history"
)

// at is a record at a destination: the sequence of device a, and its position.
type at struct{ seq, position uint64 }

func line(a at) []byte {
	return fmt.Appendf(nil, `{"device":"a","epoch":1,"seq":%d,"data":{"d":"a","n":%d},"position":"L-%d"}`, a.seq, a.seq, a.position)
}

// Each way in which a destination can miss what was acknowledged is found and named, and
// nothing else is: a repeat that says that it is one breaks no promise.
func TestArrivals_NamesEachViolation(t *testing.T) {
	three := []history.Record{{Device: "a", Sent: 4, Acked: 3}}
	for name, c := range map[string]struct {
		came    []at
		letters []at
		refused uint64
		want    []string
	}{
		"sound":                             {came: []at{{1, 10}, {2, 20}, {3, 30}}},
		"sound, from the last place again":  {came: []at{{1, 10}, {2, 20}, {1, 10}, {2, 20}, {3, 30}}},
		"sound, not yet acknowledged":       {came: []at{{1, 10}, {2, 20}, {3, 30}, {4, 40}}},
		"sound, one refused":                {came: []at{{1, 10}, {3, 30}}, letters: []at{{2, 20}, {2, 20}}, refused: 2},
		"the place was moved too early":     {came: []at{{1, 10}, {3, 30}}, want: []string{"lost 2"}},
		"nothing came":                      {want: []string{"lost 1", "lost 2", "lost 3"}},
		"tried again behind the next":       {came: []at{{1, 10}, {3, 30}, {2, 20}}, want: []string{"reordered 2"}},
		"another position the second time":  {came: []at{{1, 10}, {2, 20}, {2, 21}, {3, 30}}, want: []string{"doubled 2"}},
		"positions go back":                 {came: []at{{1, 10}, {2, 20}, {3, 15}}, want: []string{"reordered 3"}},
		"never sent":                        {came: []at{{1, 10}, {2, 20}, {3, 30}, {5, 50}}, want: []string{"forged 5"}},
		"a failure was taken for a refusal": {came: []at{{1, 10}, {3, 30}}, letters: []at{{2, 20}}, want: []string{"buried 2"}},
		"a dead letter, and it came":        {came: []at{{1, 10}, {2, 20}, {3, 30}}, letters: []at{{2, 20}}, want: []string{"buried 2"}},
		"refused, and it came":              {came: []at{{1, 10}, {2, 20}, {3, 30}}, refused: 2, want: []string{"buried 2"}},
		"refused, and no letter":            {came: []at{{1, 10}, {3, 30}}, refused: 2, want: []string{"lost 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := history.NewArrivals("x", three, nil, func(_ string, seq uint64) bool { return seq == c.refused })
			for _, one := range c.came {
				if err := a.Line(line(one)); err != nil {
					t.Fatal(err)
				}
			}
			for _, one := range c.letters {
				if err := a.Letter(fmt.Sprintf("L-%d", one.position), line(one)); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, v := range a.Finish() {
				got = append(got, fmt.Sprintf("%s %d", v.Promise, v.Seq))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
	if err := history.NewArrivals("x", three, nil, nil).Line([]byte(`{"device":`)); err == nil {
		t.Error("half a record is taken for one")
	}
}

// moment is an event of device a, or a record where it has a sequence, and its position.
type moment struct {
	kind            string
	epoch, position uint64
	seq             uint64
}

func (m moment) line() []byte {
	if m.seq > 0 {
		return fmt.Appendf(nil, `{"device":"a","epoch":%d,"seq":%d,"type":"telemetry","data":{"d":"a","n":%d},"position":"L-%d"}`, m.epoch, m.seq, m.seq, m.position)
	}
	return fmt.Appendf(nil, `{"device":"a","epoch":%d,"type":%q,"data":{"node":"n"},"position":"L-%d"}`, m.epoch, m.kind, m.position)
}

// A destination that is told of connections is told of each, in its place.
func TestArrivals_BeginAndEndOfConnections(t *testing.T) {
	begin, end := moment{"connected", 1, 10, 0}, moment{"disconnected", 1, 40, 0}
	one, two := moment{"", 1, 20, 1}, moment{"", 1, 30, 2}
	again := moment{"connected", 2, 35, 0} // before the old connection has ended
	log := []moment{begin, one, two, again, end}
	for name, c := range map[string]struct {
		came, letters []moment
		refused       bool
		want          []string
	}{
		"sound":                       {came: log},
		"sound, some of it again":     {came: []moment{begin, one, begin, one, two, again, end, again, end}},
		"sound, all is refused":       {letters: log, refused: true},
		"a begin is missing":          {came: []moment{one, two, again, end}, want: []string{"untold 1", "untold 2", "untold 0", "lost 0"}},
		"a begin comes late":          {came: []moment{one, begin, two, again, end}, want: []string{"untold 1", "reordered 0"}},
		"an end is missing":           {came: []moment{begin, one, two, again}, want: []string{"lost 0"}},
		"an end comes early":          {came: []moment{begin, one, end, two, again}, want: []string{"reordered 2", "untold 2", "reordered 0"}},
		"a begin is a dead letter":    {came: []moment{begin, one, two, end}, letters: []moment{again}, want: []string{"buried 0"}},
		"a dead letter, and it came":  {came: log, letters: []moment{end}, want: []string{"buried 0"}},
		"one position for two events": {came: append(log[:5:5], moment{"disconnected", 2, 35, 0}), want: []string{"forged 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			records := []history.Record{{Device: "a", Sent: 2, Acked: 2}}
			visits := history.NewVisits(records)
			for _, m := range log {
				if err := visits.Line(m.line()); err != nil {
					t.Fatal(err)
				}
			}
			if broken := visits.Finish(); broken != nil || visits.Count() != 3 {
				t.Fatalf("the log has %d begins and ends, and broken: %v", visits.Count(), broken)
			}
			a := history.NewArrivals("x", records, visits, func(string, uint64) bool { return c.refused })
			for _, m := range c.came {
				if err := a.Line(m.line()); err != nil {
					t.Fatal(err)
				}
			}
			for _, m := range c.letters {
				if err := a.Letter(fmt.Sprintf("L-%d", m.position), m.line()); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, v := range a.Finish() {
				got = append(got, fmt.Sprintf("%s %d", v.Promise, v.Seq))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// A log that has records outside their connection is found.
func TestVisits_InTheLog(t *testing.T) {
	v := history.NewVisits([]history.Record{{Device: "a", Sent: 9}})
	for _, m := range []moment{
		{"", 1, 10, 1}, {"connected", 1, 20, 0}, {"", 1, 30, 2}, {"disconnected", 1, 40, 0}, {"", 1, 50, 3}, {"disconnected", 2, 60, 0},
	} {
		if err := v.Line(m.line()); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, one := range v.Finish() {
		got = append(got, fmt.Sprintf("%s %d", one.Promise, one.Seq))
	}
	if want := []string{"untold 1", "untold 3", "untold 0"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if err := v.Line([]byte(`{"device":`)); err == nil {
		t.Error("half a line is taken for one")
	}
}
