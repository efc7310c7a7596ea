package uplog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
)

// tally writes down the calls of one Completion.
type tally struct {
	name  string
	calls *[]string
}

func (t *tally) Durable(seq uint64, n int) {
	*t.calls = append(*t.calls, fmt.Sprintf("%s: %d durable up to %d", t.name, n, seq))
}

func (t *tally) Overtaken(seq uint64, n int) {
	*t.calls = append(*t.calls, fmt.Sprintf("%s: %d overtaken up to %d", t.name, n, seq))
}

func (*tally) Wanted() bool { return true }

// steps is an appender whose attempts end as they say; a negative number is of
// records that were overtaken.
type steps []int

func (s *steps) store(_ string, _ int, items []item) (int, error) {
	n := (*s)[0]
	*s = (*s)[1:]
	if n == 0 {
		return 0, errors.New("refused")
	}
	for i := range items[:max(n, -n)] {
		items[i].lost = n < 0
	}
	return max(n, -n), nil
}

// TestCommitter_ReportsOnceForARun: what lies side by side and has one Completion is
// reported in one call, and each record is counted once, however many attempts it
// takes to store them.
func TestCommitter_ReportsOnceForARun(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps steps
		want  []string
	}{
		{"stored at once", steps{8}, []string{"a: 3 durable up to 3", "b: 2 durable up to 7", "a: 1 durable up to 4"}},
		{"cut within a run", steps{2, 0, 3, 3}, []string{
			"a: 2 durable up to 2", "a: 1 durable up to 3", "b: 2 durable up to 7", "a: 1 durable up to 4",
		}},
		{"overtaken in the middle", steps{1, -2, 5}, []string{
			"a: 1 durable up to 1", "a: 2 overtaken up to 3", "b: 2 durable up to 7", "a: 1 durable up to 4",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls []string
			a, b := &tally{"a", &calls}, &tally{"b", &calls}
			items := []item{
				{seq: 1, done: a},
				{seq: 2, done: a},
				{seq: 3, done: a},
				{seq: 7, done: b},
				{seq: 0, done: b}, // has none
				{seq: 4, done: a},
				{seq: 9}, // nobody asks
				{seq: 9},
			}
			c := &committer{log: &tc.steps, ctx: context.Background(), writable: func() error { return nil }, logger: zap.NewNop()}
			c.state.Store(new(servers.State))
			if !c.commit("start.1", items) {
				t.Fatal("not committed")
			}
			if !slices.Equal(calls, tc.want) {
				t.Errorf("heard %q, want %q", calls, tc.want)
			}
		})
	}
}
