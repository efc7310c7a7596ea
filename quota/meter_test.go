package quota_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/quota"
)

// TestMeter_KeepsTheRate: whoever takes only when the meter allows it, in whatever pieces and
// from however many goroutines, has no more in the end than a burst, the rate, and what each
// goroutine took at last.
func TestMeter_KeepsTheRate(t *testing.T) {
	const rate, takers, piece = 1_000_000, 8, 700
	var m quota.Meter
	var clock, taken atomic.Int64
	var wait sync.WaitGroup
	for range takers {
		wait.Go(func() {
			for {
				now := time.Duration(clock.Add(int64(50 * time.Microsecond)))
				if now > 10*time.Second {
					return
				}
				if m.Over(now) == 0 {
					m.Charge(now, piece, rate)
					taken.Add(piece)
				}
			}
		})
	}
	wait.Wait()
	if got, most := taken.Load(), int64(rate*11+takers*piece); got > most {
		t.Errorf("%d were taken, want at most %d", got, most)
	}
	if got := taken.Load(); got < rate*8 {
		t.Errorf("%d were taken, and the rate allows %d", got, rate*10)
	}
}

// TestMeter_Bounds: what is taken beyond a burst is waited for, and half a burst is there
// then; a debt has an end; a rate of 0 is none.
func TestMeter_Bounds(t *testing.T) {
	now := time.Hour
	var m quota.Meter
	m.Charge(now, 1000, 1000)
	if wait := m.Over(now); wait != 0 {
		t.Errorf("after a burst one has to wait %v", wait)
	}
	m.Charge(now, 500, 1000)
	if wait := m.Over(now); wait != time.Second {
		t.Errorf("half a second over the burst one has to wait %v, want a second: until half of it is there", wait)
	}
	if room := m.Room(now+time.Second, 1000); room != 500 {
		t.Errorf("there is room for %d then, want 500", room)
	}
	m.Charge(now, 1<<40, 1)
	if wait := m.Over(now); wait > quota.MostDebt {
		t.Errorf("after a large piece one has to wait %v", wait)
	}
	var free quota.Meter
	if free.Charge(now, 1<<40, 0); free.Over(now) != 0 || !free.Idle(now) {
		t.Error("a rate of 0 is a bound")
	}
}
