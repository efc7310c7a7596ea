package sink_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/sink"
	"edgeloop/sink/sinktest"
)

// However many batches are confirmed, the place is kept once a second; when no more come, within
// a second of the last. What is shown is what is confirmed.
func TestSink_PlaceIsKeptOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(), &fakeDestination{}
		s := run(t, l, specs(t, nil, []string{"a"}, d))
		for n := uint64(1); n <= 200; n++ { // for 10 s
			l.grow(sinktest.Records(n, n)...)
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			if is := s.Status()[0].Place; is != n {
				t.Fatalf("the place shown is %d, confirmed is %d", is, n)
			}
		}
		if rate := s.Status()[0].PerSecond; rate < 11 || rate > 14 { // 63 % of 20: 10 s is all the sink has run
			t.Errorf("%.1f records a second are shown, 20 were sent", rate)
		}
		if n := len(l.keeps()); len(d.attempts()) != 200 || n < 9 || n > 11 {
			t.Errorf("%d batches, and the place was kept %d times", len(d.attempts()), n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if at := l.place("a"); at != 200 {
			t.Errorf("the place is %d a second after the last of 200 records", at)
		}
		time.Sleep(time.Minute)
		if rate := s.Status()[0].PerSecond; rate > 0.1 {
			t.Errorf("%.1f records a second are shown, a minute after the last", rate)
		}
		stop(t, s)
	})
}

// A batch that gathers for long does not hold up the place of the one before, nor is it held up
// by that.
func TestSink_PlaceIsKeptWhileABatchGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(sinktest.Records(1, 1)...), &fakeDestination{}
		s := run(t, l, specs(t, map[string]any{"batch": map[string]any{"wait": "10s", "records": 2}}, []string{"a"}, d))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		l.grow(sinktest.Records(2, 3)...) // a full batch, less than a second after the one before
		synctest.Wait()
		l.grow(sinktest.Records(4, 4)...)
		time.Sleep(1100 * time.Millisecond)
		if at := l.place("a"); at != 3 {
			t.Errorf("the place is %d while the fourth record gathers", at)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := d.received(); len(got) != 4 {
			t.Errorf("10 s after the fourth record %v have arrived", got)
		}
		stop(t, s)
	})
}

// Whatever ends or interrupts the sending keeps the place first: what was confirmed comes again
// after a crash alone.
func TestSink_PlaceIsKeptAtTheEnd(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, then := range map[string]func(t *testing.T, s *sink.Set) error{
		"paused":  func(t *testing.T, s *sink.Set) error { return s.Pause(t.Context(), "a") },
		"resumed": func(t *testing.T, s *sink.Set) error { return s.Resume(t.Context(), "a") },
		"stopped": func(t *testing.T, s *sink.Set) error { return s.Stop(t.Context()) },
		"gone":    func(t *testing.T, s *sink.Set) error { return s.Apply(t.Context(), nil) },
		"changed": func(t *testing.T, s *sink.Set) error {
			return s.Apply(t.Context(), specs(t, map[string]any{"timeout": "9s"}, []string{"a"}, &fakeDestination{}))
		},
		"cut off": func(_ *testing.T, s *sink.Set) error {
			_ = s.Stop(ended) // what is on its way
			return nil
		},
		"down":    func(*testing.T, *sink.Set) error { return nil },
		"refused": func(*testing.T, *sink.Set) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, d := newLog(sinktest.Records(1, 5)...), &fakeDestination{}
				var mu sync.Mutex
				var answer error
				d.judge = func(_ context.Context, records []sink.Record) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					if answer != nil {
						return 0, answer
					}
					return len(records), nil
				}
				s := run(t, l, specs(t, map[string]any{"retry": map[string]any{"least": "1h", "most": "1h"}}, []string{"a"}, d))
				time.Sleep(20 * time.Millisecond)
				l.grow(sinktest.Records(6, 9)...)
				time.Sleep(20 * time.Millisecond)
				synctest.Wait()
				if kept, is := l.keeps(), s.Status()[0].Place; !slices.Equal(kept, []uint64{5}) || is != 9 {
					t.Fatalf("kept %v, confirmed up to %d: nothing is shown by this test", kept, is)
				}
				mu.Lock()
				switch name {
				case "down":
					answer = errDown
				case "refused":
					answer = &sink.Refusal{Records: 1, Reason: "poison"}
				}
				mu.Unlock()
				l.grow(sinktest.Records(10, 10)...)
				time.Sleep(15 * time.Millisecond)
				synctest.Wait()
				if err := then(t, s); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if at := l.place("a"); at < 9 {
					t.Errorf("the place is %d, and 9 was confirmed", at)
				}
				stop(t, s)
			})
		})
	}
}
