package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/backbone/store"
	"edgeloop/sink"
	"edgeloop/sink/sinktest"
)

// A paused sink sends nothing, also after a new configuration, and goes on where it was.
func TestSet_PauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 5)...), &fakeDestination{}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Minute)
		if err := s.Pause(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		l.grow(sinktest.Records(6, 9)...)
		time.Sleep(time.Hour)
		if err := s.Apply(t.Context(), specs(t, map[string]any{"timeout": "9s"}, []string{"a"}, d)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := d.received(); len(got) != 5 || state(s) != sink.Paused || s.Status()[0].Place != 5 && s.Status()[0].Place != 0 {
			t.Errorf("arrived %v, %+v", got, s.Status()[0])
		}
		if err := s.SendLetters("a", store.LetterFilter{}); !errors.Is(err, sink.ErrPaused) {
			t.Errorf("dead letters of a paused sink: %v", err)
		}
		if err := s.Resume(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := d.received(); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 9)...)) || state(s) != sink.Running {
			t.Errorf("arrived %v, %v", got, state(s))
		}
		for _, err := range []error{
			s.Pause(t.Context(), "b"), s.Resume(t.Context(), "b"), s.Rewind(t.Context(), "b", "", 1), s.Skip(t.Context(), "b", "x"), s.SendLetters("b", store.LetterFilter{}),
		} {
			if !errors.Is(err, sink.ErrUnknown) {
				t.Errorf("of a sink that there is not: %v", err)
			}
		}
		stop(t, s)
	})
}

// How old the first record is that is not confirmed is known of a sink that was paused while its
// destination was away, too, until it is confirmed, retention takes it, or another one is the first.
func TestSet_OldestOfOneThatIsPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := sinktest.Records(1, 5)
		for i := range records { // each was received a millisecond after the one before
			was := fmt.Sprint(records[i].Received)
			records[i].Received += int64(i)
			records[i].Line = bytes.Replace(records[i].Line, []byte(was), fmt.Append(nil, records[i].Received), 1)
		}
		l, d := newLog(records...), &fakeDestination{}
		var up atomic.Uint64 // the last record that it takes
		up.Store(2)
		tried := make(chan struct{}, 1)
		d.judge = func(_ context.Context, batch []sink.Record) (int, error) {
			select {
			case tried <- struct{}{}:
			default:
			}
			if i := slices.IndexFunc(batch, func(r sink.Record) bool { return r.Position > up.Load() }); i >= 0 {
				return i, errDown
			}
			return len(batch), nil
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		want := func(when string, position int) { // 0: of none
			t.Helper()
			var oldest time.Time
			if position > 0 {
				oldest = time.UnixMilli(records[position-1].Received)
			}
			if got := s.Status()[0]; !got.Oldest.Equal(oldest) {
				t.Errorf("%s the first record is of %s, want that of %d, %+v", when, got.Oldest, position, got)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		<-tried
		synctest.Wait() // for the second attempt
		want("while it waits behind two that are confirmed", 3)
		if next := s.Status()[0].Next; next != records[2].ID() {
			t.Errorf("the next one is %s", next)
		}
		must(s.Pause(t.Context(), "a"))
		want("when it is paused", 3)
		must(s.Resume(t.Context(), "a"))
		time.Sleep(time.Hour)
		want("when it waits again", 3)
		must(s.Pause(t.Context(), "a"))
		must(s.Rewind(t.Context(), "a", "", 3))
		want("when it was rewound", 0)
		must(s.Resume(t.Context(), "a"))
		time.Sleep(time.Hour)
		want("when it waits behind there", 4)
		must(s.Pause(t.Context(), "a"))
		l.forget()
		must(s.Resume(t.Context(), "a"))
		time.Sleep(time.Hour)
		want("when retention has taken all", 0)
		l.grow(sinktest.Record(6, "a"))
		up.Store(6)
		time.Sleep(time.Hour)
		want("when all is confirmed", 0)
		stop(t, s)
	})
}

// A sink that begins again while the node stops does not outlive the stop.
func TestSet_ChangedWhileItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 5)...), &fakeDestination{}
		node, hold := l.node(), make(chan struct{})
		seek := node.Seek
		node.Seek = func(ctx context.Context, name, log string, position uint64) error {
			<-hold
			return seek(ctx, name, log, position)
		}
		s := sink.NewSet(node)
		if err := s.Apply(t.Context(), specs(t, nil, []string{"a"}, d)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		go func() { _ = s.Rewind(context.Background(), "a", "", 0) }() // it may be told that the node stops
		synctest.Wait()
		stop(t, s)
		close(hold)
		time.Sleep(time.Minute)
		if got := d.received(); len(got) != 5 || state(s) != sink.Ended {
			t.Errorf("after the stop arrived %v, %v", got, state(s))
		}
		stop(t, s)
	})
}

// Rewound, a sink sends what lies behind the position, again.
func TestSet_Rewind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 9)...), &fakeDestination{}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Minute)
		if err := s.Rewind(t.Context(), "a", sinktest.Log, 6); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, want := d.received(), append(sinktest.IDs(sinktest.Records(1, 9)...), sinktest.IDs(sinktest.Records(7, 9)...)...); !slices.Equal(got, want) {
			t.Errorf("arrived %v", got)
		}
		stop(t, s)
	})
}

// The record that holds a sink up can be skipped, it and no other one: whether it was
// refused, or its destination fails of it again and again.
func TestSet_Skip(t *testing.T) {
	for name, failure := range map[string]error{"refused": &sink.Refusal{Records: 1, Reason: "poison"}, "failing": errDown} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, d := newLog(sinktest.Records(1, 9)...), &fakeDestination{}
				d.judge = func(_ context.Context, records []sink.Record) (int, error) {
					if i := slices.IndexFunc(records, func(r sink.Record) bool { return r.Position == 4 }); i >= 0 {
						return i, failure
					}
					return len(records), nil
				}
				s := run(t, l, specs(t, map[string]any{"on_refusal": "stop"}, []string{"a"}, d))
				time.Sleep(time.Hour)
				if next := s.Status()[0].Next; next != sinktest.Log+"-4" {
					t.Fatalf("the next one is %s", next)
				}
				if err := s.Skip(t.Context(), "a", sinktest.Log+"-5"); !errors.Is(err, sink.ErrNotNext) || l.buried() != nil {
					t.Errorf("another one was skipped: %v, %v", err, l.buried())
				}
				if err := s.Skip(t.Context(), "a", sinktest.Log+"-4"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				want := sinktest.IDs(append(sinktest.Records(1, 3), sinktest.Records(5, 9)...)...)
				if got := d.received(); !slices.Equal(got, want) || !slices.Equal(l.buried(), sinktest.IDs(sinktest.Records(4, 4)...)) {
					t.Errorf("arrived %v, with the dead letters %v", got, l.buried())
				}
				if err := s.Skip(t.Context(), "a", sinktest.Log+"-4"); !errors.Is(err, sink.ErrNotNext) {
					t.Errorf("skipped twice: %v", err)
				}
				stop(t, s)
			})
		})
	}
}

// Dead letters that are sent again leave when they are confirmed, and stay when not; what is
// new goes on.
func TestSet_SendLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 9)...), &fakeDestination{}
		var mended atomic.Bool
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			poison := func(r sink.Record) bool { return r.Position == 3 || r.Position == 5 && !mended.Load() }
			if i := slices.IndexFunc(records, poison); i >= 0 {
				return i, &sink.Refusal{Records: 1, Reason: "poison"}
			}
			return len(records), nil
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Hour)
		mended.Store(true)
		if err := s.SendLetters("a", store.LetterFilter{}); err != nil {
			t.Fatal(err)
		}
		l.grow(sinktest.Records(10, 11)...)
		time.Sleep(time.Hour)
		got := d.received()
		slices.SortFunc(got, byPosition)
		want := sinktest.IDs(slices.Concat(sinktest.Records(1, 2), sinktest.Records(4, 11))...)
		if !slices.Equal(got, want) || !slices.Equal(l.buried(), sinktest.IDs(sinktest.Records(3, 3)...)) || l.place("a") != 11 {
			t.Errorf("arrived %v, with the dead letters %v, place %d", got, l.buried(), l.place("a"))
		}
		stop(t, s)
	})
}

// Of the dead letters those are sent again that were asked for, by device or by what was said.
func TestSet_SendSomeLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 9)...), &fakeDestination{}
		var mended atomic.Bool
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			if i := slices.IndexFunc(records, func(r sink.Record) bool { return r.Position%4 == 0 || r.Position == 6 }); i >= 0 && !mended.Load() {
				return i, &sink.Refusal{Records: 1, Reason: "poison of " + records[i].Device}
			}
			return len(records), nil
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Hour)
		mended.Store(true)
		for _, c := range []struct {
			which store.LetterFilter
			left  []string
		}{
			{store.LetterFilter{Device: "nobody"}, []string{"testlog-4", "testlog-6", "testlog-8"}},
			{store.LetterFilter{Tenant: "default", Device: "d0"}, []string{"testlog-4", "testlog-8"}},
			{store.LetterFilter{Reason: "poison of d2"}, []string{"testlog-4"}},
			{store.LetterFilter{}, nil},
		} {
			if err := s.SendLetters("a", c.which); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := l.buried(); !slices.Equal(got, c.left) {
				t.Errorf("after %+v there are %v", c.which, got)
			}
		}
		stop(t, s)
	})
}

// When no more dead letters may be kept the sink waits, and those that there are can be sent
// again all the same: that makes room.
func TestSet_SendLettersWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := []sink.Record{sinktest.Record(1, "poison"), sinktest.Record(2, "temp")}
		l, d := newLog(records...), &fakeDestination{}
		var mended atomic.Bool
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			for i := range records {
				if !mended.Load() && records[i].Topic == "poison" {
					return i, &sink.Refusal{Records: 1, Reason: "poison"}
				}
			}
			return len(records), nil
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Minute)
		l.mu.Lock()
		l.buryErr = store.ErrLettersFull
		l.mu.Unlock()
		l.grow(sinktest.Record(3, "poison"))
		time.Sleep(time.Minute)
		if got := l.buried(); !slices.Equal(got, sinktest.IDs(records[0])) || state(s) != sink.Waiting {
			t.Fatalf("with the dead letters %v, %v", got, state(s))
		}
		mended.Store(true)
		if err := s.SendLetters("a", store.LetterFilter{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := l.buried(); len(got) != 0 {
			t.Errorf("with the dead letters %v", got)
		}
		stop(t, s)
	})
}
