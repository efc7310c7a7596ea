package crew

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"edgeloop/bench/fault/history"
)

// TestPublishers_Line: what must not be in a log, and what must, is said of either QoS.
func TestPublishers_Line(t *testing.T) {
	const one, two = "x-q1-0000", "x-q2-0001"
	for name, story := range map[string]struct {
		device string
		logged []uint64
		want   []history.Promise
	}{
		"all":                     {two, []uint64{1, 2, 3}, nil},
		"more than is answered":   {one, []uint64{1, 2, 3, 4}, nil},
		"again, QoS 1":            {one, []uint64{1, 2, 1, 2, 3}, nil},
		"again, QoS 2":            {two, []uint64{1, 2, 2, 3}, []history.Promise{history.Doubled}},
		"the last is missing":     {one, []uint64{1, 2}, []history.Promise{history.Lost}},
		"one between is missing":  {one, []uint64{1, 3}, []history.Promise{history.Hole}},
		"one that was never sent": {two, []uint64{1, 2, 3, 4, 5}, []history.Promise{history.Forged}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // nobody connects
			j := history.NewJournal()
			ps := StartPublishers(ctx, "", 2, time.Second, 1, j)
			defer ps.Stop()
			for _, p := range ps.all {
				if p.name == story.device {
					p.sent.Store(4)
					p.acked.Store(3)
				}
			}
			for _, n := range story.logged {
				if err := ps.Line(fmt.Appendf(nil, `{"device":%q,"data":{"d":%q,"n":%d}}`, story.device, story.device, n)); err != nil {
					t.Fatal(err)
				}
			}
			ps.Finish()
			var got []history.Promise
			broken, _ := j.Violations()
			for _, v := range broken {
				got = append(got, v.Promise)
			}
			if !slices.Equal(got, story.want) {
				t.Errorf("broken are %v, want %v", got, story.want)
			}
		})
	}
}

// TestPublishers_Command: one that comes again has to say so, and counts when it is confirmed.
func TestPublishers_Command(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := history.NewJournal()
	ps := StartPublishers(ctx, "", 1, time.Second, 1, j)
	defer ps.Stop()
	p := ps.all[0]
	ps.came(p, "k", false, false)
	if ps.Confirmed(p.name, "k") {
		t.Error("it is confirmed before the device has done so")
	}
	ps.came(p, "k", true, true)
	if broken, _ := j.Violations(); len(broken) != 0 || !ps.Confirmed(p.name, "k") || ps.Doubles() != 1 {
		t.Errorf("%v, %d came again", broken, ps.Doubles())
	}
	ps.came(p, "k", false, true)
	if broken, _ := j.Violations(); len(broken) != 1 {
		t.Error("one came again as if it were the first time, and nothing is said")
	}
}
