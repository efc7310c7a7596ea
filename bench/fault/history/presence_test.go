package history_test

import (
	"slices"
	"strings"
	"testing"

	"edgeloop/bench/fault/history"
)

// Presence: listed twice, an old session, one that is gone, one that is not listed.
func TestPresence_NamesEachViolation(t *testing.T) {
	records := []history.Record{{Device: "a", Epoch: 7}, {Device: "b", Epoch: 8}}
	a, b := history.Listed{Device: "a", Online: true, Epoch: 7}, history.Listed{Device: "b", Online: true, Epoch: 8}
	older, off := a, a
	older.Epoch, off.Online = 6, false
	for name, c := range map[string]struct {
		listed []history.Listed
		online bool
		want   string
	}{
		"sound":             {[]history.Listed{a, b}, true, ""},
		"listed twice":      {[]history.Listed{a, a, b}, true, "two sessions: a is listed twice"},
		"the older session": {[]history.Listed{older, b}, true, "two sessions: a is listed with epoch 6, its newest session has 7"},
		"listed as gone":    {[]history.Listed{off, b}, true, "presence: a is listed with online=false"},
		"not listed":        {[]history.Listed{b}, true, "presence: a is connected and not listed"},
		"all gone":          {[]history.Listed{off}, false, ""},
		"still listed":      {[]history.Listed{off, b}, false, "presence: b is listed with online=true"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range history.ComparePresence(c.listed, records, c.online) {
				got = append(got, v.String())
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// A device that moved is where it is online, not where it is remembered; one that
// is online at both nodes is listed twice.
func TestTogether(t *testing.T) {
	east := []history.Listed{{Device: "a", Online: true, Epoch: 2}, {Device: "b", Epoch: 1}, {Device: "c", Online: true, Epoch: 4}, {Device: "d", Epoch: 1}}
	west := []history.Listed{{Device: "a", Epoch: 1}, {Device: "b", Online: true, Epoch: 2}, {Device: "c", Online: true, Epoch: 5}, {Device: "d", Epoch: 2}}
	want := []history.Listed{{Device: "a", Online: true, Epoch: 2}, {Device: "c", Online: true, Epoch: 4}, {Device: "b", Online: true, Epoch: 2}, {Device: "c", Online: true, Epoch: 5}, {Device: "d", Epoch: 1}}
	if got := history.Together(east, west); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
