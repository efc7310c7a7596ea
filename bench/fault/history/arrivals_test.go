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
			a := history.NewArrivals("x", three, func(_ string, seq uint64) bool { return seq == c.refused })
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
	if err := history.NewArrivals("x", three, nil).Line([]byte(`{"device":`)); err == nil {
		t.Error("half a record is taken for one")
	}
}
