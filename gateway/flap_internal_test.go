package gateway

import (
	"testing"
	"time"
)

// takeovers are made as often as they may be for a while.
func takeovers(f *flaps, from time.Time, during, every time.Duration) (n int) {
	for now := from; now.Before(from.Add(during)); now = now.Add(every) {
		if f.wait(1, now) == 0 {
			f.note(1, "addr", now)
			n++
		}
	}
	return n
}

// A device that flaps is held back with delays that grow and are bounded; one that
// only reconnects now and then is not; and calm is rewarded.
func TestFlaps_Delays(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	f := newFlaps(5)
	if n := takeovers(f, start, time.Minute, time.Millisecond); n < 6 || n > 13 {
		t.Errorf("%d takeovers in the first minute of flapping", n)
	}
	if n := takeovers(f, start.Add(time.Minute), time.Hour, 10*time.Millisecond); n < 100 || n > 3600/25 {
		t.Errorf("%d takeovers in an hour of flapping", n)
	}
	calm := start.Add(2 * time.Hour)
	if n := takeovers(f, calm, time.Millisecond, 100*time.Microsecond); n != 5 {
		t.Errorf("%d takeovers at once after an hour of calm, want the free ones", n)
	}
	f = newFlaps(5)
	if n := takeovers(f, start, time.Hour, 40*time.Second); n != 90 {
		t.Errorf("%d of 90 takeovers of a device that loses its network every 40 s", n)
	}
}
