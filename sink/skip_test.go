package sink_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/sink"
	"edgeloop/sink/sinktest"
)

// Skip is asked for while the record is on its way. What becomes of the attempt decides, whether
// it is known while Skip still waits for its turn or when it has asked the sink to end: one that is
// confirmed, or with the dead letters already, is not skipped, and no other one in its place; one that
// failed is. No record is sent twice, lost or buried twice.
func TestSet_SkipWhileOnItsWay(t *testing.T) {
	for _, c := range []struct {
		outcome string
		failure error // of each attempt with the record
		skip    error
		buried  []string
		arrived []string
	}{
		{"confirmed", nil, sink.ErrNotNext, nil, sinktest.IDs(sinktest.Records(1, 9)...)},
		{"failed", errDown, nil, sinktest.IDs(sinktest.Records(1, 1)...), sinktest.IDs(sinktest.Records(2, 9)...)},
		{"refused", &sink.Refusal{Records: 1, Reason: "poison"}, sink.ErrNotNext, sinktest.IDs(sinktest.Records(1, 1)...), sinktest.IDs(sinktest.Records(2, 9)...)},
	} {
		for _, order := range []string{"before it ends", "before its turn"} {
			t.Run(c.outcome+" "+order, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, away, turn := newLog(sinktest.Records(1, 9)...), make(chan struct{}), make(chan struct{})
					a, b := &fakeDestination{}, &fakeDestination{}
					a.judge = func(_ context.Context, records []sink.Record) (int, error) {
						if records[0].Position == 1 {
							<-away
							if c.failure != nil {
								return 0, c.failure
							}
						}
						return len(records), nil
					}
					node := l.node()
					seek := node.Seek
					node.Seek = func(ctx context.Context, name, log string, position uint64) error {
						if name == sink.ReaderName("b") {
							<-turn
						}
						return seek(ctx, name, log, position)
					}
					s := sink.NewSet(node)
					if err := s.Apply(t.Context(), specs(t, nil, []string{"a", "b"}, a, b)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second) // all records are on their way
					go func() { _ = s.Rewind(t.Context(), "b", "", 9) }()
					synctest.Wait() // it has the turn
					skipped := make(chan error, 1)
					go func() { skipped <- s.Skip(t.Context(), "a", sinktest.Log+"-1") }()
					synctest.Wait()
					first, second := turn, away
					if order == "before its turn" {
						first, second = away, turn
					}
					close(first)
					synctest.Wait()
					close(second)
					if err := <-skipped; !errors.Is(err, c.skip) {
						t.Errorf("skipped: %v, want %v", err, c.skip)
					}
					time.Sleep(time.Hour)
					if got := a.received(); !slices.Equal(got, c.arrived) || !slices.Equal(l.buried(), c.buried) || l.place("a") != 9 {
						t.Errorf("arrived %v, with the dead letters %v, place %d", got, l.buried(), l.place("a"))
					}
					stop(t, s)
				})
			})
		}
	}
}
