package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrain_Due: the closes of a drain go by the clock, so that steps that come
// late, as on a machine that is too busy, do not make the window longer.
func TestDrain_Due(t *testing.T) {
	t.Parallel()
	const window = 10 * time.Second
	for _, c := range []struct {
		total   int
		elapsed time.Duration
		want    int
	}{
		{0, 0, 0},
		{700, 0, 0},
		{700, drainStep, 3},
		{700, window / 2, 350},
		{700, window - 1, 699},
		{700, window, 700},
		{700, 3 * window, 700},
		{1_000_000, window / 4, 250_000},
	} {
		if got := dueBy(c.total, c.elapsed, window); got != c.want {
			t.Errorf("%d devices after %v: %d, want %d", c.total, c.elapsed, got, c.want)
		}
	}
	if got := dueBy(5, 0, 0); got != 5 {
		t.Errorf("without a window: %d of 5", got)
	}
}

// TestDrain_SlowIsNotStuck: who leaves slowly is waited for, who stays is not.
func TestDrain_SlowIsNotStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		slow := func() int { return max(0, 5-int(time.Since(start)/(stuckAfter-time.Second))) }
		if left, err := awaitNone(t.Context(), slow); left != 0 || err != nil {
			t.Errorf("%d left, %v", left, err)
		}
		if took := time.Since(start); took < 5*(stuckAfter-time.Second) {
			t.Errorf("took %v", took)
		}
		start = time.Now()
		left, err := awaitNone(t.Context(), func() int { return 3 })
		if left != 3 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d left, %v", left, err)
		}
		if took := time.Since(start); took > stuckAfter+time.Second {
			t.Errorf("stuck for %v", took)
		}
	})
}
