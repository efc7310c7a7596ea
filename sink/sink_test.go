package sink_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/sinktest"
)

const patience = time.Minute

func TestMain(m *testing.M) { testkit.Leaks(m) }

// state is what the first sink of a set does.
func state(s *sink.Set) sink.State { return s.Status()[0].State }

// The place is never beyond what the destination has confirmed, whatever it confirms and
// whatever fails; and all arrives, in order, without a record that was confirmed coming again.
func TestSink_PlaceMovesOverWhatIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 500)...), &fakeDestination{}
		calls := 0
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			if at := l.place("a"); at >= records[0].Position {
				t.Errorf("the place is %d, and %d is not confirmed", at, records[0].Position)
			}
			if calls++; calls%3 == 0 {
				return len(records), nil
			}
			return len(records) * (calls % 3) / 4, errDown
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(time.Hour)
		if got := d.received(); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 500)...)) {
			t.Errorf("arrived %d: %v", len(got), got)
		}
		if kept := l.keeps(); !slices.IsSorted(kept) || kept[len(kept)-1] != 500 {
			t.Errorf("kept %v", kept)
		}
		if is := s.Status()[0]; is.State != sink.Running || is.Counts.Records != 500 || is.Counts.Failed == 0 || is.LastErr != errDown.Error() || is.Place != 500 {
			t.Errorf("status %+v", is)
		}
		stop(t, s)
	})
}

// A destination that is down for hours loses nothing, and no record of it is taken for
// refused. While it is down one record at a time is tried, with delays within their bound.
func TestSink_DownIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 40)...), &fakeDestination{}
		var up atomic.Bool
		var last time.Time
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			if wait := time.Since(last); !last.IsZero() && wait > 30*time.Second {
				t.Errorf("it waited %s", wait)
			}
			if last = time.Now(); !up.Load() {
				return 0, errDown
			}
			return len(records), nil
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(5 * time.Hour)
		if is := s.Status()[0]; is.State != sink.Waiting || is.Breaker != sink.Open || is.Gathered != 40 || is.RetryAt.IsZero() {
			t.Errorf("status %+v", is)
		}
		sizes := d.attempts()
		if n := len(sizes); n < 600 || n > 10_000 || slices.Max(sizes[3:]) > 1 { // delays of 15 s in the mean
			t.Errorf("%d attempts, of %v", n, sizes[:min(10, n)])
		}
		l.grow(sinktest.Records(41, 80)...)
		up.Store(true)
		time.Sleep(time.Minute)
		if got := d.received(); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 80)...)) || l.buried() != nil {
			t.Errorf("arrived %v, with the dead letters %v", got, l.buried())
		}
		if is := s.Status()[0]; is.State != sink.Running || is.Breaker != sink.Closed {
			t.Errorf("status %+v", is)
		}
		stop(t, s)
	})
}

// Of a batch that is refused as a whole the one at fault is found, and it alone goes to the
// dead letters, with the reason and before the place passes it.
func TestSink_RefusedRecordIsBuried(t *testing.T) {
	for name, together := range map[string]bool{"together": true, "by itself": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, d := newLog(sinktest.Records(1, 120)...), &fakeDestination{}
				poison := func(r sink.Record) bool { return r.Position == 33 || r.Position == 34 || r.Position == 120 }
				d.judge = func(_ context.Context, records []sink.Record) (int, error) {
					switch i := slices.IndexFunc(records, poison); {
					case i >= 0 && together:
						return 0, &sink.Refusal{Records: len(records), Reason: "poison"}
					case i >= 0:
						return i, &sink.Refusal{Records: 1, Reason: "poison"}
					}
					return len(records), nil
				}
				l.buryErr = store.ErrLettersFull
				s := run(t, l, specs(t, nil, []string{"a"}, d))
				time.Sleep(time.Minute)
				if at := l.place("a"); at != 32 {
					t.Errorf("the place is %d, and 33 is neither confirmed nor kept", at)
				}
				l.mu.Lock()
				l.buryErr = nil
				l.mu.Unlock()
				time.Sleep(time.Hour)
				if got, want := l.buried(), []string{sinktest.Log + "-33", sinktest.Log + "-34", sinktest.Log + "-120"}; !slices.Equal(got, want) {
					t.Errorf("with the dead letters %v", got)
				}
				if got := d.received(); len(got) != 117 || !slices.IsSortedFunc(got, byPosition) || l.place("a") != 120 {
					t.Errorf("arrived %d, place %d", len(got), l.place("a"))
				}
				stop(t, s)
				if first := l.letters[0]; first.Sink != "a" || first.Reason != "poison" || string(first.Record) != string(sinktest.Records(33, 33)[0].Line) {
					t.Errorf("%+v", first)
				}
			})
		})
	}
}

func byPosition(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return slices.Compare([]byte(a), []byte(b))
}

// With on_refusal: stop a refused record holds the sink, in front of it, until somebody decides.
func TestSink_StopsOnRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 9)...), &fakeDestination{}
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			return 4, &sink.Refusal{Records: 1, Reason: "poison"}
		}
		s := run(t, l, specs(t, map[string]any{"on_refusal": "stop"}, []string{"a"}, d))
		time.Sleep(time.Hour)
		if is := s.Status()[0]; is.State != sink.Stopped || is.Place != 4 || len(d.attempts()) != 1 || l.buried() != nil {
			t.Errorf("status %+v after %v", is, d.attempts())
		}
		stop(t, s)
	})
}

// What a destination says may repeat what a device sent: of it is kept, logged and shown one line,
// no longer than 1,000 bytes.
func TestSink_ReasonIsPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 2)...), &fakeDestination{}
		said := "no: \"\x1b[2J\nlake  file  running\u202e\xff" + strings.Repeat("é", 1000)
		d.judge = func(_ context.Context, records []sink.Record) (int, error) {
			if records[0].Position == 1 {
				return 0, &sink.Refusal{Records: 1, Reason: said}
			}
			return 0, errors.New(said)
		}
		core, logs := observer.New(zap.DebugLevel)
		node := l.node()
		node.Logger = zap.New(core)
		s := sink.NewSet(node)
		if err := s.Apply(t.Context(), specs(t, nil, []string{"a"}, d)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		shown := map[string]string{"a status": s.Status()[0].LastErr, "a letter": l.letters[0].Reason}
		for _, e := range logs.All() {
			shown["a line of the log"] = fmt.Sprint(e.ContextMap()["error"])
		}
		for where, text := range shown {
			if !strings.Contains(text, `no: " [2J lake`) || len(text) > 1100 || strings.ContainsFunc(text, unicode.IsControl) ||
				strings.ContainsRune(text, '\u202e') || !utf8.ValidString(text) {
				t.Errorf("%s has %d bytes: %.100q", where, len(text), text)
			}
		}
		if len(shown) != 3 {
			t.Errorf("nothing is logged")
		}
		stop(t, s)
	})
}

// A place of another log, and a name that another node has, wait for somebody to decide: what
// they would read is not behind what was sent.
func TestSink_StopsWithoutItsPlace(t *testing.T) {
	for err, want := range map[error]sink.State{
		&reader.PositionError{Log: "x", Is: "y"}: sink.Misplaced, store.ErrTaken: sink.Elsewhere, errDown: sink.Waiting,
	} {
		synctest.Test(t, func(t *testing.T) {
			l, d := newLog(sinktest.Records(1, 9)...), &fakeDestination{}
			l.openErr = err
			s := run(t, l, specs(t, nil, []string{"a"}, d))
			time.Sleep(time.Hour)
			if got := state(s); got != want || len(d.attempts()) != 0 {
				t.Errorf("%v: %v, sent %v", err, got, d.attempts())
			}
			stop(t, s)
		})
	}
}

// A destination says when to come again.
func TestSink_HeedsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 1)...), &fakeDestination{}
		d.judge = func(context.Context, []sink.Record) (int, error) {
			return 0, &sink.Later{After: 10 * time.Minute, Err: errDown}
		}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		time.Sleep(9 * time.Minute)
		if n := len(d.attempts()); n != 1 {
			t.Errorf("%d attempts", n)
		}
		stop(t, s)
	})
}

// One that answers nothing, and one that is down, cost the others nothing.
func TestSink_HoldsUpNoOther(t *testing.T) {
	stuck, dead, well := &fakeDestination{}, &fakeDestination{}, &fakeDestination{}
	var begun atomic.Bool
	stuck.judge = func(ctx context.Context, _ []sink.Record) (int, error) {
		begun.Store(true)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	dead.judge = func(context.Context, []sink.Record) (int, error) { return 0, errDown }
	l := newLog()
	s := sink.NewSet(l.node())
	if err := s.Apply(t.Context(), specs(t, map[string]any{"timeout": "1h"}, []string{"stuck", "dead", "well"}, stuck, dead, well)); err != nil {
		t.Fatal(err)
	}
	l.grow(sinktest.Records(1, 300)...)
	testkit.Eventually(t, patience, "the sink that is well to have all", func() bool { return len(well.received()) == 300 })
	testkit.Eventually(t, patience, "the place of the sink that is well", func() bool { return l.place("well") == 300 })
	testkit.Eventually(t, patience, "something on its way to the one that is stuck", begun.Load)
	// A stop waits for what is on its way no longer than it may.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); err == nil || l.place("stuck") != 0 {
		t.Errorf("stopped with %v, the place of the one that is stuck is %d", err, l.place("stuck"))
	}
}

// What is on its way when the node stops is confirmed and kept first.
func TestSink_StopKeepsWhatIsOnItsWay(t *testing.T) {
	l, d := newLog(sinktest.Records(1, 5)...), &fakeDestination{}
	sending, answer := make(chan struct{}), make(chan struct{})
	d.judge = func(_ context.Context, records []sink.Record) (int, error) {
		close(sending)
		<-answer
		return len(records), nil
	}
	all := map[string]any{"batch": map[string]any{"records": 5, "wait": "1m"}} // in one batch, however long they take to gather
	s := run(t, l, specs(t, all, []string{"a"}, d))
	<-sending
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	close(answer)
	if err := testkit.Receive(t, patience, "the stop", stopped); err != nil || l.place("a") != 5 || d.closed == 0 {
		t.Errorf("stopped with %v, the place is %d, closed %d times", err, l.place("a"), d.closed)
	}
	if err := s.Apply(t.Context(), nil); err == nil {
		t.Error("sinks were changed after the stop")
	}
}

// Records that a filter keeps back move the place too; a record that cannot be read goes to
// the dead letters in its turn.
func TestSink_FilteredAndUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := append(sinktest.Records(1, 4), sinktest.Record(5, "other"), sinktest.Record(6, "temp"), sinktest.Record(7, "other"))
		records[2].Line = []byte(`{"tenant":`)
		l, d := newLog(records...), &fakeDestination{}
		s := run(t, l, specs(t, map[string]any{"filter": map[string]any{"topic": "temp/#"}}, []string{"a"}, d))
		time.Sleep(time.Minute)
		if got := d.received(); !slices.Equal(got, sinktest.IDs(records[0], records[1], records[3], records[5])) || l.place("a") != 7 {
			t.Errorf("arrived %v, place %d", got, l.place("a"))
		}
		if is := s.Status()[0].Counts; !slices.Equal(l.buried(), sinktest.IDs(records[2])) || is.Filtered != 2 || is.Refused != 1 {
			t.Errorf("with the dead letters %v, counted %+v", l.buried(), is)
		}
		stop(t, s)
	})
}

// What a new configuration does not change goes on; what it changes begins anew behind its
// place; what it has no more ends.
func TestSet_Apply(t *testing.T) {
	same, changed, gone, fresh := &fakeDestination{}, &fakeDestination{}, &fakeDestination{}, &fakeDestination{}
	l := newLog(sinktest.Records(1, 10)...)
	before := specs(t, nil, []string{"same", "changed", "gone"}, same, changed, gone)
	s := run(t, l, before)
	testkit.Eventually(t, patience, "the places", func() bool {
		return l.place("same") == 10 && l.place("changed") == 10 && l.place("gone") == 10
	})
	after := append(specs(t, nil, []string{"fresh", "same"}, fresh, same),
		specs(t, map[string]any{"timeout": "9s"}, []string{"changed"}, changed)...)
	if err := s.Apply(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	l.grow(sinktest.Records(11, 20)...)
	testkit.Eventually(t, patience, "the places", func() bool {
		return l.place("same") == 20 && l.place("changed") == 20 && l.place("fresh") == 20
	})
	for _, d := range []*fakeDestination{same, changed, fresh} {
		if got := d.received(); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 20)...)) {
			t.Errorf("arrived %v", got)
		}
	}
	if len(gone.received()) != 10 || gone.closed == 0 || same.closed != 0 || changed.closed != 1 {
		t.Errorf("gone has %d and was closed %d times, same %d, changed %d", len(gone.received()), gone.closed, same.closed, changed.closed)
	}
	if is := s.Status(); len(is) != 3 || is[0].Name != "fresh" || is[2].Counts.Records != 20 {
		t.Errorf("status %+v", is)
	}
}
